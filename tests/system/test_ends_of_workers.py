"""Work that ends its workers, and workers that are at an end though their process lives."""

import signal
import time

import pytest

from leadlane.workers.lanes import Lanes
from tests.system import crashing_worker, wedged_worker
from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, calls, leads, producer


@pytest.mark.slow
def test_a_batch_that_kills_each_worker_is_given_up_and_its_riders_come_through(
    town: Town, lanes: Lanes
) -> None:
    """As when the kernel ends whoever works on it for want of memory."""
    town.env |= {"LEADLANE_MAX_ATTEMPTS": "3", "LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
    town.account("voiso", timeout_s="1", lost_call_s="1")
    campaign = town.fleet().campaign("voiso/1")
    lanes.hold("account", "voiso", "until all is there, so that they travel together")
    jobs = [campaign.import_leads(leads(50, start=1 + 50 * i)) for i in range(3)]
    deadly = campaign.import_leads([{"phone_number": crashing_worker.DEADLY}])
    jobs += [campaign.import_leads(leads(50, start=1001 + 50 * i)) for i in range(3)]
    lanes.hold("account", "voiso", "")
    deaths = 0
    while not deadly.progress()["dead"]:
        worker = town.worker(f"w{deaths}", main=(crashing_worker.__file__, crashing_worker.DEADLY, "SIGKILL"))
        until(lambda worker=worker: not worker.running or deadly.progress()["dead"])
        deaths += not worker.running
    assert deaths == 3
    all_arrived(town, *jobs)
    (row,) = deadly.report()
    assert row["reason"].startswith("too_many_attempts")
    assert calls(town)[0]["size"] == 50  # nothing of the calls with it has left


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_message_that_kills_each_worker_before_its_leads_are_stored_fails(town: Town) -> None:
    town.env |= {"LEADLANE_MAX_ATTEMPTS": "2", "LEADLANE_VISIBILITY_TIMEOUT_S": "3", "LEADLANE_LEASE_S": "3"}
    kwargs = {"campaign": "voiso/1", "leads": list(leads(3))}
    task = producer(town).send_task("leadlane.leads.import", kwargs=kwargs)
    deaths = 0
    while task.state != "FAILURE":
        worker = town.worker(
            f"w{deaths}", main=(crashing_worker.__file__, crashing_worker.UNSTORABLE, "SIGKILL")
        )
        until(lambda worker=worker: not worker.running or task.state == "FAILURE")
        deaths += not worker.running
    assert deaths == 2
    assert str(task.result).startswith("too_many_attempts")
    assert calls(town) == []


@pytest.mark.slow
@pytest.mark.parametrize("how", ["consumer", "threads"])
def test_a_worker_that_lives_and_does_nothing_has_no_pulse(town: Town, how: str) -> None:
    file = town.folder / "pulse"
    words = ("--heartbeat", str(file))
    worker = town.worker("wedged", 3, None, *words, main=(wedged_worker.__file__, how))
    until(file.exists)
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(10)) for campaign in (1, 2, 3)]
    if how == "consumer":
        all_arrived(town, *jobs)
        worker.signal(signal.SIGUSR2)
    until(lambda: '"no pulse"' in worker.logged())
    file.unlink()
    time.sleep(3)  # six rounds in which it would be touched
    assert worker.running
    assert not file.exists()
