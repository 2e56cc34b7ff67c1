"""Faults on demand: whom they strike, and what the client and the dialer see of them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from leadlane.ops.sandbox.stage import AnswerLostError

LEADS = "/api/v4/campaigns/3/leads"
Stands = Callable[..., Any]


def test_a_fault_strikes_whom_it_matches_as_often_as_it_may(stand: Stands) -> None:
    dialer = stand()
    dialer.fault("status", match={"operation": "import", "campaign": "3"}, times=2)
    assert dialer.add("15550000001", campaign=4).status_code == 200
    assert dialer.send("GET", "/api/v4/campaigns/3").status_code == 200
    assert [dialer.add("15550000001").status_code for _ in range(3)] == [503, 503, 200]
    assert dialer.get("faults")["faults"][0]["hits"] == 2


def test_a_fault_may_be_left_to_the_dice(stand: Stands) -> None:
    dialer = stand()  # its dice always show 0.5
    dialer.fault("status", probability=0.5)
    assert dialer.send("GET", "/api/v4/users").status_code == 200
    dialer.fault("status", probability=0.51, status=500)
    assert dialer.send("GET", "/api/v4/users").status_code == 500


def test_faults_end_when_they_are_taken_away(stand: Stands) -> None:
    dialer = stand()
    dialer.fault("html", status=502)
    assert dialer.send("GET", "/api/v4/users").headers["content-type"].startswith("text/html")
    dialer.send("DELETE", "/_sandbox/faults")
    assert dialer.send("GET", "/api/v4/users").status_code == 200


@pytest.mark.parametrize("wanted", [2, "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_status_may_say_when_to_come_again(stand: Stands, wanted: Any) -> None:
    dialer = stand()
    dialer.fault("status", status=429, retry_after=wanted)
    answer = dialer.add("15550000001")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(wanted))
    assert dialer.verdict()["stored"] == 0


def test_a_redirect_leads_away(stand: Stands) -> None:
    dialer = stand()
    dialer.fault("redirect")
    answer = dialer.send("GET", "/api/v4/users")
    assert (answer.status_code, answer.headers["location"]) == (302, "/login")


@pytest.mark.parametrize(("fault", "stored"), [("drop_before", 0), ("drop_after", 1)])
def test_a_lost_answer_is_lost_before_the_work_or_after_it(stand: Stands, fault: str, stored: int) -> None:
    dialer = stand()
    dialer.fault(fault, times=1)
    with pytest.raises(AnswerLostError):
        dialer.add("15550000001")
    assert dialer.verdict()["stored"] == stored
    record = dialer.get("audit")["requests"][0]
    assert (record["answered"], record["status"], record["fault"]) == (False, None, fault)


def test_a_truncated_answer_is_no_json_any_more_but_the_work_is_done(stand: Stands) -> None:
    dialer = stand()
    dialer.fault("truncated_json", times=1)
    answer = dialer.add("15550000001")
    assert answer.status_code == 200
    with pytest.raises(ValueError):
        answer.json()
    assert dialer.add("15550000001").json()["leads_import"]["duplicates"] == ["15550000001"]


def test_a_slow_body_comes_whole(stand: Stands) -> None:
    dialer = stand()
    dialer.fault("slow_body", delay_s=0.5, times=1)
    answer = dialer.add("15550000001")
    assert answer.json()["leads_import"]["created"] == ["15550000001"]
    assert dialer.now == 1010 + 0.5 * (len(answer.content) - 1)


def test_latency_is_time_in_which_the_dialer_works(stand: Stands) -> None:
    """A client that gives up waiting must not come again at once: its lost call still runs."""
    dialer = stand(gap_s=0)
    dialer.fault("latency", delay_s=5, times=1)

    async def impatient() -> list[int]:
        works, done = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            works.set()
            await done.wait()

        dialer.sleep = sleep
        async with dialer.client() as client:
            first = asyncio.create_task(client.post(LEADS, json=[{"phone_number": "15550000001"}]))
            await works.wait()
            again = await client.post(LEADS, json=[{"phone_number": "15550000001"}])
            done.set()
            return [again.status_code, (await first).status_code]

    assert asyncio.run(impatient()) == [409, 200]


@pytest.mark.parametrize(
    ("rule", "word"),
    [
        ({"fault": "earthquake"}, "drop_after"),
        ({"fault": "status", "status": 99}, "between 200 and 599"),
        ({"fault": "status", "probability": 2}, "between 0 and 1"),
        ({"fault": "status", "match": {"phone": "1"}}, "operation, campaign"),
        ({"fault": "status", "times": 0}, "a count from 1"),
        ({"fault": "status", "colour": "red"}, "colour"),
        ({}, "fault"),
        ("status", "object"),
    ],
)
def test_a_rule_that_cannot_be_one_is_refused_with_what_would_be_right(
    stand: Stands, rule: Any, word: str
) -> None:
    answer = stand().send("POST", "/_sandbox/faults", rule)
    assert answer.status_code == 422
    assert word in answer.json()["error"]
