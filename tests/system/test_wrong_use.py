"""What users of a Fleet get wrong, or what goes wrong under them: one clear error, and nothing accepted is lost."""

import subprocess
import sys
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from leadlane.errors import (
    BadCampaign,
    ImportInterrupted,
    UnknownAccount,
    UnknownJob,
    Unreachable,
    WrongUse,
)
from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, batches, calls, leads, producer, rules_kept


class SourceError(Exception):
    pass


def broken_off(n: int) -> Iterator[dict[str, object]]:
    yield from leads(n)
    raise SourceError


def test_what_does_not_exist_is_refused_with_what_does(town: Town) -> None:
    town.account("voiso-emea")
    town.worker()
    fleet = town.fleet()
    with pytest.raises(UnknownAccount, match="'voiso-eema' is unknown; did you mean 'voiso-emea'"):
        fleet.campaign("voiso-eema/1")
    with pytest.raises(BadCampaign, match="whole number"):
        fleet.campaign("voiso/spring")
    with pytest.raises(BadCampaign):
        fleet.campaign("voiso")
    with pytest.raises(UnknownJob, match="no-such-job"):
        fleet.job("no-such-job")
    with pytest.raises(WrongUse, match="priority"):
        fleet.campaign("voiso/1").import_leads(leads(1), priority="soon")  # type: ignore[arg-type]
    assert calls(town) == []


def test_a_by_name_task_for_an_unknown_account_fails_and_says_so(town: Town) -> None:
    town.worker()
    app = producer(town)
    kwargs = {"campaign": "voizo/1", "leads": list(leads(3))}
    task = app.send_task("leadlane.leads.import", kwargs=kwargs)
    result = AsyncResult(task.id, app=app)
    until(lambda: result.state == "FAILURE")
    assert "account 'voizo' is unknown; did you mean 'voiso'" in str(result.result)


def test_an_account_that_a_worker_has_no_settings_for_waits_for_one_that_has(town: Town) -> None:
    knows_less = dict(town.env)
    town.account("voiso-emea")
    fleet = town.fleet()
    job = fleet.campaign("voiso-emea/1").import_leads(leads(1500))
    knows_all, town.env = town.env, knows_less
    worker = town.worker("less")
    other = fleet.campaign("voiso/2").import_leads(leads(1500))
    until(lambda: "no settings for this account" in (job.progress()["blocked_by"] or ""))
    all_arrived(town, other)
    worker.stop()
    town.env = knows_all
    town.worker("all")
    all_arrived(town, job)


def test_rows_that_break_off_leave_a_job_that_the_same_key_completes(town: Town) -> None:
    town.worker()
    campaign = town.fleet().campaign("voiso/1")
    with pytest.raises(ImportInterrupted) as interrupted:
        campaign.import_leads(broken_off(2345), idempotency_key="monday")
    assert isinstance(interrupted.value.__cause__, SourceError)
    assert interrupted.value.rows_taken == 2345
    open_job = town.fleet().job(interrupted.value.job_id)
    until(lambda: open_job.progress().get("created") == 2345)
    assert not open_job.progress()["ended"]

    with pytest.raises(WrongUse, match=f"rows from 0 on differ.*{open_job.id}"):
        campaign.import_leads(leads(5000, start=9), idempotency_key="monday")
    # Another process, another day: the same rows, now all of them.
    job = town.fleet().campaign("voiso/1").import_leads(leads(5000), idempotency_key="monday")
    assert job.id == open_job.id
    all_arrived(town, job)
    assert [row["index"] for row in job.report()] == list(range(5000))
    assert rules_kept(town)["doubled"] == 0

    assert campaign.import_leads(leads(5000), idempotency_key="monday").id == job.id
    assert campaign.import_leads(leads(10), idempotency_key="tuesday").id != job.id


