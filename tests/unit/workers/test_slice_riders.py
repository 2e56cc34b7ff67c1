"""Tickets of one campaign that share a slice: each with its own outcomes and end, as if it were alone."""

from typing import Any

import httpx
import pytest

from leadlane.workers.lanes import MOST_RIDERS
from leadlane.workers.ledger import LOST_WORDS
from tests.unit.workers.desk import Desk, FakeDialer, leads, number

LOST = httpx.ReadError("gone")
TERMS: dict[str, Any] = {"number": 0, "lease_ms": 1000, "turn_ms": 5000, "lost_ms": 0, "gap_ms": 0, "room": 0}


def error(status: int) -> httpx.Response:
    return httpx.Response(status, json={"statusCode": status, "message": "no"})


def desk_of(odd: dict[int, list[Any]] | None = None, provider: str = "dialnexa") -> tuple[Desk, FakeDialer]:
    dialer = FakeDialer({number(i): answers for i, answers in (odd or {}).items()})
    return Desk(dialer, provider, "cmp_1" if provider == "dialnexa" else "3"), dialer


def singles(desk: Desk, n: int, **options: Any) -> list[str]:
    """A ticket for each lead."""
    return [desk.put([lead], **options) for lead in leads(n)]


def states(desk: Desk, tickets: list[str]) -> list[str]:
    return [desk.fields(ticket)["state"] for ticket in tickets]


def finish_list(desk: Desk) -> set[str]:
    return {ticket.decode() for ticket in desk.client.zrange("leadlane:finish", 0, -1)}


def test_single_leads_of_a_campaign_ride_together_and_each_has_its_end() -> None:
    desk, dialer = desk_of({2: [error(422)], 3: [LOST]})
    finished: list[Any] = []
    desk.engine.finish = lambda rows, _: finished.extend(rows)
    tickets = singles(desk, 6)
    end = desk.turn(tickets[0])
    assert end.result is not None
    assert (end.result["leads"], end.result["created"]) == (1, 1)
    assert sorted(dialer.numbers) == [number(i) for i in range(6)]
    assert [desk.codes(ticket) for ticket in tickets] == ["c", "c", "r", "?", "c", "c"]
    assert states(desk, tickets) == ["done"] * 6
    assert desk.reasons(tickets[3])["0"] == LOST_WORDS
    assert finish_list(desk) == set(tickets[1:])
    told = {row.ticket: outcome for row, outcome in finished}
    assert [told[ticket]["leads"] for ticket in tickets[1:]] == [1] * 5
    assert told[tickets[2]]["rejected"] == told[tickets[3]]["uncertain"] == told[tickets[4]]["created"] == 1
    assert {desk.fields(ticket)["calls"] for ticket in tickets} == {"1"}


def test_batches_and_single_leads_ride_while_a_thousand_leads_are_not_aboard() -> None:
    desk, _ = desk_of()
    rows = leads(1010)
    tickets = [desk.put(rows[:600]), desk.put(rows[600:601]), desk.put(rows[601:1000]), desk.put(rows[1000:])]
    aboard = desk.engine.lanes.enter(tickets[0], "one", **TERMS).rows
    assert [row.ticket for row in aboard] == tickets[:3]


def test_no_more_tickets_ride_than_a_script_can_move() -> None:
    desk, _ = desk_of()
    tickets = singles(desk, MOST_RIDERS + 3)
    assert len(desk.engine.lanes.enter(tickets[0], "one", **TERMS).rows) == MOST_RIDERS + 1


def test_an_update_does_not_ride_with_an_import_and_imports_behind_it_wait() -> None:
    desk, dialer = desk_of()
    first, update, behind = (
        desk.put(leads(1)),
        desk.put(leads(1, name="Bob"), operation="update"),
        desk.put(leads(2)[1:]),
    )
    desk.turn(first)
    assert states(desk, [first, update, behind]) == ["done", "waiting", "waiting"]
    desk.turn(update)
    desk.turn(behind)
    assert [request.method for request in dialer.requests] == ["POST", "PATCH", "POST"]


def test_the_same_number_in_two_updates_is_sent_in_their_order_one_slice_after_the_other() -> None:
    desk, dialer = desk_of()
    desk.turn(desk.put(leads(2)))
    old = desk.put(leads(2, name="Old"), operation="update")
    new = desk.put(leads(1, name="New"), operation="update")
    desk.turn(old)
    assert states(desk, [old, new]) == ["done", "waiting"]
    assert desk.fields(new)["calls"] == "0"
    assert desk.turn(new).verdict == "done"
    assert "New" in str(dialer.bodies[-1])
    assert len(dialer.bodies) == 5


