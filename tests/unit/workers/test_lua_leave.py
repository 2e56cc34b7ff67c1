"""The end of a turn: outcomes, moves, gap, the account's lesson, the next call."""

from typing import Any

import pytest

from tests.unit.workers.lane_kit import GAP, LANE, LOST, Kit, move


@pytest.fixture
def kit() -> Kit:
    """A lane whose turn t1 has, with t2 riding along."""
    kit = Kit()
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    assert kit.granted("t1") == ["t1", "t2"]
    return kit


def test_outcomes_are_written_and_counted_once(kit: Kit) -> None:
    kit.leave(move("t1", codes="cd"), move("t2", codes="cr", why={"1": "too short"}))
    assert (kit.codes("t1"), kit.codes("t2")) == ("cd", "cr")
    job = kit.job()
    assert {key: job[key] for key in ("n:c", "n:d", "n:r", "done")} == {
        "n:c": "2",
        "n:d": "1",
        "n:r": "1",
        "done": "2",
    }
    assert kit.hash("why", "t2") == {"1": "too short"}


def test_the_lane_rests_from_the_end_of_the_call(kit: Kit) -> None:
    kit.leave(move("t1"), move("t2"), rest=1_700)
    assert kit.at("lane", "next", LANE) == 1_700
    assert kit.lane()["state"] == "idle"


def test_a_rider_that_is_done_goes_on_the_finish_list_and_the_holder_does_not(kit: Kit) -> None:
    kit.leave(move("t1"), move("t2"))
    assert kit.finish() == ["t2"]
    assert kit.dispatch().finish == ()  # the leaver writes it, unless it dies
    kit.pass_ms(5_000)
    assert kit.dispatch().finish == ("t2",)


@pytest.mark.parametrize(("act", "codes"), [("done", "cc"), ("dead", "..")])
def test_a_holder_whose_message_went_with_a_twin_is_finished_by_others_if_it_dies(
    kit: Kit, act: str, codes: str
) -> None:
    """Its own task returns the result; should it die before, no message of it is left to come again."""
    assert kit.enter("t1", "k2").verdict == "elsewhere"
    kit.leave(move("t1", act, codes), move("t2"))
    assert set(kit.finish()) == {"t1", "t2"}
    assert kit.dispatch().finish == ()
    kit.pass_ms(5_000)
    assert set(kit.dispatch().finish) == {"t1", "t2"}


def test_a_twin_of_an_earlier_turn_does_not_count(kit: Kit) -> None:
    assert kit.enter("t1", "k2").verdict == "elsewhere"
    kit.leave(move("t1", "again", ".."), move("t2"), rest=0)
    assert kit.granted("t1", "k3") == ["t1"]
    kit.leave(move("t1"), token="k3")
    assert "t1" not in kit.finish()


def test_a_lane_without_gap_calls_its_next_ticket_in_the_same_script(kit: Kit) -> None:
    kit.submit("t3")
    call = kit.leave(move("t1"), move("t2"), rest=0).call
    assert call
    assert call.ticket == "t3"


def test_what_goes_on_keeps_its_place_and_waits_for_its_backoff(kit: Kit) -> None:
    kit.submit("t3")
    kit.leave(move("t1", "again", "..", wait_ms=9_000), move("t2"))
    assert kit.due() == 9_000
    kit.pass_ms(9_000)
    assert kit.called() == ["t1"]


def test_leads_that_are_done_ride_no_more(kit: Kit) -> None:
    kit.leave(move("t1", "again", ".."), move("t2"))
    kit.pass_ms(GAP)
    assert kit.granted("t1", "k2") == ["t1"]


def test_a_search_steps_behind_waiting_imports_but_not_behind_an_update(kit: Kit) -> None:
    kit.submit("b3", priority="bulk")
    kit.submit("u4", operation="update")
    kit.leave(move("t1", "again", "..", behind=1, search="[1]"), move("t2"))
    assert kit.client.zrange(f"P:wait:{LANE}", 0, -1) == [b"b3", b"t1", b"u4"]


def test_batches_that_are_to_travel_alone_do_so_until_a_leave_says_no_more(kit: Kit) -> None:
    kit.leave(move("t1", "again", "..", solo=1), move("t2", "again", "..", solo=1))
    kit.pass_ms(GAP)
    assert kit.granted("t1", "k2") == ["t1"]
    kit.leave(move("t1", "again", ".."), token="k2")
    kit.lanes.cancel("t2")
    kit.submit("t3", may_call=False)
    kit.pass_ms(GAP)
    assert kit.granted("t1", "k3") == ["t1", "t3"]


