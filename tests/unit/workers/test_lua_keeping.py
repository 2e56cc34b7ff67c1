"""Leases, restarts of Redis, living workers and slots of the rate."""

import pytest

from tests.unit.workers.lane_kit import GAP, LANE, LEASE, LOST, TURN, Kit, move

CLEAN = ("P:clock", "clean", 1)


@pytest.fixture
def kit() -> Kit:
    """A lane whose turn t1 has, with t2 riding along, on a server called one."""
    kit = Kit()
    kit.client.hset("P:clock", "lost", LOST + GAP)
    kit.boot("one")
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    kit.granted("t1")
    return kit


class TestRenewed:
    def test_lease_holds_on(self, kit: Kit) -> None:
        kit.pass_ms(LEASE - 1)
        assert kit.renew("t1", "t2") == []
        assert kit.at("lane", "lease", LANE) == 2 * LEASE - 1

    def test_lease_does_not_outlive_the_turn(self, kit: Kit) -> None:
        kit.pass_ms(TURN - 1_000)
        kit.renew("t1", "t2", turn_ms=1_000)
        assert kit.at("lane", "lease", LANE) == TURN

    def test_lease_does_not_outlive_the_holders_own_clock(self, kit: Kit) -> None:
        kit.pass_ms(-TURN)
        kit.renew("t1", "t2", turn_ms=1_000)
        assert kit.at("lane", "lease", LANE) == 1_000 - TURN

    def test_call_is_counted_from_its_start(self, kit: Kit) -> None:
        kit.pass_ms(4_000)
        kit.renew("t1", "t2", lost_ms=LOST)
        assert kit.at("lane", "lost", LANE) == 4_000 + LOST

    def test_turn_that_another_has_is_lost_and_only_that(self, kit: Kit) -> None:
        assert kit.renew("t1", token="k0") == ["k0"]
        assert kit.renew("t1", token="k1") == []


class TestForgotten:
    """The server came back without the grant of a turn that goes on."""

    @pytest.fixture
    def back(self, kit: Kit) -> Kit:
        kit.leave(move("t1", "again", ".."), move("t2", "again", ".."), token="k1", rest=0)
        kit.pass_ms(1)
        kit.boot("two")
        return kit

    def test_turn_is_asserted_again_in_the_quiet_time(self, back: Kit) -> None:
        assert back.renew("t1", "t2", token="k7") == []
        assert (back.lane()["state"], back.lane()["token"]) == ("held", "k7")
        assert (back.state("t1"), back.state("t2")) == ("holding", "riding")
        assert not back.leave(move("t1"), move("t2"), token="k7").stale

    def test_turn_is_lost_if_the_quiet_time_is_over(self, back: Kit) -> None:
        back.pass_ms(LOST + GAP)
        assert back.renew("t1", "t2", token="k7") == ["k7"]

    def test_ticket_that_was_called_meanwhile_waits_again(self, kit: Kit) -> None:
        """It may be of another account than the turn: lanes are shared."""
        kit.submit("o1", account="other")
        kit.leave(move("t1"), move("t2"), rest=0)
        assert kit.state("o1") == "called"
        kit.boot("two")
        assert kit.renew("t1", "t2", token="k7") == []
        assert kit.state("o1") == "waiting"
        assert kit.client.zcard("P:calls:turns") == kit.client.zcard("P:called:other") == 0

    def test_ended_ticket_stays_ended(self, back: Kit) -> None:
        back.lanes.cancel("t2")
        back.renew("t1", "t2", token="k7")
        assert (back.state("t1"), back.state("t2")) == ("holding", "done")

    def test_backoff_of_before_is_over(self, kit: Kit) -> None:
        """The turn was granted after it, by the clock of the old server."""
        kit.leave(move("t1", "again", "..", wait_ms=100_000), move("t2"), rest=0)
        kit.boot("two")
        kit.renew("t1", token="k7")
        kit.pass_ms(LOST + GAP)
        assert kit.called() == ["t1"]

    def test_calls_in_vain_of_before_do_not_count(self, back: Kit) -> None:
        back.client.hset("P:t:t1", "vain", 2)
        back.renew("t1", "t2", token="k7")
        assert "vain" not in back.ticket("t1")

    def test_clock_that_went_back_does_not_keep_it_for_ever(self, back: Kit) -> None:
        back.client.hdel(f"P:lane:{LANE}", "longest")
        back.renew("t1", "t2", token="k7")
        back.pass_ms(-86_400_000)
        back.boot("three")
        back.pass_ms(LOST + GAP)
        back.dispatch()
        back.pass_ms(LOST + GAP + 61_000)
        assert back.called() == ["t1"]


class TestServer:
    def test_that_is_another_gives_no_turn_until_a_lost_call_is_over(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        assert kit.boot("two") == LOST + GAP
        assert kit.submit("o2", lane="other2") is None
        assert kit.called() == []
        assert kit.enter("o1", "k2").verdict == "parked"
        kit.pass_ms(LOST + GAP)
        assert set(kit.called()) == {"o1", "o2"}

    def test_that_is_the_same_goes_on(self, kit: Kit) -> None:
        assert kit.boot("one") == 0

    def test_that_was_stopped_cleanly_goes_on_once(self, kit: Kit) -> None:
        kit.client.hset(*CLEAN)
        assert kit.boot("two") == 0
        assert kit.boot("three") == LOST + GAP

    def test_whose_clock_went_back_is_not_quiet_for_longer(self, kit: Kit) -> None:
        kit.boot("two")
        kit.client.hset(*CLEAN)
        kit.pass_ms(-86_400_000)
        assert kit.boot("three") == LOST + GAP

    def test_that_is_the_first_is_not_quiet(self) -> None:
        assert Kit().boot("one") == 0

    def test_that_came_back_has_no_slot_of_a_rate_while_it_is_quiet(self, kit: Kit) -> None:
        """It may have forgotten which are taken."""
        kit.boot("two")
        assert kit.lanes.admit("acme") == LOST + GAP


class TestWorkers:
    def test_slots_are_added_up_and_taken_off(self, kit: Kit) -> None:
        assert kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 3, "control": 1}) == 2
        assert kit.hash("slots", "turns")["sum"] == "13"
        kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 1, "control": 1})
        assert kit.hash("slots", "turns")["sum"] == "11"
        assert kit.lanes.alive("w2", for_ms=0, slots={"turns": 1, "control": 1}) == 1
        assert kit.hash("slots", "turns") == {"sum": "10", "worker": "10"}

    def test_one_that_leaves_has_no_slots_but_lives(self, kit: Kit) -> None:
        kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 3, "control": 1})
        assert kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 0, "control": 0}) == 2
        assert kit.hash("slots", "turns")["sum"] == "10"

    def test_one_that_was_given_up_counts_again_when_it_speaks(self, kit: Kit) -> None:
        kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 3, "control": 1})
        kit.pass_ms(1_000)
        kit.dispatch()
        assert kit.hash("slots", "turns")["sum"] == "10"
        kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 3, "control": 1})
        assert kit.hash("slots", "turns")["sum"] == "13"


def test_a_slot_of_the_rate_is_taken_or_the_wait_is_told(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", "gcra", "500.000:500.000")
    assert [kit.lanes.admit("acme") for _ in range(3)] == [0, 0, 500]
    kit.pass_ms(500)
    assert [kit.lanes.admit("acme") for _ in range(2)] == [0, 500]


def test_an_account_without_a_rate_has_slots_without_end(kit: Kit) -> None:
    assert {kit.lanes.admit("acme") for _ in range(100)} == {0}