def test_a_cancelled_rider_is_left_out_and_the_others_go_on() -> None:
    desk, dialer = desk_of()
    tickets: list[str] = []

    def dial(request: httpx.Request) -> httpx.Response:
        if not dialer.requests:
            assert desk.engine.lanes.cancel(tickets[2]) == "flagged"
        return dialer(request)

    desk.engine.transport = Desk(dial, "dialnexa", "cmp_1").engine.transport
    tickets.extend(singles(desk, 5))
    desk.turn(tickets[0])
    assert [desk.codes(ticket) for ticket in tickets] == ["c", "c", "x", "c", "c"]
    assert number(2) not in dialer.numbers


@pytest.mark.parametrize(
    ("answer", "cost"), [(error(429), 0), (error(401), 0), (error(409), 0), (error(503), 1)]
)
def test_what_stops_a_slice_touches_no_rider_and_costs_only_who_failed(answer: Any, cost: int) -> None:
    desk, dialer = desk_of({0: [answer]})
    tickets = singles(desk, 4)
    assert desk.turn(tickets[0]).verdict == "parked"
    assert len(dialer.requests) == 1
    assert states(desk, tickets) == ["waiting"] * 4
    assert [desk.codes(ticket).strip(".") for ticket in tickets] == [""] * 4
    assert [desk.fields(ticket)["attempts"] for ticket in tickets] == [str(cost), "0", "0", "0"]


def test_a_lead_that_kills_its_call_each_time_wears_out_alone() -> None:
    """The dialer is in order: others are taken in the same slices, and still the attempts of this one count."""
    desk, _ = desk_of({1: [error(503)] * 99})
    tickets = singles(desk, 2)
    bad = tickets[1]
    for i in range(2, 40):
        tickets.append(desk.put(leads(40)[i : i + 1]))
        for ticket in [one for one in tickets if desk.fields(one)["state"] == "waiting"]:
            desk.turn(ticket)
        if desk.fields(bad)["state"] == "dead":
            break
    assert states(desk, tickets).count("done") >= len(tickets) - 2
    assert desk.fields(bad)["attempts"] == "12"
    assert desk.fields(bad)["reason"].startswith("too_many_attempts")


def test_a_ticket_that_must_die_takes_no_rider_with_it() -> None:
    desk, _ = desk_of({0: [error(404)]})
    tickets = singles(desk, 3)
    assert desk.turn(tickets[0]).verdict == "dead"
    assert states(desk, tickets) == ["dead", "waiting", "waiting"]
    desk.turn(tickets[1])
    assert states(desk, tickets) == ["dead", "done", "done"]


def test_after_a_crash_those_in_the_air_are_known_and_the_others_ride_again() -> None:
    desk, dialer = desk_of()
    tickets = singles(desk, 4)
    lane, lanes = desk.fields(tickets[0])["lane"], desk.engine.lanes
    assert len(lanes.enter(tickets[0], "dead", **TERMS).rows) == 4
    assert lanes.slice(lane, "dead", begins=(tickets[0], 0)) == 0
    assert lanes.slice(lane, "dead", begins=(tickets[1], 0)) == 0
    assert lanes.slice(lane, "dead", ended=(tickets[1], 0), code="c", begins=(tickets[2], 0)) == 0
    desk.later(20)
    lanes.dispatch()
    assert [desk.codes(ticket) for ticket in tickets] == ["~", "c", "~", ""]
    assert lanes.cancel(tickets[3]) == "cancelled"
    assert desk.codes(tickets[3]) == "x"  # it was aboard, but surely never left
    more = desk.put(leads(5)[4:])
    desk.turn(tickets[0])
    assert [desk.codes(ticket) for ticket in (*tickets, more)] == ["?", "c", "?", "x", "c"]
    assert dialer.numbers == [number(4)]


def test_a_batch_that_was_aboard_of_two_crashes_travels_alone() -> None:
    desk, _ = desk_of()
    tickets = singles(desk, 3)
    lanes = desk.engine.lanes
    for token, aboard in (("one", 3), ("two", 3), ("three", 1)):
        assert len(lanes.enter(tickets[0], token, **TERMS).rows) == aboard
        desk.later(20)
        lanes.dispatch()


def test_a_lead_without_answer_waits_behind_the_other_imports() -> None:
    """Where it may be sent again it does so after its backoff, and the lane does not wait for that."""
    desk, dialer = desk_of({1: [LOST]}, "voicery")
    desk.engine.dice = lambda: 1.0
    tickets = singles(desk, 3)
    desk.turn(tickets[0])
    assert states(desk, tickets) == ["done", "waiting", "done"]
    more = desk.put(leads(4)[3:])
    assert desk.turn(more).verdict == "done"
    assert dialer.numbers.count(number(1)) == 1
    desk.later(5)
    assert desk.turn(tickets[1]).verdict == "done"
    assert desk.codes(tickets[1]) == "c"
