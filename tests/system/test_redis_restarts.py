"""Redis dies under load and comes back: workers live on, every lead arrives once, no rule is broken."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadlane.ops.embedded import EmbeddedRedis, find_server
from leadlane.ops.sandbox.process import SandboxProcess
from tests.guarded import make_redis
from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, calls, leads, nothing_left_over, producer, results, running

GAP_S, LOST_CALL_S = 0.3, 2.0


@pytest.fixture(params=["everysec", pytest.param("always", marks=pytest.mark.slow)])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    """A town whose Redis may die; lost calls are over and lost messages come back after seconds."""
    binary = find_server(bundled=os.environ.get("LEADLANE_TEST_SERVER") == "embedded")
    with (
        make_redis(appendfsync=request.param, binary=binary) as redis,
        SandboxProcess(gap_s=GAP_S, call_time_s=0.2) as sandbox,
    ):
        town = Town(redis, sandbox, tmp_path)
        town.account("voiso", timeout_s="2", lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
        town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
        try:
            yield town
        finally:
            town.close()


def restart(town: Town, *, down_s: float) -> float:
    """Kill Redis, let it be away, start it: the moment of the start, Unix seconds."""
    town.redis.kill()
    time.sleep(down_s)
    began = time.time()
    town.redis.start()
    return began


def first_call(town: Town, known: int, after: float) -> float:
    """When the first leads call began after this moment and after the first ``known`` requests; waits for it."""

    def moments() -> list[float]:
        return [call["wall"] for call in calls(town, since=known) if call["wall"] > after]

    return min(until(moments))


def test_redis_killed_under_load_costs_time_and_nothing_else(
    town: Town, request: pytest.FixtureRequest
) -> None:
    workers = [town.worker("w1"), town.worker("w2")]
    fleet, app = town.fleet(), producer(town)
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(6000)) for campaign in (1, 2, 3)]
    jobs += [fleet.campaign("voiso/4").import_leads(leads(40, start=1 + 40 * i)) for i in range(60)]
    by_name = app.send_task(
        "leadlane.leads.import", kwargs={"campaign": "voiso/5", "leads": list(leads(2500))}
    )
    until(lambda: town.client.exists(f"leadlane:t:{by_name.id}"))  # before that, its loss is Celery's own
    for down_s in (1.0,) if request.node.callspec.params["town"] == "everysec" else (1.0, 3.0):
        until(lambda: running(town))
        known = len(town.sandbox.audit())
        began = restart(town, down_s=down_s)
        quiet_until = began + LOST_CALL_S + GAP_S
        first_call(town, known, quiet_until)
        # Who held a turn when Redis died may still make its call; nobody gets another.
        early = [call["campaign"] for call in calls(town, since=known) if began < call["wall"] < quiet_until]
        assert len(early) == len(set(early))

    returned = results(town, [by_name.id])
    jobs.append(fleet.job(returned[by_name.id]["job"]))
    all_arrived(town, *jobs)
    assert all(worker.running for worker in workers)
    assert town.sandbox.verify()["doubled"] == 0
    nothing_left_over(town)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("town", ["everysec"], indirect=True)
def test_a_redis_that_lost_its_last_writes_hears_from_the_workers_what_was_done(town: Town) -> None:
    """Turns, answers and messages of the last second are gone: keepers assert turns and write outcomes again."""
    town.account(
        "voiso", timeout_s="2", lost_call_s="4"
    )  # a quiet time in which busy keepers get their word in
    workers = [town.worker("w1"), town.worker("w2")]
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(15_000)) for campaign in (1, 2, 3)]
    jobs += [fleet.campaign("voiso/4").import_leads(leads(40, start=1 + 40 * i)) for i in range(60)]
    for forgotten_s in (0.2, 0.6, 1.0):
        until(lambda: running(town))
        known = len(town.sandbox.audit())
        size = log_of(town.redis).stat().st_size
        time.sleep(forgotten_s)
        town.redis.kill()
        os.truncate(log_of(town.redis), size)
        began = time.time()
        town.redis.start()
        first_call(town, known, began)

    all_arrived(town, *jobs)
    assert all(worker.running for worker in workers)
    assert town.sandbox.verify()["doubled"] == 0
    nothing_left_over(town)


def log_of(redis: EmbeddedRedis) -> Path:
    """The append-only file that it writes to now."""
    return max(redis.directory.glob("**/*.aof"), key=lambda file: file.stat().st_mtime_ns)
