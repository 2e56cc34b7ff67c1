"""The call ledger: what each kind of call leaves there, and what a call leaves of which nobody told."""

from typing import Any

import httpx
import pytest

from leadlane.workers.lanes import Lanes
from leadlane.workers.lookups import LookUp
from leadlane.workers.verifying import verify
from tests.unit.workers.desk import KEY, Desk, FakeDialer, leads, number
from tests.unit.workers.lane_kit import GAP, LANE, LOST, Kit, move


def entries(lanes: Lanes) -> list[dict[str, str]]:
    found: Any = lanes.client.xrange(lanes.key("made"))
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in found]


def voiso(answer: Any, **account: Any) -> Desk:
    def dialer(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Desk(dialer, "voiso", "3", **account)


def test_a_call_with_many_leads_leaves_one_entry_without_number_or_key() -> None:
    desk = voiso(httpx.Response(503))
    desk.turn(desk.put(leads(3)))
    (entry,) = entries(desk.engine.lanes)
    assert {name: entry[name] for name in ("lane", "acct", "op", "size", "answer", "worker", "seq")} == {
        "lane": "leads/voiso/dialer.test/3", "acct": "acct", "op": "import", "size": "3", "answer": "503",
        "worker": "w", "seq": "",
    }  # fmt: skip
    assert entry["call"].endswith("/1")
    told = repr(entry)
    assert KEY not in told
    assert not any(number(i).lstrip("+") in told for i in range(3))


def test_a_call_without_answer_lasts_as_long_as_it_may_run() -> None:
    desk = voiso(httpx.ReadError("cut"), lost_call_s=7.0)
    desk.turn(desk.put(leads(2)))
    (entry,) = entries(desk.engine.lanes)
    assert entry["answer"] == "none"
    assert 6900 <= int(entry["ms"]) <= 7000


def test_a_call_that_never_left_leaves_nothing() -> None:
    desk = voiso(httpx.ConnectError("nobody there"))
    desk.turn(desk.put(leads(2)))
    assert entries(desk.engine.lanes) == []


def test_each_call_of_a_slice_leaves_its_own_entry() -> None:
    desk = Desk(FakeDialer(), "dialnexa", "cmp_1")
    desk.turn(desk.put(leads(5)))
    found = entries(desk.engine.lanes)
    assert [(entry["op"], entry["size"], entry["answer"]) for entry in found] == [("import", "1", "201")] * 5
    assert len({entry["call"] for entry in found}) == 5
    assert len({entry["call"].partition("/")[0] for entry in found}) == 1


def test_commands_leave_their_sequence_and_look_ups_are_looks() -> None:
    desk = voiso(httpx.Response(200, json={"campaign": {"id": 3, "status": "stopped"}}))
    desk.turn(desk.command("stop", seq=77))
    desk.engine.keeper.beat()
    LookUp.of(desk.engine, "acct").status("3")
    found = entries(desk.engine.lanes)
    assert [(entry["lane"].partition("/")[0], entry["op"], entry["seq"]) for entry in found] == [
        ("state", "stop", "77"),
        ("look", "look", ""),
    ]
    (campaign,) = verify(desk.engine.lanes, 3600).campaigns  # of one campaign, though of two lanes
    assert (campaign.campaign, campaign.calls, campaign.breaches) == ("acct/3", 2, 0)


def test_a_turn_that_was_lost_leaves_its_latest_end() -> None:
    kit = Kit()
    kit.submit("t1", n=2)
    kit.granted("t1")
    kit.pass_ms(LOST + GAP + 1001)
    kit.dispatch()
    (entry,) = entries(kit.lanes)
    assert (entry["answer"], entry["call"], entry["op"], entry["size"]) == ("lost", "k1/1", "import", "2")
    assert int(entry["ms"]) == LOST + 1000
    assert int(entry["start"]) + int(entry["ms"]) + GAP == int(float(kit.lane()["next"]))


CALLS = [{"n": 1, "op": "import", "size": 2, "began": 300, "ended": 100, "answer": "200"}]


def test_leaving_again_after_a_lost_reply_writes_a_call_once() -> None:
    kit = Kit()
    kit.submit("t1")
    kit.granted("t1")
    kit.leave(move("t1"), calls=CALLS, worker="w")
    kit.leave(move("t1"), calls=CALLS, worker="w")
    (entry,) = entries(kit.lanes)
    assert (entry["lane"], entry["ms"], entry["worker"]) == (LANE, "200", "w")


def test_a_worker_that_tells_of_its_call_too_late_is_heard_all_the_same() -> None:
    kit = Kit()
    kit.submit("t1")
    kit.granted("t1")
    kit.pass_ms(LOST + GAP + 1001)
    kit.dispatch()
    assert kit.leave(move("t1"), calls=CALLS).stale
    assert [entry["answer"] for entry in entries(kit.lanes)] == ["lost", "200"]
    assert len({entry["call"] for entry in entries(kit.lanes)}) == 1


def test_the_ledger_is_bounded() -> None:
    kit = Kit()
    kit.client.hset("P:clock", "ledger", 1000)
    for i in range(2500):
        kit.lanes.note({"lane": LANE, "acct": "acme", "token": f"t{i}", "worker": "w", "call": CALLS[0]})
    assert 1000 <= int(kit.client.xlen("P:made")) < 2500


@pytest.mark.parametrize(("gap_s", "broken"), [(0.1, 0), (0.4, 1)])
def test_breaches_are_told_per_campaign_by_the_accounts_own_gap(gap_s: float, broken: int) -> None:
    desk = voiso(httpx.Response(503), import_gap_s=gap_s)
    for n, ended in enumerate((600, 300)):
        call = {**CALLS[0], "n": n, "began": ended + 100, "ended": ended}
        lane = "leads/voiso/dialer.test/3"
        desk.engine.lanes.note({"lane": lane, "acct": "acct", "token": "t", "worker": "w", "call": call})
    (one,) = verify(desk.engine.lanes, 3600).campaigns
    assert (one.campaign, one.breaches) == ("acct/3", broken)
