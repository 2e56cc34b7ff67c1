"""Tasks that come: who is granted the turn, who rides along, who is sent away."""

import pytest

from tests.unit.workers.lane_kit import GAP, LANE, LEASE, LOST, Kit, move


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_the_called_ticket_is_granted_its_turn(kit: Kit) -> None:
    call = kit.submit("t1")
    assert call
    entry = kit.enter("t1", number=call.number)
    assert (entry.verdict, entry.lane, entry.rows[0].codes, entry.rows[0].payload) == (
        "granted",
        LANE,
        "..",
        b"p",
    )
    assert kit.client.zcard("P:calls:turns") == 0
    assert (kit.state("t1"), kit.lane()["state"]) == ("holding", "held")


def test_a_turn_is_granted_again_to_its_own_token_and_to_no_other(kit: Kit) -> None:
    kit.submit("t1")
    first = kit.enter("t1", "k1")
    assert kit.enter("t1", "k1").rows == first.rows
    assert kit.lane()["turns"] == "1"
    before = kit.ticket("t1"), kit.lane()
    assert kit.enter("t1", "k2").verdict == "elsewhere"
    assert (kit.ticket("t1"), kit.lane()) == ({**before[0], "twin": "1"}, before[1])


def test_a_rider_is_elsewhere_too(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    assert kit.granted("t1") == ["t1", "t2"]
    assert kit.enter("t2", "k2").verdict == "elsewhere"


def test_a_new_ticket_on_an_idle_due_lane_is_granted_without_a_call(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    assert kit.granted("t1") == ["t1"]


def test_who_is_not_at_the_head_is_parked(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    assert kit.enter("t2").verdict == "parked"


def test_nobody_enters_before_the_gap_is_over(kit: Kit) -> None:
    kit.submit("t1")
    kit.enter("t1")
    kit.leave(move("t1"))
    kit.submit("t2")
    kit.pass_ms(GAP - 1)
    assert kit.enter("t2", "k2").verdict == "parked"
    kit.pass_ms(1)
    assert kit.enter("t2", "k2").verdict == "granted"


@pytest.mark.parametrize("what", ["account", "operation", "lane"])
def test_a_called_ticket_that_may_not_go_on_is_parked_and_called_again_later(kit: Kit, what: str) -> None:
    kit.submit("t1")
    kit.client.hset("P:t:t1", "vain", 2)
    name = LANE if what == "lane" else "acme"
    kit.lanes.hold(what, name, "because", "import")  # type: ignore[arg-type]
    assert kit.enter("t1").verdict == "parked"
    assert kit.state("t1") == "waiting"
    assert "vain" not in kit.ticket("t1")  # it did come
    assert kit.called() == []
    kit.lanes.hold(what, name, "", "import")  # type: ignore[arg-type]
    assert kit.called() == ["t1"]


def test_riders_come_from_the_head_as_long_as_they_fit_whole(kit: Kit) -> None:
    for name, n in [("t1", 400), ("t2", 300), ("t3", 301), ("t4", 1)]:
        kit.submit(name, may_call=False, n=n)
    assert kit.granted("t1") == ["t1", "t2"]  # t4 would fit, but not pass t3


@pytest.mark.parametrize(
    "other", [{"operation": "update"}, {"account": "other"}, {"options": "update"}, {"n": 999}], ids=str
)
def test_a_ride_ends_at_a_ticket_that_cannot_share_the_call(kit: Kit, other: dict[str, object]) -> None:
    kit.submit("t1", may_call=False)
    kit.submit("t2", may_call=False, **other)
    kit.submit("t3", may_call=False)
    assert kit.granted("t1") == ["t1"]


def test_a_ticket_in_backoff_does_not_ride(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    kit.client.hset("P:t:t2", "not_before", kit.enter("nobody").now_ms + 10**15)
    assert kit.granted("t1") == ["t1"]


def test_a_ticket_without_its_payload_does_not_ride(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    kit.client.delete("P:pay:t2")
    assert kit.granted("t1") == ["t1"]


def test_an_expired_ticket_ends_where_a_ride_would_take_it(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    kit.submit("t2", may_call=False, expires_in_ms=100)
    kit.submit("t3", may_call=False)
    kit.pass_ms(100)
    assert kit.granted("t1") == ["t1", "t3"]
    assert (kit.state("t2"), kit.codes("t2")) == ("done", "ee")
    assert kit.finish() == ["t2"]


def test_a_called_ticket_that_comes_too_late_is_expired_and_frees_its_lane(kit: Kit) -> None:
    kit.submit("t1", expires_in_ms=100)
    kit.submit("t2")
    kit.pass_ms(100)
    entry = kit.enter("t1")
    assert (entry.verdict, entry.detail) == ("done", "expired")
    assert kit.called() == ["t2"]


def test_the_lease_and_the_time_a_lost_call_may_take_are_set_at_the_grant(kit: Kit) -> None:
    kit.submit("t1")
    kit.enter("t1")
    assert kit.at("lane", "lease", LANE) == LEASE
    assert kit.at("lane", "lost", LANE) == 1_000 + LOST + GAP


def test_a_finished_ticket_says_how_and_its_task_writes_the_result(kit: Kit) -> None:
    kit.submit("t1")
    kit.lanes.cancel("t1")
    assert kit.finish() == ["t1"]
    entry = kit.enter("t1")
    assert (entry.verdict, entry.detail) == ("done", "cancelled")
    assert kit.finish() == []


def test_a_dead_ticket_says_why(kit: Kit) -> None:
    kit.submit("t1")
    kit.enter("t1")
    kit.leave(move("t1", "dead", "..", reason="404: no such campaign"))
    assert (kit.enter("t1").verdict, kit.enter("t1").detail) == ("dead", "404: no such campaign")


def test_a_ticket_that_nobody_stored_is_unknown(kit: Kit) -> None:
    assert kit.enter("nobody").verdict == "unknown"


def test_an_attempt_that_was_never_left_is_lost_to_the_next(kit: Kit) -> None:
    kit.submit("t1")
    kit.enter("t1")
    kit.pass_ms(1_000 + LOST + GAP)
    assert kit.called() == ["t1"]
    entry = kit.enter("t1", "k2")
    assert entry.rows[0].fields["lost"] == "1"


def test_batches_of_a_turn_that_crashed_travel_alone(kit: Kit) -> None:
    for name in ("t1", "t2", "t3"):
        kit.submit(name, may_call=False)
    assert kit.granted("t1") == ["t1", "t2", "t3"]
    kit.pass_ms(1_000 + LOST + GAP)
    assert kit.called() == ["t1"]
    assert kit.granted("t1", "k2") == ["t1"]


@pytest.mark.parametrize("gcra", ["1000.000:0.000", "400.000:400.000"])
def test_a_turn_takes_a_slot_of_the_accounts_rate(kit: Kit, gcra: str) -> None:
    kit.client.hset("P:acct:acme", "gcra", gcra)
    burst = 1 if gcra.endswith(":0.000") else 2
    for i in range(3):
        kit.submit(f"t{i}", lane=f"lane{i}", may_call=False)
    verdicts = [kit.enter(f"t{i}", f"k{i}").verdict for i in range(3)]
    assert verdicts == ["granted"] * burst + ["parked"] * (3 - burst)
    kit.pass_ms(int(float(gcra.split(":")[0])))
    assert kit.enter("t2", "k9").verdict == "granted"


def test_no_more_lanes_are_held_than_the_accounts_cap(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", "flight", 1)
    for i in range(2):
        kit.submit(f"t{i}", lane=f"lane{i}", may_call=False)
    assert kit.enter("t0", "k0").verdict == "granted"
    assert kit.enter("t1", "k1").verdict == "parked"
