"""The newest word about a campaign's state is what is wanted: the lane scripts, on a fake Redis."""

import json
from typing import Any

import httpx
import pytest

from leadlane.workers.lanes import Entry, Lanes, Left
from tests.unit.workers.desk import Desk, leads

LANE = "state/voiso/dialer.test/3"
TERMS = {"lease_ms": 10_000, "turn_ms": 60_000, "lost_ms": 60_000, "gap_ms": 0, "room": 1}


@pytest.fixture
def desk() -> Desk:
    desk = Desk(lambda _: httpx.Response(500), "voiso", "3")
    desk.engine.lanes.alive("w", for_ms=10**9, slots={"turns": 5, "control": 5})
    return desk


def state(desk: Desk, ticket: str) -> tuple[str, str]:
    fields = desk.fields(ticket)
    return fields["state"], fields.get("end", "")


def lane(desk: Desk) -> dict[str, str]:
    raw = desk.client.hgetall(f"leadlane:lane:{LANE}")
    return {name.decode(): value.decode() for name, value in raw.items()}


def enter(desk: Desk, ticket: str, token: str = "k1") -> Entry:
    return desk.engine.lanes.enter(ticket, token, number=0, **TERMS)


def document(ticket: str, token: str = "k1", act: str = "done", **more: Any) -> dict[str, Any]:
    account = {
        "acct": "acct", "op": "start", "signal": "ok", "reason": "", "began_ms": 0,
        "base_ms": 1, "cap_ms": 1, "dice": 0, "fails": 5,
    }  # fmt: skip
    move = {
        "id": ticket, "act": act, "codes": "g" if act == "done" else "~", "reason": "lost", "cost": 1,
        "called": 1, "wait_ms": 0, "conflicts": 0,
    }  # fmt: skip
    return {
        "lane": LANE, "token": token, "rest_ms": 0, "account": account, "may_call": False, "tickets": [move],
    } | more  # fmt: skip


def leave(desk: Desk, ticket: str, token: str = "k1", act: str = "done", **more: Any) -> Left:
    return desk.engine.lanes.leave(document(ticket, token, act, **more))


SUPERSEDED = ("done", "superseded")


def test_a_newer_command_ends_the_older_that_waits(desk: Desk) -> None:
    start, stop = desk.command("start"), desk.command("stop")
    assert state(desk, start) == SUPERSEDED
    assert desk.fate(start)["outcome"] == "superseded"
    assert state(desk, stop) == ("waiting", "")
    assert enter(desk, start).verdict == "done"


def test_a_called_one_is_uncalled_and_the_newer_takes_its_place(desk: Desk) -> None:
    start = desk.command("start")
    (call,) = desk.engine.lanes.dispatch().calls
    assert call.ticket == start
    stop = desk.command("stop")
    assert state(desk, start) == SUPERSEDED
    (call,) = desk.engine.lanes.dispatch().calls
    assert (call.ticket, call.queue) == (stop, "control")
    assert desk.client.zcard("leadlane:calls:control") == desk.client.zcard("leadlane:called:acct") == 1


def test_an_older_sequence_that_comes_late_ends_at_once(desk: Desk) -> None:
    stop = desk.command("stop", seq=20)
    assert state(desk, desk.command("start", seq=19)) == SUPERSEDED
    assert state(desk, stop) == ("waiting", "")
    assert lane(desk)["want"] == stop


def test_of_two_with_one_sequence_the_later_to_come_is_wanted(desk: Desk) -> None:
    start, stop = desk.command("start", seq=7), desk.command("stop", seq=7)
    assert state(desk, start) == SUPERSEDED
    assert state(desk, stop) == ("waiting", "")
    assert desk.engine.lanes.wanted(LANE).overtakes(start, 7)
    assert not desk.engine.lanes.wanted(LANE).overtakes(stop, 7)


def test_a_command_without_a_sequence_is_newer_than_all_that_came_before(desk: Desk) -> None:
    """Also than one whose sequence is the largest that may be given."""
    for _ in range(3):
        desk.command("start", seq=2**53 - 1)
        stop = desk.command("stop")
        assert state(desk, stop) == ("waiting", "")
        assert lane(desk)["want"] == stop


def test_a_command_that_comes_twice_stays_as_it_is(desk: Desk) -> None:
    start = desk.command("start", name="s1", seq=5)
    stop = desk.command("stop", seq=6)
    desk.command("start", name="s1", seq=5)
    assert state(desk, start) == SUPERSEDED
    assert state(desk, stop) == ("waiting", "")


