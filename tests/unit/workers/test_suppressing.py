"""An opt-out is taken in by one turn: it holds, campaigns that have the number are told, then all goes on."""

import json
from typing import Any

import httpx
import pytest

from leadlane.workers import payloads, turn
from leadlane.workers.optouts import lookup, suppress, unsuppress
from tests.unit.workers.desk import Desk, FakeDialer, leads, number

SCOPES = {
    "voiso": "account/voiso/dialer.test",
    "voiceaiwrapper": "account/voiceaiwrapper/dialer.test",
    "dialnexa": "account/dialnexa/dialer.test",
    "voicery": "account/voicery/dialer.test",
}


def digits(i: int) -> str:
    return number(i).lstrip("+")


class Bulk(FakeDialer):
    """Takes leads in bulk, as Voiso and VoiceAIWrapper do."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.requests.append(request)
        self.bodies.append(body)
        numbers = [lead["phone_number"] for lead in body]
        results = [{"index": i, "success": True} for i in range(len(body))]
        return httpx.Response(
            200,
            json={"status": "success", "results": results, "leads": {"created": numbers, "updated": numbers}},
        )


def opt_out(desk: Desk, ticket: Any) -> dict[str, Any]:
    """What the turn of this ticket returns."""
    desk.engine.jobs.enter(ticket, may_call=False)
    end = turn.take(desk.engine, ticket.id, account_name="*", operation_name=ticket.operation, number=0)
    assert end.verdict == "done"
    assert end.result is not None
    return dict(end.result)


def tellings(desk: Desk, source: str) -> list[str]:
    names = desk.client.keys(f"leadlane:t:{source}-*")
    return sorted(name.decode().removeprefix("leadlane:t:") for name in names)


@pytest.mark.parametrize(
    ("provider", "campaign", "told"),
    [
        ("voiso", "3", {"phone_number": digits(1), "active": False}),
        ("voiceaiwrapper", "camp", {"phone_number": number(1), "do_not_call": True}),
    ],
)
def test_a_campaign_that_has_the_number_is_told_in_its_dialers_way_and_first(
    provider: str, campaign: str, told: dict[str, Any]
) -> None:
    dialer = Bulk()
    desk = Desk(dialer, provider, campaign, import_gap_s=0.0)
    desk.turn(desk.put(leads(3)))
    waiting = desk.put(leads(9)[1:])
    ticket = suppress(SCOPES[provider], [digits(1)], source="job")
    result = opt_out(desk, ticket)
    assert (result["new"], result["campaigns_told"], result["campaigns_not_told"]) == (1, 1, 0)
    (telling,) = tellings(desk, ticket.id)
    assert desk.turn(waiting).verdict == "parked"  # its place is behind
    assert desk.turn(telling).verdict == "done"
    assert dialer.bodies[1] == [told]
    assert desk.codes(telling) == "u"
    desk.turn(waiting)
    assert len(dialer.bodies[2]) == 7
    assert desk.codes(waiting)[0] == "s"


def test_dialnexa_is_told_by_a_removal_of_the_id_it_gave() -> None:
    dialer = FakeDialer()
    desk = Desk(dialer, "dialnexa", "cmp_3")
    desk.turn(desk.put(leads(2)))
    ticket = suppress("all", [digits(1)], source="job")
    opt_out(desk, ticket)
    (telling,) = tellings(desk, ticket.id)
    desk.turn(telling)
    assert desk.codes(telling) == "m"
    assert (dialer.requests[-1].method, dialer.requests[-1].url.path) == (
        "DELETE",
        "/v1/campaigns-leads/lead_2",
    )


def test_where_a_dialer_cannot_be_told_it_is_said() -> None:
    desk = Desk(FakeDialer(), "voicery", "3")
    desk.turn(desk.put(leads(2)))
    ticket = suppress("all", [digits(1)], source="job")
    result = opt_out(desk, ticket)
    assert (result["campaigns_told"], result["campaigns_not_told"]) == (0, 1)
    assert tellings(desk, ticket.id) == []
    assert desk.engine.opt_outs.suppressed(["all"], [digits(1)])


def test_nobody_is_told_who_never_had_the_number() -> None:
    desk = Desk(Bulk(), "voiso", "3", import_gap_s=0.0)
    desk.turn(desk.put(leads(1)))
    ticket = suppress("all", [digits(5)], source="job")
    assert opt_out(desk, ticket)["campaigns_told"] == 0
    assert tellings(desk, ticket.id) == []


def test_a_turn_that_comes_twice_tells_once() -> None:
    desk = Desk(Bulk(), "voiso", "3", import_gap_s=0.0)
    desk.turn(desk.put(leads(3)))
    ticket = suppress("all", [digits(1)], source="job")
    left = desk.engine.lanes.leave
    desk.engine.lanes.leave = lambda _: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    desk.engine.jobs.enter(ticket, may_call=False)
    with pytest.raises(turn.BrokenOffError):
        turn.take(desk.engine, ticket.id, account_name="*", operation_name="suppress", number=0)
    assert desk.client.exists("leadlane:unturned:all")
    desk.engine.lanes.leave = left  # type: ignore[method-assign]
    desk.later(120)
    desk.engine.lanes.dispatch()  # the lease is over
    result = opt_out(desk, ticket)
    assert (result["new"], result["campaigns_told"]) == (0, 1)
    assert len(tellings(desk, ticket.id)) == 1
    assert not desk.client.exists("leadlane:unturned:all")


def test_what_it_left_with_is_not_said_again_to_a_redis_that_forgot_what_it_wrote() -> None:
    desk = Desk(Bulk(), "voiso", "3")
    remembered: list[Any] = []
    desk.engine.keeper.remember = remembered.append  # type: ignore[method-assign]
    opt_out(desk, suppress("all", [digits(1)], source="job"))
    assert remembered == []


def test_an_opt_out_whose_numbers_are_lost_keeps_its_scope_waiting() -> None:
    """Nobody may be phoned because we lost who asked not to be."""
    desk = Desk(Bulk(), "voiso", "3")
    ticket = suppress("all", [digits(1)], source="job")
    desk.engine.jobs.enter(ticket, may_call=False)
    desk.client.delete(f"leadlane:pay:{ticket.id}")
    end = turn.take(desk.engine, ticket.id, account_name="*", operation_name="suppress", number=0)
    assert (end.verdict, end.detail) == ("dead", "payload_lost")
    assert desk.client.exists("leadlane:unturned:all")


def test_a_look_up_answers_with_places_and_removal_lets_call_again() -> None:
    desk = Desk(Bulk(), "voiso", "3")
    here, centre = "campaign/voiso/dialer.test/3", SCOPES["voiso"]
    opt_out(desk, suppress(centre, [digits(1)], source="job"))
    opt_out(desk, suppress("all", [digits(3)], source="job"))
    asked = [digits(i) for i in range(4)]
    found = opt_out(desk, lookup(here, asked))
    assert (found["suppressed"], found["scopes"]) == ([1, 3], {centre: [1], "all": [3]})
    assert opt_out(desk, lookup("account/voiso/else.where", asked))["suppressed"] == [3]
    assert opt_out(desk, lookup("all", asked))["suppressed"] == [1, 3]
    assert opt_out(desk, unsuppress(centre, [digits(1), digits(2)]))["removed"] == 1
    assert opt_out(desk, lookup(here, asked))["suppressed"] == [3]


def test_after_it_has_been_taken_in_no_number_lies_open_anywhere() -> None:
    desk = Desk(FakeDialer(), "voicery", "3")
    desk.turn(desk.put(leads(1)))
    desk.client.delete(*desk.client.keys("leadlane:pay:*"))  # of the import: kept as long as its report
    ticket = suppress("all", [digits(0)], source="job")
    result = opt_out(desk, ticket)
    opt_out(desk, lookup("all", [digits(0)]))
    found = [
        name for name in desk.client.scan_iter() if digits(0)[1:].encode() in name + unpacked(desk, name)
    ]
    assert found == []
    assert digits(0)[1:] not in json.dumps(result)


def unpacked(desk: Desk, name: bytes) -> bytes:
    kind = desk.client.type(name)
    if kind == b"string":
        text: bytes = desk.client.get(name)
        if b":pay:" in name:
            batch = payloads.unpack(text)
            return " ".join([*batch.numbers, *batch.wires]).encode()
        return text
    return desk.client.dump(name)  # type: ignore[no-any-return]
