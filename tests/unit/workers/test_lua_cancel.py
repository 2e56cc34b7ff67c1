"""Ending tickets from outside: cancel and expiry."""

import pytest

from tests.unit.workers.lane_kit import GAP, LANE, LEASE, LOST, Kit, move


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_a_waiting_ticket_is_cancelled_at_once(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    assert kit.lanes.cancel("t1") == "cancelled"
    assert (kit.state("t1"), kit.codes("t1"), kit.finish(), kit.due()) == ("done", "xx", ["t1"], None)


def test_a_called_ticket_is_cancelled_and_the_next_is_due(kit: Kit) -> None:
    kit.submit("t1")
    kit.submit("t2")
    assert kit.lanes.cancel("t1") == "cancelled"
    assert kit.client.zcard("P:calls:turns") == 0
    assert kit.called() == ["t2"]


def test_cancelling_twice_is_cancelling_once(kit: Kit) -> None:
    kit.submit("t1")
    kit.lanes.cancel("t1")
    before = kit.job()
    assert kit.lanes.cancel("t1") == "done"
    assert kit.job() == before


def test_a_ticket_aboard_is_flagged(kit: Kit) -> None:
    kit.submit("t1")
    kit.enter("t1")
    assert kit.lanes.cancel("t1") == "flagged"
    assert kit.state("t1") == "holding"


def test_a_ticket_whose_worker_is_gone_ends_with_uncertain_leads(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    kit.enter("t1")
    kit.pass_ms(LEASE)
    assert kit.lanes.cancel("t2") == "cancelled"
    assert (kit.codes("t2"), kit.state("t1")) == ("??", "waiting")


def test_the_lane_of_a_cancelled_turn_still_waits_for_its_lost_call(kit: Kit) -> None:
    for name in ("t1", "t2"):
        kit.submit(name, may_call=False)
    kit.enter("t1")
    kit.pass_ms(LEASE)
    kit.lanes.cancel("t1")
    kit.pass_ms(1_000 + LOST + GAP - LEASE - 1)
    assert kit.called() == []
    kit.pass_ms(1)
    assert kit.called() == ["t2"]


def test_leads_of_an_attempt_that_was_answered_are_cancelled_and_the_others_uncertain(kit: Kit) -> None:
    kit.submit("t1", n=5)
    kit.enter("t1")
    kit.leave(move("t1", "again", ".~,:c"))
    kit.lanes.cancel("t1")
    assert kit.codes("t1") == "x??dc"


def test_a_ticket_that_nobody_stored_is_unknown(kit: Kit) -> None:
    assert kit.lanes.cancel("nobody") == "unknown"


class TestExpired:
    def test_ticket_ends_when_somebody_looks_at_its_job(self, kit: Kit) -> None:
        kit.submit("t1", expires_in_ms=100)
        kit.submit("t2")
        assert not kit.lanes.expire("t1")
        kit.pass_ms(100)
        assert kit.lanes.expire("t1")
        assert (kit.ticket("t1")["end"], kit.codes("t1"), kit.finish()) == ("expired", "ee", ["t1"])
        assert kit.called() == ["t2"]

    def test_ticket_aboard_is_left_alone(self, kit: Kit) -> None:
        kit.submit("t1", expires_in_ms=100)
        kit.enter("t1")
        kit.pass_ms(100)
        assert not kit.lanes.expire("t1")

    def test_head_is_passed_over(self, kit: Kit) -> None:
        kit.submit("t1", expires_in_ms=100, may_call=False)
        kit.submit("t2", may_call=False)
        kit.pass_ms(100)
        assert kit.called() == ["t2"]
        assert kit.state("t1") == "done"

    def test_ticket_that_would_go_on_ends(self, kit: Kit) -> None:
        kit.submit("t1", expires_in_ms=100)
        kit.enter("t1")
        kit.pass_ms(100)
        kit.leave(move("t1", "again", ".c"))
        assert (kit.ticket("t1")["end"], kit.codes("t1"), LANE in kit.client.zrange("P:timers", 0, -1)) == (
            "expired", "ec", False,
        )  # fmt: skip


def test_a_finished_job_has_its_clock_and_so_has_everything_of_it(kit: Kit) -> None:
    kit.submit("t1")
    kit.submit("t2")
    kit.lanes.seal("j")
    kit.lanes.cancel("t1")
    keys = [("t", "t1"), ("pay", "t1"), ("out", "t1"), ("job", "j"), ("batches", "j")]
    assert [kit.lives_for_ever(*key) for key in keys] == [False, False, False, True, True]
    kit.lanes.cancel("t2")
    assert "ended" in kit.job()
    assert not any(kit.lives_for_ever(*key) for key in keys)
