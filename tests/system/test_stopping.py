"""Workers that are told to end (SIGTERM, SIGQUIT) end what they have begun and leave the rest to others."""

import signal
import time

import pytest

from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, calls, leads, nothing_left_over, running


@pytest.fixture
def town(town: Town) -> Town:
    town.account("voiso", timeout_s="2", lost_call_s="2")
    town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
    town.sandbox.change(call_time_s=0.8)
    return town


HOW = [
    pytest.param(signal.SIGTERM, {}, id="SIGTERM"),
    pytest.param(signal.SIGQUIT, {}, id="SIGQUIT", marks=pytest.mark.slow),
    pytest.param(
        signal.SIGTERM, {"REMAP_SIGTERM": "SIGQUIT"}, id="SIGTERM for SIGQUIT", marks=pytest.mark.slow
    ),
]


@pytest.mark.parametrize(("number", "more"), HOW)
def test_a_worker_told_to_end_keeps_the_answers_of_its_calls(
    town: Town, number: signal.Signals, more: dict[str, str]
) -> None:
    town.env |= more
    worker = town.worker("first")
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(2500)) for campaign in (1, 2)]
    until(lambda: len(running(town)) == 2)
    worker.signal(number)
    assert worker.wait() == 0
    assert '"level": "critical"' not in worker.logged()
    answered = calls(town)
    assert all(call["answered"] for call in answered)
    assert sum(job.progress()["created"] for job in jobs) == sum(call["size"] for call in answered)
    town.worker("second")
    all_arrived(town, *jobs)
    assert len(calls(town)) == 6  # nothing was sent again
    assert town.sandbox.verify()["doubled"] == 0


@pytest.mark.slow
def test_workers_replaced_one_after_another_under_load_lose_and_repeat_nothing(town: Town) -> None:
    workers = [town.worker(f"old{i}") for i in range(4)]
    fleet, jobs = town.fleet(), []
    quiet = town.client.hget("leadlane:clock", "quiet")
    for i in range(4):
        start = 1 + 2000 * i
        jobs += [
            fleet.campaign(f"voiso/{campaign}").import_leads(leads(2000, start=start))
            for campaign in range(1, 7)
        ]
        until(lambda: running(town))
        workers.append(town.worker(f"new{i}"))
        assert workers.pop(0).stop() == 0
    all_arrived(town, *jobs)
    assert len(calls(town)) == 4 * 6 * 2
    assert town.sandbox.verify()["doubled"] == 0
    assert town.client.hget("leadlane:clock", "quiet") == quiet  # no lane had to wait for anybody


@pytest.mark.parametrize(("number", "more"), HOW)
def test_a_worker_told_to_end_while_redis_is_away_ends(
    town: Town, number: signal.Signals, more: dict[str, str]
) -> None:
    town.env |= more
    worker = town.worker("first")
    fleet = town.fleet()
    job = fleet.campaign("voiso/1").import_leads(leads(2500))
    until(lambda: running(town))
    town.redis.kill()
    try:
        until(lambda: not running(town))  # its answer is there, and cannot be written
        worker.signal(number)
        assert worker.wait() == 0
    finally:
        town.redis.start()
    town.worker("second")
    all_arrived(town, job)


@pytest.mark.slow
def test_everything_dies_at_once_and_comes_back(town: Town) -> None:
    """As when a machine loses its power: no worker is left that could tell Redis what it forgot."""
    workers = [town.worker("w1"), town.worker("w2")]
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(5000)) for campaign in (1, 2, 3)]
    jobs += [fleet.campaign("voiso/4").import_leads(leads(40, start=1 + 40 * i)) for i in range(60)]
    until(lambda: len(running(town)) >= 3)
    for worker in workers:
        worker.kill()
    town.redis.kill()
    began = time.time()
    town.redis.start()
    town.worker("w3")
    all_arrived(town, *jobs)
    assert all(call["wall"] >= began + 2.3 for call in calls(town) if call["wall"] > began)
    nothing_left_over(town)
