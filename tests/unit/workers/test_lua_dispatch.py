"""Calling what is due, repeating calls, ending turns whose worker is gone."""

import pytest

from leadlane.workers.connection import lua
from leadlane.workers.lanes import SCRIPTS
from tests.unit.workers.lane_kit import GAP, LANE, LEASE, LOST, Kit, move

DAY = 86_400_000


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_it_says_when_to_look_again_at_an_account_that_admits_no_more(kit: Kit) -> None:
    assert kit.dispatch().wait_ms == 1000
    kit.client.hset("P:acct:acme", "gcra", "300.000:0.000")
    kit.submit("t1", lane="leads/a/b/1", may_call=False)
    kit.submit("t2", lane="leads/a/b/2", may_call=False)
    due = kit.dispatch()
    assert len(due.calls) == 1
    assert 0 < due.wait_ms <= 300


def test_no_more_calls_are_outstanding_than_living_workers_have_slots(kit: Kit) -> None:
    kit.lose_the_worker()
    kit.lanes.alive("w2", for_ms=LEASE, slots={"turns": 2, "control": 1})
    for i in range(4):
        kit.submit(f"t{i}", lane=f"lane{i}", may_call=False)
    assert len(kit.called()) == 2
    kit.enter("t0")
    assert len(kit.called()) == 1


def test_the_slots_of_a_worker_that_fell_silent_do_not_count(kit: Kit) -> None:
    kit.lose_the_worker()
    kit.lanes.alive("w2", for_ms=1_000, slots={"turns": 5, "control": 1})
    kit.submit("t1", may_call=False)
    kit.pass_ms(1_000)
    assert kit.called() == []


