"""Slices: one lead a call, several calls at once, and what becomes of each lead whatever the dialer answers."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import httpx
import pytest

from leadlane.schemas.settings import Rate
from leadlane.workers import slices
from leadlane.workers.ledger import LOST_WORDS
from leadlane.workers.providers import PROVIDERS
from leadlane.workers.slices import UNKNOWN_LEAD, spent_s
from tests.unit.workers.desk import KEY, Desk, FakeDialer, leads, number

LOST = httpx.ReadError("gone")
UNREACHED = httpx.ConnectError("nobody there")
DUPLICATE = httpx.Response(
    422, json={"message": "A lead with this phone number already exists in this campaign."}
)


def error(status: int, words: str = "no", **headers: str) -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status, "message": words}, headers=headers)


def dialnexa(
    odd: dict[int, list[Any]] | None = None, answer: Any = None, **account: Any
) -> tuple[Desk, FakeDialer]:
    """A lead sent twice is called twice there."""
    dialer = FakeDialer({number(i): answers for i, answers in (odd or {}).items()}, answer)
    return Desk(dialer, "dialnexa", "cmp_1", **account), dialer


def voicery(
    odd: dict[int, list[Any]] | None = None, answer: Any = None, **account: Any
) -> tuple[Desk, FakeDialer]:
    """A lead sent twice is refused there as a duplicate."""
    dialer = FakeDialer({number(i): answers for i, answers in (odd or {}).items()}, answer)
    return Desk(dialer, "voicery", "3", **account), dialer


def in_one_line(monkeypatch: pytest.MonkeyPatch, provider: str) -> None:
    monkeypatch.setitem(PROVIDERS, provider, replace(PROVIDERS[provider], parallel=1))


def until_done(desk: Desk, ticket: str, turns: int = 10) -> int:
    """How many turns the ticket took to its end."""
    for n in range(1, turns + 1):
        if desk.turn(ticket).verdict == "done":
            return n
    raise AssertionError(f"not done after {turns} turns: {desk.codes(ticket)} {desk.fields(ticket)}")


def test_every_lead_is_sent_once_and_its_id_kept() -> None:
    desk, dialer = dialnexa()
    ticket = desk.put(leads(40))
    end = desk.turn(ticket)
    assert end.verdict == "done"
    assert end.result is not None
    assert end.result["created"] == 40
    assert Counter(dialer.numbers) == Counter({number(i): 1 for i in range(40)})
    assert desk.codes(ticket) == "c" * 40
    assert all(desk.engine.lead_ids.find("acct", "cmp_1", number(i)[1:]) for i in range(40))


def test_the_first_call_goes_alone_and_then_as_many_at_once_as_the_dialer_allows() -> None:
    busy, most, first_alone, lock = 0, 0, [], threading.Lock()
    together = threading.Barrier(5)

    def dialer(_: httpx.Request) -> httpx.Response:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
            first_alone.append(busy == 1)
            first = len(first_alone) == 1
        if not first:
            together.wait(10)
        with lock:
            busy -= 1
        return httpx.Response(201, json={"id": "lead_1"})

    desk = Desk(dialer, "dialnexa", "cmp_1")
    assert desk.turn(desk.put(leads(11))).verdict == "done"
    assert most == 5
    assert first_alone[0]


# No answer ------------------------------------------------------------------------------------------


def test_a_lost_answer_where_sending_again_could_double_is_uncertain_and_never_sent_again() -> None:
    desk, dialer = dialnexa({2: [LOST]})
    ticket = desk.put(leads(5))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "cc?cc"
    assert desk.reasons(ticket) == {"2": LOST_WORDS}
    assert Counter(dialer.numbers)[number(2)] == 1


def test_a_lost_answer_where_the_dialer_refuses_doubles_is_sent_again_and_its_duplicate_counts_as_created() -> (
    None
):
    desk, dialer = voicery({2: [LOST, DUPLICATE], 3: [DUPLICATE], 4: [LOST]})
    ticket = desk.put(leads(5))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "ccCdc"
    assert Counter(dialer.numbers) == {number(i): 1 + (i in (2, 4)) for i in range(5)}


def test_a_duplicate_that_was_asked_for_is_not_sent_again() -> None:
    desk, dialer = voicery({1: [LOST]})
    ticket = desk.put([*leads(1), {**leads(2)[1], "allow_duplicate": True}])
    until_done(desk, ticket)
    assert desk.codes(ticket) == "c?"
    assert Counter(dialer.numbers)[number(1)] == 1


def test_what_surely_did_not_leave_is_sent_again() -> None:
    desk, dialer = dialnexa({2: [UNREACHED]})
    ticket = desk.put(leads(5))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "ccccc"
    assert Counter(dialer.numbers)[number(2)] == 2


def test_that_an_answer_was_lost_once_is_not_forgotten_by_an_attempt_that_came_to_nothing() -> None:
    """Lost, then throttled, then a duplicate: it was ours."""
    desk, _ = voicery({0: [LOST, error(429), UNREACHED, DUPLICATE]})
    ticket = desk.put(leads(1))
    desk.turn(ticket)
    assert desk.codes(ticket) == "~"
    desk.turn(ticket)
    assert desk.codes(ticket) == "~"
    until_done(desk, ticket)
    assert desk.codes(ticket) == "C"


def test_a_dialer_that_falls_silent_costs_one_lead_a_slice() -> None:
    desk, dialer = dialnexa(answer=LOST)
    ticket = desk.put(leads(100))
    assert desk.turn(ticket).verdict == "parked"
    assert desk.turn(ticket).verdict == "parked"
    assert len(dialer.numbers) == 2
    assert desk.codes(ticket) == "??" + "." * 98
    assert desk.told("fails") == "2"
    assert desk.fields(ticket)["attempts"] == "2"


def test_a_lone_lead_that_fails_counts_as_an_attempt_and_is_dead_in_the_end() -> None:
    desk, dialer = voicery(answer=error(500))
    ticket = desk.put(leads(1))
    for _ in range(12):
        assert desk.turn(ticket).verdict == "parked"
    assert desk.turn(ticket).verdict == "dead"
    assert len(dialer.numbers) == 12


def test_three_failures_in_a_row_end_the_slice_and_the_breaker_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, dialer = voicery({i: [error(500)] for i in range(1, 50)})
    in_one_line(monkeypatch, "voicery")
    ticket = desk.put(leads(50))
    assert desk.turn(ticket).verdict == "parked"
    assert len(dialer.numbers) == 4
    assert desk.told("fails") == "1"
    assert desk.fields(ticket)["attempts"] == "0"  # one was answered: that is progress


# Answers that end the slice, and lose nothing -----------------------------------------------------


def test_a_429_ends_the_slice_and_costs_nothing() -> None:
    desk, dialer = dialnexa({3: [error(429, **{"retry-after": "7"})]})
    ticket = desk.put(leads(300))
    assert desk.turn(ticket).verdict == "parked"
    sent = len(dialer.numbers)
    assert sent < 300
    assert 0 < int(desk.told("cool")) - _now_ms(desk) <= 7000
    assert desk.turn(ticket).verdict == "parked"
    assert len(dialer.numbers) == sent  # while it cools down nothing is sent
    desk.later(7)
    until_done(desk, ticket)
    assert desk.codes(ticket) == "c" * 300
    assert Counter(dialer.numbers) == {number(i): 1 + (i == 3) for i in range(300)}
    assert desk.fields(ticket)["attempts"] == "0"


def test_a_throttled_lead_alone_costs_no_attempt() -> None:
    desk, _ = dialnexa(answer=error(429))
    ticket = desk.put(leads(1))
    for _ in range(15):
        assert desk.turn(ticket).verdict == "parked"
    assert desk.fields(ticket)["attempts"] == "0"


def _now_ms(desk: Desk) -> float:
    return time.time() * 1000 + int(desk.client.hget("leadlane:clock", "offset") or 0)


@pytest.mark.parametrize("status", [500, 502, 504, 408])
def test_a_5xx_leaves_open_whether_the_lead_was_taken(status: int) -> None:
    desk, dialer = dialnexa({1: [error(status)]})
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "c?c"
    assert Counter(dialer.numbers)[number(1)] == 1


def test_a_503_says_that_nothing_was_done() -> None:
    desk, dialer = dialnexa({1: [error(503)]})
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "ccc"
    assert Counter(dialer.numbers)[number(1)] == 2


def test_a_503_is_not_believed_where_sending_again_is_harmless() -> None:
    desk, _ = voicery({1: [error(503), DUPLICATE]})
    ticket = desk.put(leads(3))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "cCc"


def test_the_wish_of_a_503_is_heard() -> None:
    desk, _ = dialnexa(answer=error(503, **{"retry-after": "9"}))
    ticket = desk.put(leads(1))
    for _ in range(5):
        desk.turn(ticket)
    assert 0 < int(desk.told("cool")) - _now_ms(desk) <= 9000


def test_a_401_holds_the_account_and_burns_nothing() -> None:
    desk, dialer = dialnexa({3: [error(401, f"no such key: {KEY}")]})
    ticket = desk.put(leads(30))
    assert desk.turn(ticket).verdict == "parked"
    assert desk.told("hold") == "401: no such key: [key]"
    assert set(desk.codes(ticket)) == {"c", "."}
    desk.engine.lanes.hold("account", "acct", "")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "c" * 30
    assert Counter(dialer.numbers)[number(3)] == 2


def test_a_403_for_a_blocked_destination_rejects_that_lead_only() -> None:
    blocked = error(403, "The destination is blocked by the workspace's telephony settings")
    desk, _ = dialnexa({1: [blocked]})
    ticket = desk.put(leads(3))
    assert desk.turn(ticket).verdict == "done"
    assert desk.codes(ticket) == "crc"
    assert "blocked" in desk.reasons(ticket)["1"]
    assert desk.told("hold:import") == ""


def test_any_other_403_holds_the_operation() -> None:
    desk, _ = dialnexa({1: [error(403, "the key may not do this")]})
    ticket = desk.put(leads(3))
    assert desk.turn(ticket).verdict == "parked"
    assert desk.told("hold:import") == "403: the key may not do this"
    assert desk.told("hold") == ""
    desk.engine.lanes.hold("operation", "acct", "", "import")
    until_done(desk, ticket)
    assert desk.codes(ticket) == "ccc"


def test_a_409_waits_and_after_five_the_campaign_is_looked_at() -> None:
    desk, dialer = dialnexa(answer=error(409, "Campaign is completed"))
    ticket = desk.put(leads(1))
    for _ in range(4):
        assert desk.turn(ticket).verdict == "parked"
    assert [request.method for request in dialer.requests] == ["POST"] * 4
    dialer.odd[""] = [httpx.Response(200, json={"id": "cmp_1", "status": "completed"})]
    assert desk.turn(ticket).verdict == "parked"
    assert dialer.requests[-1].method == "GET"
    lane = desk.fields(ticket)["lane"]
    assert desk.client.hget(f"leadlane:lane:{lane}", "hold") == b"the campaign is completed"
    assert desk.fields(ticket)["attempts"] == "0"
    assert desk.codes(ticket).strip(".") == ""


def test_a_404_of_an_import_is_dead_with_its_reason_and_keeps_what_was_done() -> None:
    desk, _ = dialnexa({1: [error(404, "Campaign not found")]})
    ticket = desk.put(leads(2))
    end = desk.turn(ticket)
    assert (end.verdict, end.detail) == ("dead", "404: Campaign not found")
    assert desk.codes(ticket) == "c."


def test_a_redirect_is_dead_with_its_reason() -> None:
    desk, _ = voicery(answer=httpx.Response(302, headers={"location": "/login"}))
    assert desk.turn(desk.put(leads(1))).detail == "302: HTTP 302"


# One lead's own end -----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 422])
def test_a_refused_lead_is_rejected_in_the_dialers_words(status: int) -> None:
    desk, _ = dialnexa({1: [error(status, "name Lead 1 is not acceptable")]})
    ticket = desk.put(leads(3))
    assert desk.turn(ticket).verdict == "done"
    assert desk.codes(ticket) == "crc"
    assert desk.reasons(ticket) == {"1": "name [hidden] is not acceptable"}


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"ok":true}', b'"text"'])
def test_one_unreadable_2xx_among_others_leaves_its_lead_uncertain(body: bytes) -> None:
    desk, dialer = dialnexa({2: [httpx.Response(201, content=body)]})
    ticket = desk.put(leads(5))
    until_done(desk, ticket)
    assert desk.codes(ticket) == "cc?cc"
    assert desk.reasons(ticket) == {"2": "201: the dialer's answer cannot be read"}
    assert Counter(dialer.numbers)[number(2)] == 1


def test_a_dialer_that_answers_nonsense_only_makes_the_batch_dead() -> None:
    desk, dialer = dialnexa(answer=httpx.Response(200, content=b"<html>maintenance</html>"))
    ticket = desk.put(leads(50))
    assert desk.turn(ticket).detail == "200: the dialer's answer cannot be read"
    assert desk.codes(ticket) == "?" + "." * 49
    assert len(dialer.numbers) == 1


def test_updates_and_removals_name_the_lead_by_the_id_that_the_import_brought() -> None:
    desk, dialer = dialnexa()
    desk.turn(desk.put(leads(2)))
    ids = [desk.engine.lead_ids.find("acct", "cmp_1", number(i)[1:]) for i in range(2)]
    assert desk.turn(desk.put(leads(2), "update")).verdict == "done"
    assert desk.turn(desk.put([{"phone_number": number(0)}], "remove")).verdict == "done"
    sent = [(request.method, request.url.path) for request in dialer.requests[2:]]
    assert sent == [("PATCH", f"/v1/campaigns-leads/{i}") for i in ids] + [
        ("DELETE", f"/v1/campaigns-leads/{ids[0]}")
    ]


@pytest.mark.parametrize("operation", ["update", "remove"])
def test_a_lead_of_unknown_id_is_rejected_with_the_reason_and_nothing_sent(operation: str) -> None:
    desk, dialer = dialnexa()
    ticket = desk.put(leads(2), operation)
    assert desk.turn(ticket).verdict == "done"
    assert desk.codes(ticket) == "rr"
    assert set(desk.reasons(ticket).values()) == {UNKNOWN_LEAD}
    assert dialer.requests == []


def test_a_lead_that_is_gone_is_rejected_by_an_update_and_fine_for_a_removal() -> None:
    desk, dialer = dialnexa()
    desk.turn(desk.put(leads(1)))
    dialer.answer = error(404, "Lead not found")
    update, removal = desk.put(leads(1), "update"), desk.put([{"phone_number": number(0)}], "remove")
    desk.turn(update)
    desk.turn(removal)
    assert (desk.codes(update), desk.codes(removal)) == ("r", "m")


# The dialer's budget --------------------------------------------------------------------------------


def test_a_used_up_budget_ends_the_slice_until_the_dialer_counts_anew() -> None:
    reset = str(int(time.time()) + 30)
    spent = httpx.Response(
        201, json={"id": "lead_1"}, headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": reset}
    )
    desk, dialer = dialnexa({0: [spent]})
    ticket = desk.put(leads(20))
    assert desk.turn(ticket).verdict == "parked"
    assert dialer.numbers == [number(0)]
    assert desk.codes(ticket) == "c" + "." * 19
    assert 0 < int(desk.told("cool")) - _now_ms(desk) < 30_100


@pytest.mark.parametrize(
    ("remaining", "reset", "waits"),
    [
        ("0", "1060", 60.0),
        ("0", "999", 0.0),
        ("1", "1060", 0.0),
        ("", "", 0.0),
        ("0", "soon", 0.0),
        ("zero", "1060", 0.0),
        ("0", "99999999", 3600.0),
    ],
)
def test_the_wait_for_a_new_budget(remaining: str, reset: str, waits: float) -> None:
    headers = {"x-ratelimit-remaining": remaining, "x-ratelimit-reset": reset}
    assert spent_s(headers, PROVIDERS["dialnexa"], 1000.0) == waits
    assert spent_s(headers, PROVIDERS["voicery"], 1000.0) == 0.0


# Rate, time, cancel, lease --------------------------------------------------------------------------


def test_calls_begin_no_faster_than_the_accounts_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    in_one_line(monkeypatch, "dialnexa")  # the lines share the clock that waiting moves
    desk, dialer = dialnexa(rate=(Rate.parse("10/s"),))
    began: list[float] = []
    answered = dialer.__call__

    def dial(request: httpx.Request) -> httpx.Response:
        began.append(_now_ms(desk))
        return answered(request)

    desk.engine.transport = Desk(dial, "dialnexa", "cmp_1").engine.transport
    ticket = desk.put(leads(30))
    until_done(desk, ticket)
    began.sort()
    assert min(later - first for first, later in zip(began, began[10:], strict=False)) > 950


def test_a_rate_slower_than_a_slice_still_brings_a_lead_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_S", 0.05)
    desk, dialer = dialnexa(rate=(Rate.parse("1/m"),))
    desk.engine.sleep = lambda _: None  # real time passes, the lanes' does not
    ticket = desk.put(leads(3))
    for n in range(1, 4):
        desk.later(65)
        desk.turn(ticket)
        assert len(dialer.numbers) == n
    assert desk.codes(ticket) == "ccc"


def test_a_slice_ends_with_its_time_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "SLICE_S", -1.0)
    desk, dialer = dialnexa()
    ticket = desk.put(leads(4))
    assert desk.turn(ticket).verdict == "parked"
    monkeypatch.undo()
    assert desk.turn(ticket).verdict == "done"
    assert sorted(dialer.numbers) == [number(i) for i in range(4)]


def test_an_account_that_goes_on_hold_stops_the_slices_of_its_other_campaigns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slices, "SLICE_S", 0.3)
    desk: Desk

    def dialer(_: httpx.Request) -> httpx.Response:
        desk.engine.lanes.hold("account", "acct", "by hand")
        return httpx.Response(201, json={"id": "lead_1"})

    desk = Desk(dialer, "dialnexa", "cmp_1")
    ticket = desk.put(leads(9))
    assert desk.turn(ticket).verdict == "parked"
    assert desk.codes(ticket) == "c" + "." * 8


def test_a_cancel_in_the_middle_keeps_what_has_left_and_sends_no_more() -> None:
    desk, dialer = dialnexa()
    ticket = ""
    answered = dialer.__call__

    def dial(request: httpx.Request) -> httpx.Response:
        if len(dialer.requests) == 3:
            assert desk.engine.lanes.cancel(ticket) == "flagged"
        return answered(request)

    desk.engine.transport = Desk(dial, "dialnexa", "cmp_1").engine.transport
    ticket = desk.put(leads(40))
    desk.turn(ticket)
    codes = desk.codes(ticket)
    assert set(codes) == {"c", "x"}
    assert codes.count("c") == len(dialer.requests) < 10
    assert desk.fields(ticket)["end"] == "cancelled"


def test_a_cancel_does_not_hide_that_an_answer_was_lost() -> None:
    desk, _ = voicery({0: [LOST, error(429)]})
    ticket = desk.put(leads(1))
    desk.turn(ticket)
    desk.turn(ticket)
    desk.engine.lanes.cancel(ticket)
    assert desk.codes(ticket) == "?"


def test_a_lost_lease_stops_the_slice_before_the_next_call() -> None:
    desk, dialer = dialnexa()
    answered = dialer.__call__

    def dial(request: httpx.Request) -> httpx.Response:
        if len(dialer.requests) == 3:
            for turn in desk.engine.keeper._turns.values():
                turn.lost = True
        return answered(request)

    desk.engine.transport = Desk(dial, "dialnexa", "cmp_1").engine.transport
    ticket = desk.put(leads(40))
    desk.turn(ticket)
    assert len(dialer.requests) < 10
    assert desk.codes(ticket).count("c") == len(dialer.requests)
    assert set(desk.codes(ticket)) == {"c", "."}


def test_a_holder_that_lost_its_turn_takes_back_no_mark_of_the_next_one() -> None:
    desk, _ = voicery()
    ticket = desk.put(leads(2))
    lane, lanes = desk.fields(ticket)["lane"], desk.engine.lanes
    terms = {"number": 0, "lease_ms": 1000, "turn_ms": 5000, "lost_ms": 0, "gap_ms": 0, "room": 0}
    lanes.enter(ticket, "first", **terms)
    assert lanes.slice(lane, "first", begins=(ticket, 0)) == 0
    desk.later(20)
    lanes.dispatch()
    assert lanes.enter(ticket, "second", **terms).verdict == "granted"
    assert lanes.slice(lane, "second", begins=(ticket, 0)) == 0
    assert lanes.slice(lane, "first", ended=(ticket, 0), code=".", begins=(ticket, 1)) == -1
    assert desk.codes(ticket) == "~."
    assert lanes.slice(lane, "first", ended=(ticket, 0), code="c") == -1
    assert desk.codes(ticket) == "c."  # but what it knows for certain counts


@pytest.mark.parametrize("seed", range(5))
def test_parallel_lines_never_send_a_lead_twice(seed: int) -> None:
    """Slow and quick calls, failures among them: each lead of an unsafe import leaves at most once."""
    lock = threading.Lock()
    sent: Counter[str] = Counter()

    def dialer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        last = int(body["phoneNumber"]) + seed
        with lock:
            sent[body["phoneNumber"]] += 1
        time.sleep(last % 5 / 2000)
        if last % 17 == 0:
            raise LOST
        return httpx.Response(201, json={"id": f"lead_{last}"})

    desk = Desk(dialer, "dialnexa", "cmp_1")
    ticket = desk.put(leads(150))
    until_done(desk, ticket, 40)
    assert max(sent.values()) == 1
    assert len(sent) == 150
    lost = sum((int(number(i)[2:]) + seed) % 17 == 0 for i in range(150))
    assert Counter(desk.codes(ticket)) == {"c": 150 - lost, "?": lost}
