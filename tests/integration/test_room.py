"""Producers where as many leads wait as may: on the real scripts, without workers."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane import Fleet
from leadlane.errors import ImportInterrupted, LaneFull, WrongUse
from leadlane.ops.main import app
from leadlane.schemas.settings import load_settings
from leadlane.workers.accounts import publish_facts
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes
from tests.integration.conftest import until

LIMITS = {"MAX_WAITING": "5000", "MAX_WAITING_PER_CAMPAIGN": "2000"}


@pytest.fixture
def jobs(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    """Of an account of which 5000 leads may wait, 2000 in a campaign. A worker lives, and takes nothing."""
    given = {"PROVIDER": "voiso", "BASE_URL": "https://dialer.example", "API_KEY": "env:NONE", **LIMITS}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", redis_url)
    with monkeypatch.context() as of_a_worker:
        for name, value in given.items():
            of_a_worker.setenv(f"LEADLANE_ACCOUNTS__VOISO__{name}", value)
        settings = load_settings()
    lanes = Lanes.of(settings)
    publish_facts(lanes, settings)
    lanes.alive("w", for_ms=120_000, slots={"turns": 4, "control": 1})
    return Jobs(lanes)


def rows(n: int, first: int = 0) -> Iterator[dict[str, str]]:
    return ({"phone_number": f"+1212{5550000 + first + i}"} for i in range(n))


def aside(act: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_producer_without_settings_is_told_what_is_safe_and_the_same_key_goes_on(jobs: Jobs) -> None:
    spring = Fleet().campaign("voiso/3")
    with pytest.raises(LaneFull) as told:
        spring.import_leads(rows(2500), idempotency_key="spring", on_full="raise")
    full = told.value
    assert (full.campaign, full.of, full.waiting, full.limit) == ("voiso/3", "campaign", 2000, 2000)
    assert full.rows_stored == 2000
    job = spring.job(full.job_id)
    progress = job.progress()
    assert (progress["leads"], progress["ended"]) == (2000, False)
    assert progress["blocked_by"] == (
        "the campaign is full, its producer waits for room: 2,000 leads wait, of 2,000 that may"
    )
    jobs.lanes.cancel(jobs.batches(job.id)[0])
    again = spring.import_leads(rows(2500), idempotency_key="spring", on_full="raise")
    assert (again.id, again.progress()["leads"], again.progress()["blocked_by"]) == (job.id, 2500, None)


def test_waiting_goes_on_when_there_is_room(jobs: Jobs) -> None:
    spring = Fleet().campaign("voiso/3")
    before = spring.import_leads(rows(2000))
    looks: list[LaneFull] = []

    def look(full: LaneFull) -> None:
        looks.append(full)
        if len(looks) == 2:
            jobs.cancel(before.id)

    job = spring.import_leads(rows(1500, first=5000), on_full=look)
    assert len(looks) == 2
    assert (looks[0].rows_stored, looks[0].waiting) == (0, 2000)
    assert job.progress()["leads"] == 1500


def test_wait_is_what_happens_if_nothing_is_said(jobs: Jobs) -> None:
    spring = Fleet().campaign("voiso/3")
    before = spring.import_leads(rows(2000))
    found: list[Any] = []
    thread = aside(lambda: found.append(spring.update_leads(rows(10))))
    until(lambda: _refused(jobs))
    assert _refused(jobs) == ["10"]
    jobs.cancel(before.id)
    thread.join(30)
    assert found[0].progress()["leads"] == 10


def _open(jobs: Jobs) -> list[str]:
    return [job.decode() for job in jobs.client.zrange(jobs.lanes.key("jobs"), 0, -1)]


def _refused(jobs: Jobs) -> list[str]:
    return [refused for job in _open(jobs) if (refused := jobs.fields(job).get("refused"))]


def test_what_breaks_off_a_wait_leaves_the_job_open_with_what_is_stored(jobs: Jobs) -> None:
    spring = Fleet().campaign("voiso/3")

    def give_up(_: LaneFull) -> None:
        raise InterruptedError

    with pytest.raises(ImportInterrupted) as told:
        spring.import_leads(rows(3000), idempotency_key="spring", on_full=give_up)
    assert told.value.rows_taken == 2000
    assert spring.standing("import", "spring").state == "broken off"


def test_the_limit_of_the_account_holds_over_its_campaigns(jobs: Jobs) -> None:
    fleet = Fleet()
    for campaign in ("1", "2"):
        fleet.campaign(f"voiso/{campaign}").import_leads(rows(2000))
    with pytest.raises(LaneFull) as told:
        fleet.campaign("voiso/3").import_leads(rows(2000), on_full="raise")
    assert (told.value.of, told.value.limit, told.value.rows_stored) == ("account", 5000, 1000)


def test_opt_outs_and_commands_find_room_in_what_is_full(jobs: Jobs) -> None:
    spring = Fleet().campaign("voiso/3")
    spring.import_leads(rows(2000))
    opt_out = {"phone_number": "+12125559999", "do_not_call": True}
    with pytest.raises(LaneFull):
        spring.import_leads([opt_out, *rows(5, first=7000)], on_full="raise")
    assert jobs.client.smembers(jobs.lanes.key("scopes")) == {b"account/voiso/dialer.example"}
    assert spring.stop().id


def test_another_word_is_refused_before_anything_is_stored(jobs: Jobs) -> None:
    with pytest.raises(WrongUse, match="on_full"):
        Fleet().campaign("voiso/3").import_leads(rows(1), on_full="stop")  # type: ignore[arg-type]
    assert _open(jobs) == []


def test_the_command_line_waits_and_says_so_and_ends_when_asked(jobs: Jobs, tmp_path: Path) -> None:
    Fleet().campaign("voiso/3").import_leads(rows(2000))
    file = tmp_path / "leads.csv"
    file.write_text("phone\n" + "".join(f"{row['phone_number']}\n" for row in rows(1200, first=5000)))

    def ask_it_to_end() -> None:
        until(lambda: _refused(jobs))
        os.kill(os.getpid(), signal.SIGINT)

    thread = aside(ask_it_to_end)
    ended = CliRunner().invoke(app, ["import", str(file), "--campaign", "voiso/3", "--json"])
    thread.join(30)
    assert ended.exit_code == 130, ended.output
    assert (
        "waiting for room, expected in about 1 s: 2,000 leads wait for the campaign, of 2,000" in ended.stderr
    )
    assert json.loads(ended.stdout)["rows_taken"] == 0


def test_the_command_line_ends_at_once_if_told_to(jobs: Jobs, tmp_path: Path) -> None:
    Fleet().campaign("voiso/3").import_leads(rows(2000))
    file = tmp_path / "leads.csv"
    file.write_text("phone\n+12125559999\n")
    ended = CliRunner().invoke(
        app, ["import", str(file), "--campaign", "voiso/3", "--on-full", "raise", "--json"]
    )
    assert ended.exit_code == 3, ended.output
    assert "campaign 'voiso/3': 2,000 leads wait, of 2,000 that may" in ended.stderr


def test_lists_show_what_waits_beside_what_may(jobs: Jobs) -> None:
    Fleet().campaign("voiso/3").import_leads(rows(1500))
    (lane,) = json.loads(CliRunner().invoke(app, ["lane", "list", "--json"]).stdout)["lanes"]
    assert (lane["leads"], lane["leads_limit"]) == (1500, 2000)
    assert "1,500 of 2,000" in CliRunner().invoke(app, ["lane", "list"]).stdout
    (account,) = json.loads(CliRunner().invoke(app, ["account", "list", "--json"]).stdout)["accounts"]
    assert (account["leads"], account["leads_limit"]) == (1500, 5000)
    assert "1,500 of 5,000" in CliRunner().invoke(app, ["account", "list"]).stdout


def test_the_receipt_says_when_its_last_lead_will_have_left_and_when_there_is_room(jobs: Jobs) -> None:
    jobs.client.hset(jobs.lanes.key("acct", "voiso"), "call_ms", 3000)
    jobs.lanes.alive("w", for_ms=120_000, slots={"turns": 4, "control": 1})
    spring = Fleet().campaign("voiso/3")
    job = spring.import_leads(rows(2000))
    assert job.eta is not None
    left = (datetime.fromisoformat(job.eta) - datetime.now(UTC)).total_seconds()
    assert 6 < left < 9  # two calls and a gap of two seconds
    shown = CliRunner().invoke(app, ["job", "show", job.id]).stdout
    assert "its last lead will have left in about" in shown
    with pytest.raises(LaneFull, match="room in about") as told:
        spring.import_leads(rows(1000), on_full="raise")
    assert told.value.room_in_s is not None
    jobs.lanes.hold("account", "voiso", "key refused")
    assert (job.eta, job.progress()["eta"]) == (None, None)
    with pytest.raises(LaneFull, match="nobody can say") as told:
        spring.import_leads(rows(1000), on_full="raise")
    assert told.value.room_in_s is None
