"""Processes that stand still and come back: a turn that was lost meanwhile is never acted on (rule 2)."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leadlane.ops.embedded import EmbeddedRedis
from tests.system import crashing_worker
from tests.system.conftest import Program, Town, until
from tests.system.judge import all_arrived, batches, calls, leads, results, rules_kept, running

GAP_S, LOST_CALL_S, LEASE_S = 0.3, 2.0, 3.0


@pytest.fixture
def town(town: Town) -> Town:
    town.account("voiso", timeout_s="2", lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
    town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": str(LEASE_S)}
    scopes = ["campaigns.manage", "campaigns.read"]
    town.sandbox.change(keys={"sandbox-key": scopes, "zombie-key": scopes})
    return town


def zombie(town: Town, point: str) -> Program:
    """A worker that freezes at the point; its calls are those of "key 2"."""
    town.env["SANDBOX_KEY"] = "zombie-key"
    worker = town.worker("zombie", main=(crashing_worker.__file__, point, "SIGSTOP"))
    town.env["SANDBOX_KEY"] = "sandbox-key"
    return worker


def frozen(worker: Program) -> bool:
    stat = Path(f"/proc/{worker.pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0] == "T"


def test_a_worker_that_was_frozen_before_its_call_does_not_make_it_any_more(town: Town) -> None:
    worker = zombie(town, "granted, before the call")
    job = town.fleet().campaign("voiso/1").import_leads(leads(4500))
    until(lambda: frozen(worker))
    town.worker("living")
    all_arrived(town, job)
    known = len(town.sandbox.audit())
    assert sum(call["key"] == "key 2" for call in calls(town)) == 2  # those before

    worker.signal(signal.SIGCONT)
    until(lambda: "turn ended after it was lost" in worker.logged())
    assert calls(town, since=known) == []
    later = town.fleet().campaign("voiso/1").import_leads(leads(3500, start=5000))  # both are at work again
    all_arrived(town, job, later)
    assert town.sandbox.verify()["doubled"] == 0


@pytest.mark.slow
def test_a_worker_that_was_frozen_with_its_answer_changes_nothing_that_is_settled(town: Town) -> None:
    worker = zombie(town, "answered, before it leaves")
    job = town.fleet().campaign("voiso/1").import_leads(leads(4500))
    until(lambda: frozen(worker))
    town.worker("living")
    all_arrived(town, job)
    before, returned = job.progress(), results(town, batches(town, job.id))
    worker.signal(signal.SIGCONT)
    until(lambda: "turn ended after it was lost" in worker.logged())
    assert job.progress() == before
    assert results(town, batches(town, job.id)) == returned
    rules_kept(town)


@contextmanager
def stopped(redis: EmbeddedRedis) -> Iterator[None]:
    server = redis._server
    assert server
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


@pytest.mark.slow
def test_a_redis_that_hangs_for_longer_than_a_lease_costs_time_and_nothing_else(town: Town) -> None:
    town.sandbox.change(call_time_s=0.5)
    workers = [town.worker("w1"), town.worker("w2")]
    jobs = [town.fleet().campaign(f"voiso/{campaign}").import_leads(leads(6000)) for campaign in (1, 2, 3)]
    for _ in range(2):
        until(lambda: running(town))
        with stopped(town.redis):
            ended = {call["n"] for call in running(town)}
            until(
                lambda ended=ended: not ended & {call["n"] for call in running(town)}
            )  # their answers are there
            time.sleep(LEASE_S + 1)
    all_arrived(town, *jobs)
    assert all(worker.running for worker in workers)
    assert town.sandbox.verify()["doubled"] == 0


@pytest.mark.slow
def test_a_message_that_comes_twice_while_its_turn_runs_changes_nothing(town: Town) -> None:
    town.env["LEADLANE_VISIBILITY_TIMEOUT_S"] = "1"
    town.account("voiso", timeout_s="20", lost_call_s="20")
    town.sandbox.fault("latency", delay_s=8, times=2)
    workers = [town.worker("w1"), town.worker("w2")]
    jobs = [town.fleet().campaign(f"voiso/{campaign}").import_leads(leads(1500)) for campaign in (1, 2)]
    all_arrived(town, *jobs)
    assert any('"task ignored"' in worker.logged() for worker in workers)  # the twins
    assert len(calls(town)) == 4
    assert town.sandbox.verify()["doubled"] == 0