def test_an_import_whose_duplicates_are_to_be_updated_goes_on_as_an_update(kit: Kit) -> None:
    kit.leave(move("t1", "again", "..", op="update"), move("t2"))
    assert kit.ticket("t1")["op"] == "update"


def test_who_leaves_twice_is_told_the_same(kit: Kit) -> None:
    moves = move("t1"), move("t2")
    assert not kit.leave(*moves).stale
    before = kit.job(), kit.lane(), kit.finish()
    assert not kit.leave(*moves).stale
    assert (kit.job(), kit.lane(), kit.finish()) == before


def test_a_turn_that_was_said_before_does_not_rely_on_its_task(kit: Kit) -> None:
    """Its task has ended long ago, perhaps with a result that the server has forgotten."""
    kit.leave(move("t1"), move("t2"), replay=True)
    assert kit.finish() == ["t1", "t2"]


def test_the_result_of_a_task_that_was_cut_waits_for_its_pieces() -> None:
    kit = Kit()
    kit.lanes.expect_pieces("t", 1)
    kit.submit("t.1", lane="other", piece_of="t")
    kit.submit("t", cut_into=1)
    kit.enter("t")
    assert not kit.leave(move("t")).complete
    assert kit.enter("t", "k9").verdict == "parked"
    kit.enter("t.1", "k2")
    kit.leave(move("t.1"), token="k2", lane="other")
    assert kit.finish() == ["t"]
    assert kit.enter("t", "k9").verdict == "done"


class TestDead:
    def test_is_a_state_and_its_leads_are_counted_apart(self, kit: Kit) -> None:
        kit.leave(move("t1", "dead", ".c", reason="404"), move("t2"))
        assert (kit.state("t1"), kit.ticket("t1")["reason"]) == ("dead", "404")
        assert (kit.job()["dead"], kit.job()["dead_tickets"], kit.job()["n:c"]) == ("1", "1", "3")
        assert kit.client.zrange("P:dead", 0, -1) == [b"t1"]

    def test_has_no_clock_and_neither_has_its_job(self, kit: Kit) -> None:
        kit.leave(move("t1", "dead", ".c"), move("t2"))
        kit.lanes.seal("j")
        assert "ended" in kit.job()
        assert all(
            kit.lives_for_ever(*key) for key in (("t", "t1"), ("pay", "t1"), ("job", "j"), ("batches", "j"))
        )

    def test_ticket_that_is_cancelled_starts_the_clocks(self, kit: Kit) -> None:
        kit.leave(move("t1", "dead", ".c"), move("t2"))
        kit.lanes.seal("j")
        assert kit.lanes.cancel("t1") == "cancelled"
        assert (kit.codes("t1"), kit.job()["dead"], kit.job()["dead_tickets"]) == ("xc", "0", "0")
        assert not any(
            kit.lives_for_ever(*key) for key in (("t", "t1"), ("pay", "t1"), ("job", "j"), ("batches", "j"))
        )


class TestStale:
    """The turn was lost, another had it or has it: only what is missing may be added."""

    @pytest.fixture
    def late(self, kit: Kit) -> Kit:
        """The turn of t1 and t2 is over without an answer, t1 is in its next."""
        kit.pass_ms(1_000 + LOST + GAP)
        assert kit.called() == ["t1"]
        assert kit.granted("t1", "k2") == ["t1"]
        return kit

    def test_leave_fills_outcomes_and_moves_nothing(self, late: Kit) -> None:
        before = late.lane()
        assert late.leave(move("t1"), move("t2", codes="cr", why={"1": "no"})).stale
        assert (late.state("t1"), late.state("t2"), late.lane()) == ("holding", "waiting", before)
        assert (late.codes("t1"), late.codes("t2"), late.job()["n:c"]) == ("cc", "cr", "3")

    @pytest.mark.parametrize(
        ("known", "said", "kept"),
        [
            ("cd", "rr", "cd"),
            ("..", "~c", "~c"),
            ("~,", "..", "~,"),
            ("~,", ",~", "~,"),
            ("~?", "cc", "cc"),
            ("??", "~.", "??"),
        ],
    )
    def test_leave_only_adds_to_what_is_known(self, late: Kit, known: str, said: str, kept: str) -> None:
        late.leave(move("t1", "again", known), token="k2")
        late.leave(move("t1", "again", said), move("t2", "again", ".."))
        assert late.codes("t1") == kept

    def test_reason_is_not_told_of_an_outcome_that_did_not_win(self, late: Kit) -> None:
        late.leave(move("t1", codes="cc"), token="k2")
        late.leave(move("t1", codes="rr", why={"0": "no", "r": "no"}), move("t2"))
        assert late.hash("why", "t1") == {"r": "no"}

    def test_outcome_of_a_finished_ticket_lives_no_longer_than_the_ticket(self, late: Kit) -> None:
        late.leave(move("t1", codes="?c"), token="k2")
        late.leave(move("t1", codes="rc", why={"0": "no"}), move("t2"))
        assert late.codes("t1") == "rc"
        assert not any(late.lives_for_ever(part, "t1") for part in ("t", "pay", "out", "why"))

    def test_outcome_of_a_dead_ticket_is_no_longer_counted_as_dead(self, late: Kit) -> None:
        late.leave(move("t1", "dead", "~~"), token="k2")
        late.leave(move("t1", codes="cc"), move("t2", "again", ".."))
        assert (late.job()["dead"], late.job()["n:c"], late.ticket("t1")["pending"]) == ("0", "2", "0")

    def test_signal_teaches_the_account_nothing(self, late: Kit) -> None:
        late.leave(move("t1", "again", ".."), move("t2", "again", ".."), signal="hold")
        assert "hold" not in late.hash("acct", "acme")