def test_an_import_that_broke_off_can_be_closed_with_what_it_has(town: Town) -> None:
    with pytest.raises(ImportInterrupted) as interrupted:
        town.fleet().campaign("voiso/1").import_leads(broken_off(1500))
    job = town.fleet().job(interrupted.value.job_id)
    job.cancel()
    progress = job.wait(10)
    assert (progress["leads"], progress["cancelled"]) == (1500, 1500)


def test_one_key_is_for_one_producer_at_a_time(town: Town) -> None:
    campaign = town.fleet().campaign("voiso/1")

    def rows() -> Iterator[dict[str, object]]:
        yield from leads(1500)
        with pytest.raises(WrongUse, match="another producer is at work with this key"):
            town.fleet().campaign("voiso/1").import_leads(leads(1500), idempotency_key="monday")

    job = campaign.import_leads(rows(), idempotency_key="monday")
    assert len(batches(town, job.id)) == 2


def test_redis_away_during_an_import_is_told_and_what_was_stored_is_kept(town: Town) -> None:
    town.account("voiso", timeout_s="1", lost_call_s="1")  # the quiet time after a restart
    worker = town.worker()
    fleet = town.fleet()
    campaign = fleet.campaign("voiso/1")

    def rows() -> Iterator[dict[str, object]]:
        yield from leads(3500)
        town.redis.kill()
        yield from leads(2500, start=3501)

    try:
        with pytest.raises(Unreachable, match="Redis: does not answer"):
            campaign.import_leads(rows(), idempotency_key="monday")
        with pytest.raises(Unreachable):
            fleet.campaign("voiso/1")
        with pytest.raises(Unreachable):
            campaign.import_leads(leads(1))
    finally:
        town.redis.start()
    job = campaign.import_leads(leads(6000), idempotency_key="monday")
    all_arrived(town, job)
    assert worker.running
    assert rules_kept(town)["doubled"] == 0


ENDLESS = """
import sys
from leadlane import Fleet

def rows():
    yield from ({"phone_number": f"+1212555{i:04d}"} for i in range(1, 3500))
    sys.stdin.read()

Fleet().campaign("voiso/1").import_leads(rows(), idempotency_key="monday")
"""


def test_a_killed_producer_leaves_what_it_stored_and_its_key_to_the_next(town: Town) -> None:
    producing = subprocess.Popen([sys.executable, "-c", ENDLESS], env=town.env, stdin=subprocess.PIPE)
    try:
        (job_id,) = until(
            lambda: [
                job for job in town.client.zrange("leadlane:jobs", 0, -1) if len(batches(town, job)) == 3
            ]
        )
    finally:
        producing.kill()
        producing.communicate()
    town.worker()
    campaign = town.fleet().campaign("voiso/1")
    until(lambda: town.fleet().job(job_id).progress().get("created") == 3000)
    rows = [{"phone_number": f"+1212555{i:04d}"} for i in range(1, 5000)]
    with pytest.raises(WrongUse, match="another producer is at work with this key"):
        campaign.import_leads(rows, idempotency_key="monday")
    minute_ago = int(town.client.hget(f"leadlane:job:{job_id}", "seen") or 0) - 61_000  # type: ignore[arg-type]
    town.client.hset(f"leadlane:job:{job_id}", "seen", minute_ago)
    job = campaign.import_leads(rows, idempotency_key="monday")
    assert job.id == job_id
    all_arrived(town, job)
    assert rules_kept(town)["doubled"] == 0


def test_waiting_without_a_worker_says_why(town: Town) -> None:
    job = town.fleet().campaign("voiso/1").import_leads(leads(10))
    with pytest.raises(
        TimeoutError, match=f"job {job.id}: 10 leads are still waiting; blocked by: no worker is alive"
    ):
        job.wait(timeout=0.1)
    worker = town.worker()
    all_arrived(town, job)
    assert worker.stop() == 0
    later = town.fleet().campaign("voiso/1").import_leads(leads(10, start=100))
    until(lambda: later.progress()["blocked_by"] == "no worker is alive")