def test_a_holder_that_was_overtaken_is_not_tried_again(desk: Desk) -> None:
    start = desk.command("start")
    assert enter(desk, start).verdict == "granted"
    stop = desk.command("stop")
    assert state(desk, start) == ("holding", "")  # it is under way
    leave(desk, start, act="again")
    assert state(desk, start) == SUPERSEDED
    assert enter(desk, stop, "k2").verdict == "granted"


def test_a_holder_with_the_sequence_of_a_later_one_is_overtaken_too(desk: Desk) -> None:
    start = desk.command("start", seq=7)
    enter(desk, start)
    desk.command("stop", seq=7)
    leave(desk, start, act="again")
    assert state(desk, start) == SUPERSEDED


def test_what_a_holder_reached_before_it_was_overtaken_is_told(desk: Desk) -> None:
    start = desk.command("start")
    enter(desk, start)
    desk.command("stop")
    leave(desk, start)
    assert desk.fate(start)["outcome"] == "reached"


@pytest.mark.parametrize(("second", "waits_for_it"), [("stop", False), ("pause", False), ("start", True)])
def test_the_lease_of_a_call_under_way_is_not_renewed_while_a_stop_waits(
    desk: Desk, second: str, waits_for_it: bool
) -> None:
    first = desk.command("start")
    enter(desk, first)
    newer = desk.command(second)
    desk.later(9)
    turn = {"lane": LANE, "token": "k1", "acct": "acct", "group": "control", "tickets": [first]}
    lost, stays = desk.engine.lanes.renew([turn | {"lost_ms": 55_000, "turn_ms": 51_000}], lease_ms=10_000)
    assert (lost, stays) == (set(), set() if waits_for_it else {"k1"})
    desk.later(2)  # the lease as it was granted is over
    desk.engine.lanes.dispatch()
    assert (state(desk, first) == SUPERSEDED) is not waits_for_it
    assert (enter(desk, newer, "k2").verdict == "granted") is not waits_for_it


def test_a_turn_whose_lease_ended_leaves_behind_until_when_its_call_may_run(desk: Desk) -> None:
    start = desk.command("start")
    enter(desk, start)
    stop = desk.command("stop")
    desk.later(11)
    desk.engine.lanes.dispatch()
    unsure = desk.engine.lanes.wanted(LANE).unsure_s
    assert 45 < unsure["start"] < 61
    assert enter(desk, stop, "k2").verdict == "granted"  # at once all the same


def test_a_lost_answer_makes_the_lane_unsure_but_not_wait(desk: Desk) -> None:
    start = desk.command("start")
    enter(desk, start)
    leave(desk, start, act="again", unsure_ms=50_000)
    assert 45 < desk.engine.lanes.wanted(LANE).unsure_s["start"] <= 50
    assert enter(desk, desk.command("stop"), "k2").verdict == "granted"


def test_a_late_answer_of_a_lost_turn_changes_nothing(desk: Desk) -> None:
    start = desk.command("start")
    enter(desk, start)
    desk.command("stop")
    desk.later(11)
    desk.engine.lanes.dispatch()
    assert leave(desk, start).stale
    assert state(desk, start) == SUPERSEDED


# Commands that wait for a job


def job_of(desk: Desk, ticket: str) -> str:
    return desk.fields(ticket)["job"]


def test_a_kept_command_enters_when_its_job_ends(desk: Desk) -> None:
    batch = desk.put(leads(1))
    start = desk.command("start", after=job_of(desk, batch))
    assert state(desk, start) == ("kept", "")
    assert enter(desk, start).verdict == "parked"
    assert not [call for call in desk.engine.lanes.dispatch().calls if call.ticket == start]
    desk.engine.lanes.cancel(batch)
    assert state(desk, start) == ("waiting", "")
    assert start in [call.ticket for call in desk.engine.lanes.dispatch().calls]
    assert not desk.client.exists(f"leadlane:kept:{LANE}")
    assert not desk.client.exists(f"leadlane:then:{job_of(desk, batch)}")


def test_a_command_after_a_job_that_has_ended_does_not_wait(desk: Desk) -> None:
    batch = desk.put(leads(1))
    desk.engine.lanes.cancel(batch)
    assert state(desk, desk.command("start", after=job_of(desk, batch))) == ("waiting", "")


def test_a_newer_command_supersedes_a_kept_one(desk: Desk) -> None:
    batch = desk.put(leads(1))
    start = desk.command("start", after=job_of(desk, batch))
    stop = desk.command("stop")
    assert state(desk, start) == SUPERSEDED
    desk.engine.lanes.cancel(batch)
    assert state(desk, start) == SUPERSEDED
    assert state(desk, stop) == ("waiting", "")


