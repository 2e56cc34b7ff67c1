"""kill -9 of workers: every lead arrives, once, and every task has its result (design 3.2, rules 1, 3, 5 and 7)."""

import random
import time

import pytest
from celery import chain

from leadlane.workers.lanes import Lanes
from tests.system import crashing_worker
from tests.system.conftest import Town, until
from tests.system.judge import (
    all_arrived,
    batches,
    calls,
    leads,
    nothing_left_over,
    producer,
    results,
    running,
)

GAP_S, LOST_CALL_S = 0.3, 2.0
CLOCKS_S = 0.1  # the sandbox sees a call begin when its head has arrived, the worker when it sends it


@pytest.fixture
def town(town: Town) -> Town:
    """Lost calls are over and lost messages come back after seconds."""
    town.account("voiso", timeout_s="2", lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
    town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
    return town


def test_a_worker_killed_in_the_middle_of_its_calls_loses_and_doubles_nothing(
    town: Town, lanes: Lanes
) -> None:
    """All of its calls run when it dies: each of their lanes goes on when its lost call must be over, not before."""
    scopes = ["campaigns.manage", "campaigns.read"]
    town.sandbox.change(keys={"sandbox-key": scopes, "victim-key": scopes})
    town.worker("survivor", concurrency=5)
    town.env["SANDBOX_KEY"] = "victim-key"
    victim = town.worker("victim", concurrency=5)
    campaigns = range(1, 7)  # so many that both must be at work: with 5 threads each has 3 slots for turns
    town.sandbox.fault("latency", delay_s=1.8, times=len(campaigns))
    fleet = town.fleet()
    lanes.hold("account", "voiso", "until all is there, so that all calls begin together")
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(2500)) for campaign in campaigns]
    lanes.hold("account", "voiso", "")
    until(lambda: len(running(town)) == len(campaigns))
    victim.kill()

    all_arrived(town, *jobs)
    assert town.sandbox.verify()["doubled"] == 0
    by_campaign = [calls(town, campaign) for campaign in campaigns]
    lost = [one for one in by_campaign if one[0]["key"] == "key 2"]
    assert lost
    for first, second, *_ in lost:
        assert not first["answered"]
        assert second["started"] - first["started"] >= LOST_CALL_S + GAP_S - CLOCKS_S


QUICK = {
    "called, before its message is published",
    "granted, before the call",
    "left, before its own result is written from the list",
}


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if point in QUICK else pytest.mark.slow)
        for point in crashing_worker.POINTS
    ],
)
def test_a_worker_that_dies_between_two_steps_loses_and_doubles_nothing(
    town: Town, lanes: Lanes, point: str
) -> None:
    """All in one lane, so that no other call can be in flight when it dies."""
    victim = town.worker("victim", main=(crashing_worker.__file__, point, "SIGKILL"))
    lanes.hold("account", "voiso", "until all is there")
    app, fleet = producer(town), town.fleet()
    n = 1500 if point.startswith("by name") else 600
    by_name = app.send_task("leadlane.leads.import", kwargs={"campaign": "voiso/1", "leads": list(leads(n))})
    if point.startswith("by name"):
        assert victim.wait() == -9
    else:
        until(lambda: by_name.state == "RETRY")  # parked
    campaign = fleet.campaign("voiso/1")
    jobs = [campaign.import_leads(leads(1500, start=2001))]
    jobs += [
        campaign.import_leads(leads(50, start=4001 + 50 * i)) for i in range(6)
    ]  # ride with the last 500
    lanes.hold("account", "voiso", "")
    assert victim.wait() == -9
    survivor = town.worker("survivor")

    result = results(town, [by_name.id])[by_name.id]
    assert result["created"] == n
    all_arrived(town, *jobs, fleet.job(result["job"]))
    verdict = town.sandbox.verify()
    assert verdict["stored"] == n + 1500 + 300
    again = 800 if point == "answered, before it leaves" else 0  # nobody can know that its answer came
    assert verdict["doubled"] == again
    assert survivor.running


@pytest.mark.slow
def test_a_worker_that_dies_with_a_claim_on_results_leaves_them_to_others(town: Town) -> None:
    job = town.fleet().campaign("voiso/1").import_leads(leads(2500))
    assert job.cancel() == {"cancelled": 3}
    words = ("worker", "--name", "victim")
    assert (
        town.start(*words, main=(crashing_worker.__file__, crashing_worker.CLAIMED, "SIGKILL")).wait() == -9
    )
    town.worker("survivor")
    app = producer(town)
    for ticket in batches(town, job.id):
        until(lambda ticket=ticket: app.AsyncResult(ticket).state == "REVOKED")
    assert job.progress()["cancelled"] == 2500
    assert calls(town) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_of_killed_workers_loses_nothing_and_leaves_nothing_behind(town: Town, seed: int) -> None:
    """Workers die at any moment, again and again, under batches, riders, by-name tasks and a chain."""
    dice = random.Random(seed)
    town.sandbox.change(call_time_s=0.1, rejected_suffix="")
    fleet, app = town.fleet(), producer(town)
    workers = [town.worker(f"w{i}") for i in range(2)]
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(12_000)) for campaign in (1, 2)]
    jobs += [fleet.campaign("voiso/3").import_leads(leads(40, start=1 + 40 * i)) for i in range(150)]
    signatures = [
        app.signature(
            "leadlane.leads.import", kwargs={"campaign": "voiso/4", "leads": list(leads(700, 1 + 700 * i))}
        )
        for i in range(6)
    ]
    chained = chain(*signatures, app=app).apply_async()
    for i in range(10):
        time.sleep(dice.uniform(0.2, 1.5))  # a moment nobody chose
        workers.pop(0).kill()
        workers.append(town.worker(f"again{i}"))

    links = [chained]
    while links[-1].parent:
        links.append(links[-1].parent)
    returned = results(town, [link.id for link in links], within_s=120)
    assert [result["created"] for result in returned.values()] == [700] * len(signatures)
    jobs += [fleet.job(result["job"]) for result in returned.values()]
    all_arrived(town, *jobs, within_s=120)
    assert all(worker.running for worker in workers)
    nothing_left_over(town)