class TestCancelled:
    def test_ticket_that_left_keeps_its_outcome(self, kit: Kit) -> None:
        assert kit.lanes.cancel("t1") == "flagged"
        kit.leave(move("t1"), move("t2"))
        assert (kit.ticket("t1")["end"], kit.codes("t1")) == ("ok", "cc")

    def test_ticket_that_would_go_on_ends_here(self, kit: Kit) -> None:
        kit.lanes.cancel("t1")
        kit.leave(move("t1", "again", ".~"), move("t2"))
        assert (kit.ticket("t1")["end"], kit.codes("t1")) == ("cancelled", "x?")
        assert "t1" in kit.finish()


class TestAccount:
    def learns(self, kit: Kit, signal: str, **terms: Any) -> dict[str, str]:
        kit.leave(move("t1", "again", ".."), move("t2", "again", ".."), signal=signal, terms=terms)
        return kit.hash("acct", "acme")

    def test_cools_down_as_long_as_the_dialer_asks(self, kit: Kit) -> None:
        self.learns(kit, "throttled", wait_ms=30_000)
        kit.pass_ms(29_999)
        assert kit.called() == []
        kit.pass_ms(1)
        assert kit.called() == ["t1"]

    def test_cools_down_no_shorter_for_a_later_answer(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        kit.enter("o1", "k2")
        self.learns(kit, "throttled", wait_ms=30_000)
        kit.leave(
            move("o1", "again", ".."), token="k2", lane="other", signal="throttled", terms={"wait_ms": 1_000}
        )
        assert kit.at("acct", "cool", "acme") == 30_000

    def test_cools_down_by_backoff_if_the_dialer_says_nothing(self, kit: Kit) -> None:
        self.learns(kit, "throttled", dice=0.5)
        assert kit.at("acct", "cool", "acme") == 2_000  # half of base * 2

    def test_rises_its_backoff_only_for_calls_begun_after_the_last_429(self, kit: Kit) -> None:
        self.learns(kit, "throttled", dice=1.0)
        kit.submit("o1", lane="other", may_call=False)
        kit.pass_ms(4_000)
        kit.enter("o1", "k2")
        kit.pass_ms(100)
        late = move("o1", "again", "..")
        kit.leave(late, token="k2", lane="other", signal="throttled", terms={"dice": 1.0, "began_ms": 5_000})
        assert kit.at("acct", "cool", "acme") == 4_100 + 4_000

    def test_sends_one_probe_first(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        self.learns(kit, "throttled", wait_ms=3_000)
        kit.pass_ms(3_000)
        assert kit.called() == ["o1"]
        kit.enter("o1", "k2")
        assert kit.enter("t1", "k3").verdict == "parked"
        kit.leave(move("o1"), token="k2", lane="other")
        assert kit.enter("t1", "k3").verdict == "granted"

    def test_sends_another_probe_if_the_first_was_not_sent(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        self.learns(kit, "throttled", wait_ms=3_000)
        kit.pass_ms(3_000)
        kit.enter("o1", "k2")
        kit.leave(move("o1", "again", "..", called=0), token="k2", lane="other", rest=GAP, signal="none")
        assert kit.enter("t1", "k3").verdict == "granted"
        kit.pass_ms(GAP)
        assert kit.enter("o1", "k4").verdict == "parked"

    def test_opens_its_breaker_after_failures_in_a_row(self, kit: Kit) -> None:
        for i in (1, 2, 3):
            assert "cool" not in kit.hash("acct", "acme")
            kit.leave(move("t1", "again", ".."), move("t2", "again", ".."), token=f"k{i}", signal="failed")
            kit.pass_ms(GAP)
            kit.enter("t1", f"k{i + 1}")
        assert kit.hash("acct", "acme")["cool_why"] == "failed"

    def test_forgets_its_failures_with_a_success(self, kit: Kit) -> None:
        kit.client.hset("P:acct:acme", mapping={"fails": 2, "trips": 1})
        assert not {"fails", "trips"} & self.learns(kit, "ok").keys()

    def test_is_held_with_the_reason(self, kit: Kit) -> None:
        assert self.learns(kit, "hold")["hold"] == "hold"
        kit.pass_ms(GAP)
        assert kit.called() == []

    def test_has_one_operation_held(self, kit: Kit) -> None:
        assert self.learns(kit, "hold_op")["hold:import"] == "hold_op"
        kit.pass_ms(GAP)
        assert kit.called() == []
        kit.submit("u", lane="other", operation="update", may_call=False)
        assert kit.called() == ["u"]

    def test_may_go_on_while_one_lane_is_held(self, kit: Kit) -> None:
        kit.leave(move("t1", "again", ".."), move("t2", "again", ".."), hold="the campaign is stopped")
        kit.submit("o1", lane="other", may_call=False)
        kit.pass_ms(GAP)
        assert kit.called() == ["o1"]


class TestTheNextTurnOfAThread:
    """What the thread of a turn that has left gets, while other lanes wait."""

    DONE = (move("t1"), move("t2"))

    def test_it_is_that_of_the_first_lane_that_is_due(self, kit: Kit) -> None:
        for name, lane in (("o1", "other"), ("p1", "third")):
            kit.submit(name, lane=lane, may_call=False)
            kit.pass_ms(1)
        call = kit.leave(*self.DONE).call
        assert call is not None
        assert (call.ticket, call.early_ms) == ("o1", 0)
        assert kit.lane("other")["state"] == "called"
        assert kit.called() == ["p1"]

    def test_each_account_comes_in_turn(self, kit: Kit) -> None:
        for n in range(4):
            kit.submit(f"a{n}", lane=f"acme{n}", may_call=False)
            kit.submit(f"s{n}", lane=f"slow{n}", account="slow", may_call=False)
        call = kit.leave(*self.DONE).call
        assert call is not None
        called = [call.account]
        for n in range(2, 5):
            kit.granted(call.ticket, f"k{n}", number=call.number)
            call = kit.leave(
                move(call.ticket), token=f"k{n}", lane=f"{call.account}{call.ticket[1]}", account=call.account
            ).call
            assert call is not None
            called.append(call.account)
        assert sorted(called) == ["acme", "acme", "slow", "slow"]

    def test_there_is_none_before_a_command_of_the_account(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        kit.submit("c1", lane="state", group="control", operation="stop", may_call=False)
        assert kit.leave(*self.DONE).call is None

    def test_there_is_none_for_whom_nothing_may_be_called(self, kit: Kit) -> None:
        kit.submit("o1", lane="other", may_call=False)
        assert kit.leave(*self.DONE, may_call=False).call is None

    def test_a_call_that_waits_in_the_broker_comes_first(self, kit: Kit) -> None:
        first = kit.submit("o1", lane="other")
        assert first is not None
        kit.submit("p1", lane="third", may_call=False)
        kit.pass_ms(501)
        call = kit.leave(*self.DONE).call
        assert call is not None
        assert call.ticket == "o1"
        assert call.number > first.number
        assert kit.granted("o1", "k2", number=call.number) == ["o1"]
        assert kit.enter("o1", "k3", number=first.number).verdict == "elsewhere"

    @pytest.mark.parametrize(("ms", "more"), [(400, {}), (501, {"signature": '{"task": "x"}'})])
    def test_not_so_one_that_has_just_been_made_or_that_only_the_broker_can_bring(
        self, kit: Kit, ms: int, more: dict[str, str]
    ) -> None:
        kit.submit("o1", lane="other", **more)
        kit.submit("p1", lane="third", may_call=False)
        kit.pass_ms(ms)
        call = kit.leave(*self.DONE).call
        assert call is not None
        assert call.ticket == "p1"