def test_a_kept_command_is_as_old_as_it_was_given(desk: Desk) -> None:
    """It enters behind a newer one that it did not meet, as by-name commands with a sequence may come."""
    batch = desk.put(leads(1))
    start = desk.command("start", after=job_of(desk, batch), seq=5)
    older = desk.command("stop", seq=4)
    assert (state(desk, start), state(desk, older)) == (("kept", ""), ("waiting", ""))
    desk.engine.lanes.cancel(batch)
    assert (state(desk, start), state(desk, older)) == (("waiting", ""), SUPERSEDED)


def test_a_kept_command_can_be_cancelled(desk: Desk) -> None:
    batch = desk.put(leads(1))
    start = desk.command("start", after=job_of(desk, batch))
    assert desk.engine.lanes.cancel(start) == "cancelled"
    desk.engine.lanes.cancel(batch)
    assert desk.fate(start)["outcome"] == "cancelled"
    assert not desk.client.exists(f"leadlane:kept:{LANE}")


def test_a_job_with_a_dead_batch_has_ended_for_who_waits(desk: Desk) -> None:
    batch = desk.put(leads(1))
    start = desk.command("start", after=job_of(desk, batch))
    desk.client.delete(f"leadlane:pay:{batch}")
    desk.turn(batch)
    assert desk.fields(batch)["state"] == "dead"
    assert state(desk, start) == ("waiting", "")


def test_commands_that_wait_for_the_job_of_another_command_end_well(desk: Desk) -> None:
    """The job of the one that is superseded ends inside the script that lets the newer in."""
    start = desk.command("start", seq=1)
    kept = [desk.command("start", seq=seq, after=start) for seq in (2, 9)]
    stop = desk.command("stop", seq=5)
    assert [state(desk, one) for one in (start, kept[0], stop)] == [SUPERSEDED] * 3
    assert state(desk, kept[1]) == ("waiting", "")
    for one in (start, kept[0], stop):
        assert desk.client.hget(f"leadlane:job:{one}", "done") == b"1"


# Holds, cool-downs, rates


def test_a_held_start_does_not_block_a_stop(desk: Desk) -> None:
    start = desk.command("start")
    desk.engine.lanes.hold("operation", "acct", "403: Forbidden", "start")
    assert desk.engine.lanes.dispatch().calls == ()
    stop = desk.command("stop")
    assert state(desk, start) == SUPERSEDED
    assert [call.ticket for call in desk.engine.lanes.dispatch().calls] == [stop]


def test_a_stop_by_another_key_passes_an_account_on_hold(desk: Desk) -> None:
    start = desk.command("start")
    desk.engine.lanes.hold("account", "acct", "401: Unauthorized")
    desk.client.hset("leadlane:acct:other", "gcra", "1:0")
    stop = desk.command("stop", account="other")
    assert state(desk, start) == SUPERSEDED
    assert [call.ticket for call in desk.engine.lanes.dispatch().calls] == [stop]


def cooled(desk: Desk, why: str) -> None:
    now = desk.client.time()[0] * 1000
    fields = {"cool": now + 60_000, "cooled": now, "cool_why": why, "probe": "due"}
    desk.client.hset("leadlane:acct:acct", mapping=fields)


@pytest.mark.parametrize(("why", "goes"), [("failed", True), ("throttled", False)])
def test_a_stop_passes_the_breaker_but_not_the_dialers_own_429(desk: Desk, why: str, goes: bool) -> None:
    batch = desk.put(leads(1))
    cooled(desk, why)
    stop = desk.command("stop")
    called = [call.ticket for call in desk.engine.lanes.dispatch().calls]
    assert called == ([stop] if goes else [])
    assert (enter(desk, stop).verdict == "granted") is goes
    assert desk.told("probe") == "due"  # the probe is of leads
    assert state(desk, batch) == ("waiting", "")


def test_a_stop_that_went_through_does_not_close_the_breaker(desk: Desk) -> None:
    cooled(desk, "failed")
    for token in ("k1", "k2"):
        stop = desk.command("stop")
        assert enter(desk, stop, token).verdict == "granted"
        leave(desk, stop, token)
    assert desk.told("cool_why") == "failed"


def test_the_next_look_at_a_campaign_does_not_wait_for_leads_that_cool(desk: Desk) -> None:
    desk.put(leads(1))
    stop = desk.command("stop")
    enter(desk, stop)
    cooled(desk, "failed")
    leave(desk, stop, act="again", tickets=[document(stop, act="again")["tickets"][0] | {"wait_ms": 1_000}])
    desk.engine.lanes.dispatch()
    desk.later(1.1)
    assert [call.ticket for call in desk.engine.lanes.dispatch().calls] == [stop]