def test_it_calls_no_more_lanes_of_an_account_than_its_rate_admits(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", "gcra", "1000.000:1000.000")
    for i in range(4):
        kit.submit(f"t{i}", lane=f"lane{i}", may_call=False)
    called = kit.called()
    assert len(called) == 2
    assert kit.called() == []
    for name in called:
        kit.enter(name, name)
    kit.pass_ms(999)
    assert kit.called() == []
    kit.pass_ms(1)
    assert len(kit.called()) == 1


def test_an_account_that_may_not_go_on_keeps_no_other_waiting(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", "flight", 1)
    kit.submit("a1")
    kit.enter("a1")
    kit.submit("a2", lane="lane2", may_call=False)
    kit.submit("b1", lane="lane3", account="other", may_call=False)
    assert kit.called() == ["b1"]


class TestOverdue:
    def test_call_is_told_of_first_and_repeated_if_its_message_is_gone(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.pass_ms(5_000)
        due = kit.dispatch()
        assert (due.calls, [one.lane for one in due.overdue]) == ((), [LANE])
        again = kit.lanes.recall(due.overdue[0])
        assert again
        assert (again.ticket, again.number) == ("t1", 2)
        assert kit.client.zcard("P:calls:turns") == 1

    def test_call_is_not_repeated_if_it_came_meanwhile(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.pass_ms(5_000)
        overdue = kit.dispatch().overdue[0]
        kit.enter("t1", number=1)
        assert kit.lanes.recall(overdue) is None

    def test_call_is_repeated_at_once_if_a_later_one_has_come(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.submit("t2", lane="lane2")
        kit.enter("t2", "k2", number=2)
        kit.pass_ms(5_000)
        assert kit.called() == ["t1"]
        assert kit.ticket("t1")["vain"] == "1"

    def test_ticket_called_three_times_in_vain_is_dead_and_its_lane_goes_on(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.submit("t2")
        for i in range(3):
            kit.submit(f"o{i}", lane=f"other{i}")
            kit.enter(f"o{i}", f"o{i}", number=int(kit.client.get("P:callno:turns") or 0))
            kit.pass_ms(5_000)
            called = kit.called()
        assert (kit.state("t1"), kit.ticket("t1")["reason"]) == ("dead", "did_not_come")
        assert called == ["t2"]
        assert kit.finish() == ["t1"]

    def test_ticket_that_expired_meanwhile_is_not_dead_too(self, kit: Kit) -> None:
        kit.submit("t1", expires_in_ms=12_000)
        for i in range(3):
            kit.submit(f"o{i}", lane=f"other{i}", job="others")
            kit.enter(f"o{i}", f"o{i}", number=int(kit.client.get("P:callno:turns") or 0))
            kit.pass_ms(5_000)
            kit.dispatch()
        assert (kit.state("t1"), kit.ticket("t1")["end"]) == ("done", "expired")
        assert (kit.job()["done"], kit.job().get("dead_tickets", "0")) == ("1", "0")

    @pytest.mark.parametrize("obstacle", ["hold", "cool", "probe"])
    def test_call_of_an_account_that_may_not_go_on_occupies_no_slot_for_ever(
        self, kit: Kit, obstacle: str
    ) -> None:
        kit.lose_the_worker()
        kit.lanes.alive("w2", for_ms=LEASE, slots={"turns": 1, "control": 1})
        kit.submit("t1")
        kit.client.hset("P:acct:acme", obstacle, {"hold": "401", "cool": 10**16, "probe": "due"}[obstacle])
        kit.submit("o1", lane="other", account="other", may_call=False)
        assert kit.called() == []
        kit.pass_ms(5_000)
        assert len(kit.dispatch().overdue) == 1


class TestCrash:
    """The worker of a turn is gone."""

    @pytest.fixture
    def held(self, kit: Kit) -> Kit:
        for name in ("t1", "t2"):
            kit.submit(name, may_call=False)
        assert kit.granted("t1") == ["t1", "t2"]
        return kit

    def test_turn_is_over_when_its_lost_call_is_and_the_gap(self, held: Kit) -> None:
        held.pass_ms(1_000 + LOST + GAP - 1)
        assert held.called() == []
        held.pass_ms(1)
        assert held.called() == ["t1"]

    def test_attempt_costs_and_its_batches_travel_alone(self, held: Kit) -> None:
        held.pass_ms(1_000 + LOST + GAP)
        held.dispatch()
        assert [held.ticket(name)["attempts"] for name in ("t1", "t2")] == ["1", "1"]
        assert [held.ticket(name)["solo"] for name in ("t1", "t2")] == ["1", "1"]

    def test_turn_does_not_keep_its_account_at_its_cap(self, held: Kit) -> None:
        """Another lane that is due earlier stands in the same set."""
        held.client.hset("P:acct:acme", "flight", 1)
        held.submit("o1", lane="other", may_call=False)
        held.pass_ms(1_000 + LOST + GAP)
        assert set(held.called()) & {"t1", "o1"}

    def test_probe_does_not_keep_its_account_waiting(self, held: Kit) -> None:
        held.client.hset("P:acct:acme", "probe", "k1")
        held.submit("o1", lane="other", may_call=False)
        held.pass_ms(1_000 + LOST + GAP)
        assert set(held.called()) & {"t1", "o1"}

    def test_turn_is_over_also_while_its_account_is_on_hold(self, held: Kit) -> None:
        held.lanes.hold("account", "acme", "401")
        held.pass_ms(1_000 + LOST + GAP)
        held.dispatch()
        assert held.lane()["state"] == "idle"

    def test_expired_ticket_has_uncertain_leads_for_it_may_have_left(self, held: Kit) -> None:
        held.client.hset("P:t:t1", "expires", held.enter("nobody").now_ms)
        held.pass_ms(1_000 + LOST + GAP)
        held.dispatch()
        assert (held.ticket("t1")["end"], held.codes("t1")) == ("expired", "??")


def test_an_expired_head_of_another_account_does_not_stall_the_account_of_the_lane(kit: Kit) -> None:
    kit.client.hset("P:acct:slow", mapping={"cool": 10**16})
    kit.submit("t1", may_call=False, expires_in_ms=100)
    kit.submit("s1", account="slow", may_call=False)
    kit.submit("o1", lane="other", may_call=False)
    kit.pass_ms(100)
    assert kit.called() == ["o1"]
    assert (kit.due(account="acme"), kit.due(account="slow")) == (None, 0)
    assert kit.lane()["acct"] == "slow"


def test_what_a_finisher_did_not_finish_is_claimed_again(kit: Kit) -> None:
    kit.submit("t1")
    kit.lanes.cancel("t1")
    assert kit.dispatch().finish == ("t1",)
    assert kit.dispatch().finish == ()
    kit.pass_ms(5_000)
    assert kit.dispatch().finish == ("t1",)
    kit.lanes.finished(["t1"])
    kit.pass_ms(5_000)
    assert kit.dispatch().finish == ()


def test_what_the_caller_has_written_is_not_claimed(kit: Kit) -> None:
    for ticket in ("t1", "t2", "t3"):
        kit.submit(ticket)
        kit.lanes.cancel(ticket)
    assert kit.lanes.dispatch(written=["t1", "t3"]).finish == ("t2",)
    kit.pass_ms(5_000)
    assert kit.dispatch().finish == ("t2",)


def test_no_script_leaves_anything_to_chance() -> None:
    """Or no life of the lanes' model could be lived again."""
    assert not [name for name in SCRIPTS if "rand" in lua(name).lower()]


class TestClockThatWentBack:
    def goes_back(self, kit: Kit) -> None:
        kit.pass_ms(-DAY)

    def test_does_not_keep_a_free_lane_waiting(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.enter("t1")
        kit.leave(move("t1", "again", "..", wait_ms=60_000))
        self.goes_back(kit)
        kit.dispatch()
        kit.pass_ms(LOST + GAP + 61_000)
        assert kit.called() == ["t1"]

    def test_is_looked_for_in_every_account_in_turn(self, kit: Kit) -> None:
        names = [f"a{i}" for i in range(10)]
        for name in names:
            kit.submit(f"t-{name}", lane=name, account=name, may_call=False)
            kit.granted(f"t-{name}", name)
            kit.leave(move(f"t-{name}", "again", ".."), token=name, lane=name, account=name)
        self.goes_back(kit)
        for _ in range(2 * len(names)):
            kit.dispatch()
            kit.pass_ms(500)
        kit.pass_ms(LOST + GAP + 61_000)
        assert sorted(kit.called()) == sorted(f"t-{name}" for name in names)

    def test_does_not_keep_a_call_on_a_new_lane_waiting(self, kit: Kit) -> None:
        kit.submit("t1")
        self.goes_back(kit)
        kit.dispatch()
        kit.pass_ms(5_000)
        assert len(kit.dispatch().overdue) == 1

    def test_does_not_keep_a_dead_turn_alive(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.enter("t1")
        self.goes_back(kit)
        kit.dispatch()
        kit.pass_ms(LOST + GAP + 61_000)
        assert kit.called() == ["t1"]

    def test_does_not_stop_a_metered_account(self, kit: Kit) -> None:
        kit.client.hset("P:acct:acme", "gcra", "1000.000:0.000")
        kit.submit("t1")
        kit.enter("t1")
        kit.submit("t2", lane="other", may_call=False)
        self.goes_back(kit)
        assert kit.called() == []
        kit.pass_ms(1_000)
        assert kit.called() == ["t2"]

    def test_does_not_lengthen_a_cool_down(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.enter("t1")
        kit.leave(move("t1", "again", ".."), signal="throttled", terms={"wait_ms": 30_000})
        self.goes_back(kit)
        kit.dispatch()
        kit.pass_ms(30_000 + GAP)
        kit.dispatch()
        kit.pass_ms(LOST + GAP + 61_000)
        assert kit.called() == ["t1"]

    def test_does_not_keep_results_unwritten(self, kit: Kit) -> None:
        kit.submit("t1")
        kit.lanes.cancel("t1")
        self.goes_back(kit)
        assert kit.dispatch().finish == ("t1",)

    def test_does_not_make_a_worker_immortal(self, kit: Kit) -> None:
        kit.lose_the_worker()
        kit.lanes.alive("dead", for_ms=LEASE, slots={"turns": 9, "control": 1})
        self.goes_back(kit)
        kit.lanes.alive("w2", for_ms=LEASE, slots={"turns": 1, "control": 1})
        kit.pass_ms(120_000)
        kit.lanes.alive("w2", for_ms=LEASE, slots={"turns": 1, "control": 1})
        kit.dispatch()
        assert kit.hash("slots", "turns")["sum"] == "1"


class TestCallsAheadOfTheirTime:
    """Leads that are due soon are called for threads that have nothing to do, and enter when the time has come."""

    AHEAD = 50

    def resting(self, kit: Kit, ms: int) -> None:
        """A lane with a batch in it whose next turn is so many ms away."""
        kit.submit("t0")
        kit.granted("t0")
        kit.leave(move("t0"), rest=ms)
        kit.submit("t1")

    def test_only_so_early_and_for_free_threads_of_the_caller(self, kit: Kit) -> None:
        self.resting(kit, 100)
        assert kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls == ()
        kit.pass_ms(70)
        assert kit.dispatch(threads=0, ahead_ms=self.AHEAD).calls == ()
        [call] = kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls
        assert (call.ticket, call.early_ms) == ("t1", 30)

    def test_the_turn_is_not_granted_before_its_time(self, kit: Kit) -> None:
        self.resting(kit, 30)
        [call] = kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls
        kit.pass_ms(29)
        assert kit.enter("t1", "k2", number=call.number).verdict == "parked"
        [call] = kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls
        kit.pass_ms(1)
        assert kit.enter("t1", "k2", number=call.number).verdict == "granted"

    def test_an_urgent_one_that_comes_meanwhile_is_called_instead(self, kit: Kit) -> None:
        self.resting(kit, 30)
        [call] = kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls
        kit.submit("u", priority="urgent")
        assert kit.state("t1") == "waiting"
        [instead] = kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls
        assert instead.ticket == "u"
        kit.pass_ms(30)
        assert kit.enter("t1", "k2", number=call.number).verdict == "parked"
        assert kit.granted("u", "k3") == ["u", "t1"]

    def test_a_task_that_others_wait_for_is_not_called_ahead_for_it_comes_through_the_broker(
        self, kit: Kit
    ) -> None:
        self.resting(kit, 30)
        kit.submit("t2", lane="leads/a/b/2", signature='{"task": "x"}')
        kit.granted("t2", "k2")
        kit.leave(move("t2"), token="k2", lane="leads/a/b/2", rest=30)
        kit.submit("t3", lane="leads/a/b/2", signature='{"task": "x"}')
        assert [call.ticket for call in kit.dispatch(threads=3, ahead_ms=self.AHEAD).calls] == ["t1"]
