"""Redis fails over to a replica that lost the last writes: no rule is broken, every lead is answered for."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from leadlane import Fleet
from leadlane.errors import UnknownJob
from leadlane.job import Job
from leadlane.ops.embedded import find_server
from leadlane.ops.sandbox.process import SandboxProcess
from tests.sentinels import Watched
from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, calls, leads, nothing_left_over, running

GAP_S, LOST_CALL_S = 0.3, 2.0
NO_LONE_WRITES = ("min-replicas-to-write 1", "min-replicas-max-lag 1")
"""A primary that hears of no replica refuses writes before the sentinels give it up."""


@pytest.fixture(params=[()])
def town(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Town]:
    """A town whose Redis is a primary, a replica and three sentinels; more lines for both servers are the parameter."""
    binary = find_server(bundled=os.environ.get("LEADLANE_TEST_SERVER") == "embedded")
    with (
        Watched(tmp_path / "redis", binary=binary, configuration=request.param) as redis,
        SandboxProcess(gap_s=GAP_S, call_time_s=0.2) as sandbox,
    ):
        town = Town(redis, sandbox, tmp_path)
        town.account("voiso", timeout_s="2", lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
        town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
        until(redis.ready)
        try:
            yield town
        finally:
            town.close()


def brought(fleet: Fleet, keys: str) -> list[Job]:
    """A job of a hundred leads under each of these idempotency keys; the same leads at each call."""
    spring = fleet.campaign("voiso/4")
    return [spring.import_leads(leads(100, start=1 + 100 * ord(key)), idempotency_key=key) for key in keys]


def is_known(job: Job) -> bool:
    try:
        return bool(job.progress())
    except UnknownJob:
        return False


def fails_over(town: Town, old: int) -> None:
    until(lambda: town.redis.primary() not in (old, 0))
    until(lambda: town.client.ping())


def test_lost_writes_break_no_rule_and_the_same_key_brings_back_what_they_were(town: Town) -> None:
    workers = [town.worker("w1"), town.worker("w2")]
    fleet, old = town.fleet(), town.redis.primary()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(5000)) for campaign in (1, 2, 3)]
    until(lambda: len(calls(town)) >= 3)

    town.redis.stall()
    lost = brought(fleet, "abcdef")  # each was told to be stored, and none will be
    before = len(calls(town))
    until(lambda: calls(town, 4) and len(calls(town)) >= before + 4 and running(town))
    town.redis.servers[0].kill()
    killed, known = time.time(), len(town.sandbox.audit())
    fails_over(town, old)
    assert not any(is_known(job) for job in lost)
    again = brought(fleet, "abcdef")
    assert [job.id for job in again] == [job.id for job in lost]

    first = min(
        until(lambda: [call["wall"] for call in calls(town, since=known) if call["wall"] > killed + 1])
    )
    assert first >= killed + LOST_CALL_S + GAP_S
    all_arrived(town, *jobs, *again)
    assert all(worker.running for worker in workers)
    verdict = town.sandbox.verify()
    assert verdict["doubled"] == 0, (
        verdict
    )  # what workers were told of lost leads they have told the new primary
    nothing_left_over(town)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("town", [NO_LONE_WRITES], indirect=True)
def test_a_primary_that_is_cut_off_gives_no_turn_beside_the_new_one(town: Town) -> None:
    """Workers still reach it; it comes back as a replica of the one that took its place.

    Until then that one has no replica, and takes no writes either: to go on at once takes two replicas.
    """
    workers = [town.worker("w1"), town.worker("w2")]
    fleet, old = town.fleet(), town.redis.primary()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(12_000)) for campaign in (1, 2, 3)]
    until(lambda: len(calls(town)) >= 3)
    for i in (0, 1):
        before = len(calls(town))
        town.redis.cut_off(i)
        fails_over(town, old)
        old = town.redis.primary()
        town.redis.mend(i)
        until(town.redis.ready)
        until(lambda: len(calls(town)) >= before + 6)  # noqa: B023

    all_arrived(town, *jobs)
    assert all(worker.running for worker in workers)
    assert town.sandbox.verify()["doubled"] == 0
    nothing_left_over(town)