def test_leads_that_are_called_already_do_not_take_the_slot_of_a_stop(desk: Desk) -> None:
    desk.client.hset("leadlane:acct:acct", "gcra", "10000:20000")  # three at once, then one in ten seconds
    for _ in range(3):
        desk.campaign = str(int(desk.campaign) + 1)
        desk.put(leads(1))
    assert len(desk.engine.lanes.dispatch().calls) == 3
    desk.campaign = "3"
    stop = desk.command("stop")
    assert [call.ticket for call in desk.engine.lanes.dispatch().calls] == [stop]


def test_the_next_look_at_a_campaign_does_not_wait_for_leads_that_have_no_slot(desk: Desk) -> None:
    desk.client.hset("leadlane:acct:acct", "gcra", "10000:30000")  # four at once, then one in ten seconds
    stop = desk.command("stop")
    enter(desk, stop)
    for _ in range(4):
        desk.campaign = str(int(desk.campaign) + 1)
        desk.put(leads(1))
    leave(desk, stop, act="again", tickets=[document(stop, act="again")["tickets"][0] | {"wait_ms": 1_000}])
    assert len(desk.engine.lanes.dispatch().calls) == 3
    desk.engine.lanes.dispatch()
    desk.later(1.1)
    assert [call.ticket for call in desk.engine.lanes.dispatch().calls] == [stop]


# A server that lost its last writes


def crash(desk: Desk, memory: dict[bytes, bytes]) -> None:
    """The server comes back as it was when this was remembered."""
    desk.client.flushall()
    for key, value in memory.items():
        desk.client.restore(key, 0, value)
    desk.client.hset("leadlane:clock", mapping={"run_id": "before", "lost": 60_000})
    desk.engine.lanes._run("boot", "after")


def memory(desk: Desk) -> dict[bytes, bytes]:
    return {key: desk.client.dump(key) for key in desk.client.keys("*")}


def replay(lanes: Lanes, said: dict[str, Any]) -> None:
    lanes.leave(json.loads(json.dumps(said)) | {"rest_ms": 0, "may_call": False, "replay": True})


def test_a_stop_that_the_server_forgot_still_supersedes_the_start_it_remembers(desk: Desk) -> None:
    batch = desk.put(leads(1))
    kept = desk.command("start", after=job_of(desk, batch))
    start = desk.command("start")
    before = memory(desk)
    stop = desk.command("stop")
    seq = desk.fields(stop)["seq"]
    enter(desk, stop)
    said = document(stop, seq=seq)
    desk.engine.lanes.leave(said)

    crash(desk, before)
    assert state(desk, start) == ("waiting", "")
    replay(desk.engine.lanes, said)
    assert state(desk, start) == SUPERSEDED
    assert state(desk, kept) == SUPERSEDED
    desk.later(61)
    assert not [call for call in desk.engine.lanes.dispatch().calls if call.operation == "start"]


def test_a_stop_under_way_that_the_server_forgot_is_asserted_with_what_it_wants(desk: Desk) -> None:
    start = desk.command("start")
    before = memory(desk)
    stop = desk.command("stop")
    seq = desk.fields(stop)["seq"]
    enter(desk, stop)

    crash(desk, before)
    turn = {"lane": LANE, "token": "k1", "acct": "acct", "group": "control", "tickets": [stop], "seq": seq}
    lost, _ = desk.engine.lanes.renew([turn | {"lost_ms": 60_000, "turn_ms": 50_000}], lease_ms=10_000)
    assert lost == set()
    assert state(desk, start) == SUPERSEDED
    desk.later(70)
    assert desk.engine.lanes.dispatch().calls == ()  # the turn of a ticket that nobody knows has ended
    assert lane(desk)["state"] == "idle"


def test_a_start_under_way_that_is_asserted_is_not_renewed_if_a_stop_waits(desk: Desk) -> None:
    start = desk.command("start")
    seq = desk.fields(start)["seq"]
    before = memory(desk)
    enter(desk, start)
    crash(desk, before)
    desk.command("stop")
    turn = {"lane": LANE, "token": "k1", "acct": "acct", "group": "control", "tickets": [start], "seq": seq}
    answers = [
        desk.engine.lanes.renew([turn | {"lost_ms": 60_000, "turn_ms": 50_000}], lease_ms=10_000)
        for _ in range(2)
    ]
    assert answers[1] == (set(), {"k1"})
