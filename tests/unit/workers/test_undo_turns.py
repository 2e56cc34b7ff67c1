"""The turn of an undoing takes back what the batch before it brought, as that is known by then, and no more."""

from typing import Any

from leadlane.workers.undoing import undo
from tests.unit.workers.desk import Desk, FakeDialer, leads, number
from tests.unit.workers.lane_kit import move
from tests.unit.workers.test_sparing import Voiso, voiso

TERMS = {"number": 0, "lease_ms": 12_000, "turn_ms": 60_000, "lost_ms": 0, "gap_ms": 0, "room": 1000}


def undone_aboard(desk: Desk, n: int, codes: str) -> str:
    """An import that is aboard when it is undone, and ends so: the ticket that takes it back."""
    ticket, lanes, jobs = desk.put(leads(n)), desk.engine.lanes, desk.engine.jobs
    entry = lanes.enter(ticket, "k", **TERMS)
    undoing = undo(jobs, ticket.partition("-")[0])
    nothing = {
        "signal": "none",
        "reason": "",
        "began_ms": 0,
        "base_ms": 0,
        "cap_ms": 0,
        "dice": 0,
        "fails": 9,
    }
    document: dict[str, Any] = {"lane": entry.lane, "token": "k", "rest_ms": 0, "may_call": False}
    lanes.leave(
        document
        | {"account": nothing | {"acct": "acct", "op": "import"}, "tickets": [move(ticket, codes=codes)]}
    )
    (taking,) = jobs.batches(undoing)
    return taking


def test_only_what_the_call_brought_is_made_inactive() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    taking = undone_aboard(desk, 8, "cCa?durx")
    assert desk.turn(taking).verdict == "done"
    (call,) = dialer.calls
    assert call == [{"phone_number": number(i)[1:], "active": False} for i in range(4)]
    assert desk.codes(taking)[4:] == "dfxx"
    told = desk.reasons(taking)
    assert told["4"] == "the dialer had it before that job"
    assert told["5"] == "that job updated it, and what it was before is not known"
    assert told["6"] == told["7"] == "that job did not bring it, after all: there is nothing to take back"


def test_where_nothing_came_nothing_is_called() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    taking = undone_aboard(desk, 2, "rd")
    assert desk.turn(taking).verdict == "done"
    assert (dialer.calls, desk.codes(taking)) == ([], "xd")


def test_what_became_of_a_batch_that_is_no_longer_kept_is_not_known_and_all_is_taken_back() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    taking = undone_aboard(desk, 2, "rd")
    desk.client.delete(f"leadlane:pay:{desk.fields(taking)['undoes']}")
    desk.turn(taking)
    assert len(dialer.calls[0]) == 2


def test_the_removal_names_the_very_lead_that_the_batch_brought() -> None:
    dialer = FakeDialer()
    desk = Desk(dialer, "dialnexa", "cmp_1")
    first, second = desk.put(leads(2)), desk.put(leads(1, name="Again"))
    for ticket in (first, second):
        desk.turn(ticket)
    (taking,) = desk.engine.jobs.batches(undo(desk.engine.jobs, first.partition("-")[0]))
    desk.turn(taking)
    gone = [request.url.path for request in dialer.requests if request.method == "DELETE"]
    assert gone == ["/v1/campaigns-leads/lead_2"]
    assert desk.codes(taking) == "rm"
    assert "the number was brought again since" in desk.reasons(taking)["0"]


def test_of_an_import_that_updated_only_what_it_created_is_taken_back() -> None:
    desk = voiso(Voiso())
    ticket = desk.put(leads(4), on_duplicate="update")
    desk.client.set(f"leadlane:out:{ticket}", "cu?.")
    desk.client.hset(f"leadlane:t:{ticket}", "op", "update")
    (taking,) = desk.engine.jobs.batches(undo(desk.engine.jobs, ticket.partition("-")[0]))
    assert desk.codes(taking) == ".ff"
    assert "look in the dialer" in desk.reasons(taking)["2"]


def test_an_account_that_moved_takes_nothing_back_elsewhere() -> None:
    desk = voiso(Voiso())
    ticket = desk.put(leads(1))
    desk.client.set(f"leadlane:out:{ticket}", "c")
    facts = desk.client.hget("leadlane:acct:acct", "facts")
    assert facts
    desk.client.hset("leadlane:acct:acct", "facts", facts.replace(b"dialer.test", b"another.test"))
    (taking,) = desk.engine.jobs.batches(undo(desk.engine.jobs, ticket.partition("-")[0]))
    assert desk.codes(taking) == "f"
    assert "another address" in desk.reasons(taking)["0"]
