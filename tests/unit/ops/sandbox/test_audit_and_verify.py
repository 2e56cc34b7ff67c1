"""What the sandbox remembers, and how it judges by it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leadlane.ops.sandbox.audit import Audit
from leadlane.ops.sandbox.stage import AnswerLostError

LEADS = "/api/v4/campaigns/3/leads"
Stands = Callable[..., Any]


def test_every_request_is_in_the_audit_without_key_and_numbers(stand: Stands) -> None:
    dialer = stand(call_time_s=0.25)
    dialer.add("15550000001", "15550000000")
    dialer.send("GET", "/api/v4/users?email=agent42@sandbox.example", key="wrong")
    dialer.send("GET", "/elsewhere", key=None)
    imported, users, elsewhere = dialer.get("audit")["requests"]
    assert imported == {
        "n": 1,
        "dialer": "voiso",
        "operation": "import",
        "campaign": "3",
        "method": "POST",
        "path": LEADS,
        "key": "key 1",
        "started": 1010.0,
        "ended": 1010.25,
        "wall": 1_700_001_010.0,
        "status": 200,
        "size": 2,
        "stored": 1,
        "answered": True,
        "fault": None,
        "resent": {},
    }
    assert (users["operation"], users["key"], users["status"]) == ("list_users", "unknown", 401)
    assert (elsewhere["dialer"], elsewhere["key"], elsewhere["status"]) == ("-", "none", 404)
    assert not any(secret in str([imported, users]) for secret in ("sandbox-key", "wrong", "1555", "agent42"))


def test_the_audit_is_read_from_any_point(stand: Stands) -> None:
    dialer = stand()
    for _ in range(3):
        dialer.send("GET", "/api/v4/users")
    assert [row["n"] for row in dialer.get("audit?since=1")["requests"]] == [2, 3]
    page = dialer.get("audit?since=1&limit=1")
    assert ([row["n"] for row in page["requests"]], page["total"]) == ([2], 3)


def test_the_audit_file_has_a_line_for_each_request(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    record = audit.begin("GET", "/api/v4/users", started=1.0, wall=2.0)
    record.ended = 1.5
    audit.end(record)
    audit.close()
    lines = (tmp_path / "audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["ended"] for line in lines] == [1.5]


def test_the_gap_is_measured_from_the_end_to_the_next_start(stand: Stands) -> None:
    dialer = stand(gap_s=2.0, call_time_s=1.0)
    dialer.add("15550000001")
    dialer.add("15550000002", later_s=4.5)
    dialer.add("15550000003", later_s=2.5)
    verdict = dialer.verdict()
    assert (verdict["smallest_gap_s"], verdict["breaches"], verdict["most_at_once"]) == (2.5, 0, 1)
    assert (verdict["calls"], verdict["leads"], verdict["stored"], verdict["largest_call"]) == (3, 3, 3, 1)


def test_calls_too_early_or_too_large_are_breaches(stand: Stands) -> None:
    dialer = stand()
    dialer.add(*["15550000001"] * 1001)
    dialer.add("15550000001", later_s=1.0)
    verdict = dialer.verdict()
    assert (verdict["too_large"], verdict["too_early"], verdict["breaches"]) == (1, 1, 2)
    assert verdict["statuses"] == {"422": 1, "409": 1}
    assert dialer.get("verify")["breaches"] == 2


def test_a_failed_call_counts_for_the_gap_as_well(stand: Stands) -> None:
    """The dialer's front may have answered without the dialer: the client cannot know and must rest."""
    dialer = stand()
    dialer.fault("status", times=1)
    dialer.add("15550000001")
    assert dialer.add("15550000001", later_s=1.0).status_code == 200
    assert dialer.verdict()["too_early"] == 1


