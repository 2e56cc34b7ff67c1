"""Holds outlive Redis and workers, and the fleet says each change of state once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.ops.sandbox.settings import SCOPES
from tests.system.conftest import KEY, Town, until
from tests.system.judge import calls, leads


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town whose Redis may die; a lost call is over after a second."""
    with EmbeddedRedis() as redis, SandboxProcess(gap_s=0.3) as sandbox:
        town = Town(redis, sandbox, tmp_path)
        town.account("voiso", timeout_s="1", lost_call_s="1")
        town.env |= {"LEADLANE_LEASE_S": "3"}
        try:
            yield town
        finally:
            town.close()


def said(town: Town, *events: str) -> list[int]:
    """How often all workers together have said each of these."""
    logs = "".join(program.logged() for program in town.programs)
    return [logs.count(f'"event": "{event}"') for event in events]


def test_what_an_operator_holds_stays_through_restarts_of_redis_and_workers(town: Town) -> None:
    workers = [town.worker("w1"), town.worker("w2")]
    assert town.run("account", "hold", "voiso", "--reason", "under review").returncode == 0
    assert town.run("lane", "hold", "voiso/2", "--reason", "too").returncode == 0
    jobs = [town.fleet().campaign(f"voiso/{campaign}").import_leads(leads(10)) for campaign in (1, 2)]
    until(lambda: said(town, "account held", "lane held") == [1, 1])
    town.redis.kill()
    for worker in workers:
        worker.kill()
    town.redis.start()
    town.worker("w3")
    town.worker("w4")
    until(lambda: said(town, "redis restarted: quiet time begins", "quiet time is over") == [1, 1])
    assert jobs[0].progress()["blocked_by"] == "account voiso is on hold: under review"
    assert calls(town) == []
    assert "account (under review)" in town.run("account", "release", "voiso").stdout
    assert jobs[0].wait(timeout=60)["created"] == 10
    assert jobs[1].progress()["blocked_by"] == "the lane is on hold: too"
    assert "it was on hold: too" in town.run("lane", "release", "voiso/2").stdout
    assert jobs[1].wait(timeout=60)["created"] == 10
    until(lambda: said(town, "account released", "lane released") == [1, 1])
    assert said(town, "account held", "lane held") == [1, 1]


def test_a_refused_key_holds_the_account_once_and_only_a_release_lets_it_go_on(town: Town) -> None:
    town.sandbox.change(keys={"another": list(SCOPES)})
    town.worker("w1")
    town.worker("w2")
    jobs = [town.fleet().campaign(f"voiso/{campaign}").import_leads(leads(10)) for campaign in (1, 2, 3)]
    until(lambda: said(town, "account held") == [1])
    town.worker("w3")  # has settings for the account: that lifts no such hold
    assert "401" in str(jobs[0].progress()["blocked_by"])
    town.sandbox.change(keys={KEY: list(SCOPES)})
    released = town.run("account", "release", "voiso").stdout
    assert "401" in released
    assert all(job.wait(timeout=60)["created"] == 10 for job in jobs)
    until(lambda: said(town, "account released") == [1])
    assert said(town, "account held") == [1]


@pytest.mark.slow
def test_the_breaker_opens_sends_one_probe_and_closes(town: Town) -> None:
    town.worker("w1")
    town.worker("w2")
    town.sandbox.fault("status", status=503)
    jobs = [town.fleet().campaign(f"voiso/{campaign}").import_leads(leads(5)) for campaign in range(1, 7)]
    until(lambda: said(town, "breaker open") == [1])
    accounts = town.run("account", "list").stdout
    assert "breaker open" in accounts or "probing" in accounts
    town.sandbox.clear_faults()
    assert all(job.wait(timeout=90)["created"] == 5 for job in jobs)
    until(lambda: said(town, "breaker closed") == [1])
    assert said(town, "breaker open") == [1]
    made = calls(town)
    probe = next(i for i, call in enumerate(made) if call["status"] == 200)
    assert (
        made[probe + 1]["started"] >= made[probe]["ended"]
    )  # it found out alone whether the dialer is in order
