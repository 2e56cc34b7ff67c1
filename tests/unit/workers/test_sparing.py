"""Who has opted out is in no call, whatever the attempt and the dialer; while opt-outs are taken in there is none."""

import json
from typing import Any

import httpx
import pytest

from leadlane.workers.accounts import read_facts
from leadlane.workers.blocking import OPT_OUTS, blocked_by
from leadlane.workers.intake import Intake
from leadlane.workers.optouts import suppress
from tests.unit.workers.desk import Desk, FakeDialer, leads, number

CENTRE = "account/voiso/dialer.test"


def digits(i: int) -> str:
    return number(i).lstrip("+")


class Voiso:
    """Takes all leads of a call; `silent` answers are lost."""

    def __init__(self, silent: int = 0) -> None:
        self.silent = silent
        self.calls: list[list[dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.calls.append(body)
        if len(self.calls) <= self.silent:
            raise httpx.ReadTimeout("gone")
        numbers = [lead["phone_number"] for lead in body]
        return httpx.Response(200, json={"leads_import": {"created": numbers, "duplicates": []}})

    @property
    def numbers(self) -> list[list[str]]:
        return [[lead["phone_number"] for lead in call] for call in self.calls]


def voiso(dialer: Any) -> Desk:
    desk = Desk(dialer, "voiso", "3", import_gap_s=0.0)
    desk.engine.lanes.alive("w", for_ms=10**9, slots={"turns": 1, "control": 1})
    return desk


def called(desk: Desk) -> list[str]:
    return [call.ticket for call in desk.engine.lanes.dispatch().calls]


def test_an_opted_out_lead_is_left_out_of_the_call_and_its_row_says_so() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    desk.engine.opt_outs.add(CENTRE, [digits(1)], "job")
    ticket = desk.put(leads(3))
    assert desk.turn(ticket).verdict == "done"
    assert dialer.numbers == [[digits(0), digits(2)]]
    assert desk.codes(ticket) == "csc"
    assert desk.reasons(ticket) == {"1": "the person has opted out"}


def test_a_batch_of_nobody_else_ends_without_a_call() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    desk.engine.opt_outs.add("all", [digits(0)], "job")
    ticket = desk.put(leads(1))
    assert desk.turn(ticket).verdict == "done"
    assert (dialer.calls, desk.codes(ticket)) == ([], "s")


def test_riders_are_looked_through_too() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    first, second = desk.put(leads(2)), desk.put(leads(4)[2:])
    desk.engine.opt_outs.add(CENTRE, [digits(2)], "job")
    desk.turn(first)
    assert dialer.numbers == [[digits(0), digits(1), digits(3)]]
    assert (desk.codes(first), desk.codes(second)) == ("cc", "sc")


def test_one_whose_earlier_call_got_no_answer_is_uncertain_and_not_sent_again() -> None:
    dialer = Voiso(silent=1)
    desk = voiso(dialer)
    ticket = desk.put(leads(2))
    assert desk.turn(ticket).verdict == "parked"
    desk.engine.opt_outs.add(CENTRE, [digits(1)], "job")
    desk.later(30)
    assert desk.turn(ticket).verdict == "done"
    assert dialer.numbers == [[digits(0), digits(1)], [digits(0)]]
    assert desk.codes(ticket) == "c?"
    assert "opted out since" in desk.reasons(ticket)["1"]


def test_an_update_goes_to_them_only_if_it_tells_the_dialer() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    desk.engine.opt_outs.add(CENTRE, [digits(0), digits(1), digits(2)], "job")
    rows = [{"phone_number": number(0), "name": "New"}, {"phone_number": number(1), "active": True}]
    ticket = desk.put([*rows, {"phone_number": number(2), "active": False}], "update")
    desk.turn(ticket)
    assert dialer.calls == [[{"phone_number": digits(2), "active": False}]]
    assert desk.codes(ticket)[:2] == "ss"


def test_a_lane_waits_while_opt_outs_of_its_scope_are_taken_in_and_goes_on_after() -> None:
    desk = voiso(Voiso())
    ticket = desk.put(leads(2))
    lanes, facts = desk.engine.lanes, read_facts(desk.engine.lanes, "acct")
    one, two = suppress(CENTRE, [digits(1)], source="a"), suppress("all", [digits(1)], source="b")
    for opt_out in (one, two):
        lanes.submit(opt_out, may_call=False)
    lane = facts.lane("3")
    assert ticket not in called(desk)
    job = {"acct": "acct", "lane": lane, "op": "import"}
    assert blocked_by(lanes, job) == OPT_OUTS
    assert desk.client.zscore("leadlane:due:acct:leads", lane) is None
    lanes.cancel(one.id)
    assert ticket not in called(desk)
    lanes.cancel(two.id)
    assert called(desk) == [ticket]
    assert blocked_by(lanes, job) is None
    assert desk.client.keys("leadlane:hushed:*") + desk.client.keys("leadlane:unturned:*") == []


@pytest.mark.parametrize("scope", ["campaign/voiso/dialer.test/4", "account/voiso/elsewhere.test"])
def test_opt_outs_of_other_scopes_stop_nothing(scope: str) -> None:
    desk = voiso(Voiso())
    ticket = desk.put(leads(2))
    desk.engine.lanes.submit(suppress(scope, [digits(1)], source="a"), may_call=False)
    assert ticket in called(desk)


def test_a_call_that_has_been_made_meanwhile_is_taken_back() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    ticket = desk.put(leads(2))
    assert called(desk) == [ticket]
    opt_out = suppress(CENTRE, [digits(1)], source="a")
    desk.engine.lanes.submit(opt_out, may_call=False)
    assert desk.turn(ticket).verdict == "parked"
    assert dialer.calls == []
    desk.engine.opt_outs.add(CENTRE, [digits(1)], "a")
    desk.engine.lanes.cancel(opt_out.id)
    assert desk.turn(ticket).verdict == "done"
    assert dialer.numbers == [[digits(0)]]


def test_one_that_comes_between_the_grant_and_the_body_is_still_waited_for() -> None:
    dialer = Voiso()
    desk = voiso(dialer)
    ticket = desk.put(leads(2))
    entered = desk.engine.lanes.enter

    def opted_out_then(*args: Any, **kwargs: Any) -> Any:
        entry = entered(*args, **kwargs)
        desk.engine.lanes.submit(suppress(CENTRE, [digits(1)], source="a"), may_call=False)
        return entry

    desk.engine.lanes.enter = opted_out_then  # type: ignore[method-assign]
    assert desk.turn(ticket).verdict == "parked"
    assert dialer.calls == []
    assert desk.fields(ticket)["attempts"] == "0"


def test_a_ticket_of_the_front_goes_before_urgent_and_bulk_ones_and_moves_no_barrier() -> None:
    desk = voiso(Voiso())
    desk.put(leads(1), priority="urgent")
    desk.put(leads(1), priority="bulk")
    facts = read_facts(desk.engine.lanes, "acct")
    intake = Intake(facts, "update")
    (draft,) = intake.drafts([{"phone_number": number(5), "active": False}])
    fronts = []
    for _ in range(2):
        ticket = intake.ticket(
            draft,
            job=desk.engine.jobs.open("acct", "3", facts.lane("3"), "update"),
            campaign="3",
            priority="normal",
        )
        object.__setattr__(ticket, "front", True)
        desk.engine.lanes.submit(ticket, may_call=False)
        fronts.append(ticket.id)
    desk.client.hset(f"leadlane:lane:{facts.lane('3')}", "turns", 9)  # a turn of the bulk class
    assert called(desk) == fronts[:1]
    later = desk.put(leads(1), priority="urgent")
    wait = [one.decode() for one in desk.client.zrange(f"leadlane:wait:{facts.lane('3')}", 0, -1)]
    assert wait[:2] == fronts
    assert wait.index(later) == 3


@pytest.mark.parametrize(("provider", "campaign"), [("dialnexa", "cmp_3"), ("voicery", "3")])
def test_where_a_call_takes_one_lead_each_is_looked_at(provider: str, campaign: str) -> None:
    dialer = FakeDialer()
    desk = Desk(dialer, provider, campaign)
    desk.engine.opt_outs.add("all", [digits(1), digits(3)], "job")
    ticket = desk.put(leads(4))
    assert desk.turn(ticket).verdict == "done"
    assert len(dialer.bodies) == 2
    assert desk.codes(ticket) == "cscs"


def test_a_slice_stops_when_somebody_opts_out_and_goes_on_without_them() -> None:
    desk: Desk

    def opts_out_at_the_second(request: httpx.Request) -> httpx.Response:
        if len(dialer.bodies) == 1:
            desk.engine.lanes.submit(opt_out, may_call=False)
        return dialer(request)

    dialer, opt_out = FakeDialer(), suppress("all", [digits(4)], source="a")
    desk = Desk(opts_out_at_the_second, "voicery", "3")
    ticket = desk.put(leads(6))
    assert desk.turn(ticket).verdict == "parked"
    sent = len(dialer.bodies)
    assert sent < 6 - 1
    assert desk.turn(ticket).verdict == "parked"
    assert len(dialer.bodies) == sent
    desk.engine.opt_outs.add("all", [digits(4)], "a")
    desk.engine.lanes.cancel(opt_out.id)
    assert desk.turn(ticket).verdict == "done"
    assert desk.codes(ticket) == "ccccsc"
    assert number(4) not in dialer.numbers
    assert "~" not in desk.codes(ticket)


def test_a_contact_who_has_opted_out_is_taken_from_the_lead() -> None:
    dialer = FakeDialer()
    desk = Desk(dialer, "voicery", "3")
    desk.engine.opt_outs.add("all", [digits(8)], "job")
    contacts = [{"phone_number": number(8)}, {"phone_number": number(9)}]
    ticket = desk.put([{"phone_number": number(0), "secondary_contacts": contacts}])
    desk.turn(ticket)
    assert dialer.bodies[0]["secondary_contacts"] == [{"phone_number": number(9)}]
    assert desk.codes(ticket) == "c"


def test_contacts_are_remembered_to_have_been_called_in() -> None:
    desk = Desk(FakeDialer(), "voicery", "3")
    desk.turn(desk.put([{"phone_number": number(0), "secondary_contacts": [{"phone_number": number(8)}]}]))
    assert [reached.numbers for reached in desk.engine.opt_outs.reached("all", [digits(8)])] == [(digits(8),)]


def rows_of(
    provider: str, campaign: str, operation: str, row: dict[str, Any]
) -> tuple[list[str], list[str], list[str]]:
    """Of one row that says do_not_call: its codes, what of it goes to the dialer, who is opted out."""
    desk = Desk(FakeDialer(), provider, campaign, suppress_scope="campaign")
    intake = Intake(read_facts(desk.engine.lanes, "acct"), operation)
    (draft,) = intake.drafts([{"phone_number": number(0), **row}])
    ticket = intake.ticket(draft, job="job", campaign=campaign, priority="normal")
    opt_out = intake.opt_out(draft, ticket)
    if opt_out:
        assert opt_out.unturned == f"campaign/{provider}/dialer.test/{campaign}"
        assert opt_out.id == f"{ticket.id}-optout"
        assert digits(0).encode() not in opt_out.payload
    return draft.codes, [wire for wire in draft.wires if wire], draft.opted_out


@pytest.mark.parametrize(
    ("provider", "campaign"),
    [("voiso", "3"), ("voiceaiwrapper", "camp"), ("dialnexa", "cmp_3"), ("voicery", "3")],
)
def test_an_import_that_says_do_not_call_is_an_opt_out_at_every_dialer(provider: str, campaign: str) -> None:
    assert rows_of(provider, campaign, "import", {"do_not_call": True}) == (["s"], [], [digits(0)])
    codes, wires, opted_out = rows_of(provider, campaign, "import", {"do_not_call": False, "name": "Ada"})
    assert (codes, len(wires), opted_out) == (["."], 1, [])


def test_an_update_that_says_do_not_call_tells_the_dialer_in_its_own_way() -> None:
    codes, wires, opted_out = rows_of("voiso", "3", "update", {"do_not_call": True})
    assert (codes, opted_out) == (["."], [digits(0)])
    assert [json.loads(wire) for wire in wires] == [{"phone_number": digits(0), "active": False}]
    codes, wires, opted_out = rows_of("voiceaiwrapper", "camp", "update", {"do_not_call": True})
    assert (codes, opted_out) == (["."], [digits(0)])
    assert json.loads(wires[0])["do_not_call"] is True
    assert rows_of("dialnexa", "cmp_3", "update", {"do_not_call": True, "name": "A"}) == (
        ["s"],
        [],
        [digits(0)],
    )


def test_active_false_alone_and_a_removal_are_no_opt_outs() -> None:
    codes, wires, opted_out = rows_of("voiso", "3", "import", {"active": False})
    assert (codes, len(wires), opted_out) == (["."], 1, [])
    assert rows_of("dialnexa", "cmp_3", "remove", {"do_not_call": True})[2] == []