def test_a_number_sent_again_after_an_answer_that_named_it_is_doubled(stand: Stands) -> None:
    dialer = stand()
    for numbers in (["15550000001", "12"], ["15550000001", "15550000002"], ["15550000001", "12"]):
        dialer.add(*numbers)
    verdict = dialer.verdict()
    assert (verdict["resent_after_answer"], verdict["stored_twice"], verdict["doubled"]) == (3, 0, 3)
    assert verdict["breaches"] == 0
    assert [row["resent"] for row in dialer.get("audit")["requests"]] == [{}, {"1": 1}, {"1": 1, "2": 1}]
    counts = dialer.get("leads?campaign=3")["leads"]
    assert counts["15550000001"] == {"sent": 3, "stored": 1}
    assert counts["12"] == {"sent": 2, "stored": 0}


@pytest.mark.parametrize("fault", ["drop_before", "drop_after", "status", "html", "truncated_json"])
def test_a_number_whose_answer_was_lost_may_be_sent_again_once(stand: Stands, fault: str) -> None:
    dialer = stand()
    dialer.fault(fault, times=1)
    try:
        dialer.add("15550000001")
    except AnswerLostError:
        pass
    dialer.add("15550000001")
    assert dialer.verdict()["doubled"] == 0
    dialer.add("15550000001")
    assert dialer.verdict()["doubled"] == 1


def test_a_refused_call_has_told_nothing_of_its_numbers(stand: Stands) -> None:
    dialer = stand()
    dialer.add("15550000001", "x")
    dialer.add("15550000001")
    assert dialer.verdict()["doubled"] == 0


def test_a_number_twice_in_one_call_is_counted(stand: Stands) -> None:
    dialer = stand()
    dialer.add("15550000001", "15550000001", "15550000002")
    assert dialer.verdict()["repeated_in_call"] == 1


def test_settings_change_while_it_runs_and_a_wrong_one_changes_nothing(stand: Stands) -> None:
    dialer = stand()
    dialer.send("POST", "/_sandbox/settings", {"gap_s": 0.5})
    wrong = dialer.send("POST", "/_sandbox/settings", {"gap_s": 0.1, "rate": ["often"]})
    assert (wrong.status_code, wrong.json()) == (
        422,
        {"error": 'rate: must be a list of rates, such as ["10/s", "600/m"]'},
    )
    shown = dialer.get("settings")
    assert (shown["gap_s"], shown["rate"]) == (0.5, [])
    assert "sandbox-key" not in str(shown)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"gap": 1}, "gap_s"),
        ({"campaigns": -1}, "a count"),
        ({"retry_after": 1}, "true or false"),
        ({"keys": {"k": ["everything"]}}, "campaigns.manage"),
        ([1], "JSON object"),
    ],
)
def test_a_wrong_setting_is_told_what_would_be_right(stand: Stands, body: Any, word: str) -> None:
    answer = stand().send("POST", "/_sandbox/settings", body)
    assert answer.status_code == 422
    assert word in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"campaign": "501", "status": "paused"},
        {"campaign": "3", "status": "asleep"},
        {"campaign": "3", "live": "yes"},
        {"campaign": "3", "name": "Spring"},
        {"campaign": "3", "dialer": "nobody"},
    ],
)
def test_a_campaign_cannot_be_put_into_an_impossible_state(stand: Stands, body: Any) -> None:
    assert stand().send("POST", "/_sandbox/campaign", body).status_code == 422


def test_a_reset_is_a_new_day(stand: Stands) -> None:
    dialer = stand(gap_s=1.0)
    dialer.send("POST", "/_sandbox/settings", {"gap_s": 0})
    dialer.fault("status", match={"operation": "list_users"})
    dialer.add("15550000001")
    dialer.send("POST", "/_sandbox/reset")
    assert dialer.get("audit") == {"requests": [], "total": 0}
    assert (dialer.get("faults"), dialer.get("leads?campaign=3")["leads"]) == ({"faults": []}, {})
    assert (dialer.get("verify")["campaigns"], dialer.get("settings")["gap_s"]) == ({}, 1.0)
    assert dialer.add("15550000001", later_s=0).json()["leads_import"]["created"] == ["15550000001"]
