"""Putting tickets into lanes."""

import pytest

from tests.unit.workers.lane_kit import LANE, Kit


@pytest.fixture
def kit() -> Kit:
    return Kit()


def test_a_ticket_for_an_idle_due_lane_is_called_at_once(kit: Kit) -> None:
    call = kit.submit("t1")
    assert call
    assert (call.ticket, call.queue, call.number, call.n) == ("t1", "turns", 1, 2)
    assert kit.state("t1") == "called"


def test_a_producer_that_cannot_publish_leaves_the_call_to_a_dispatcher(kit: Kit) -> None:
    assert kit.submit("t1", may_call=False) is None
    assert kit.state("t1") == "waiting"
    assert kit.called() == ["t1"]


def test_the_same_ticket_again_changes_nothing(kit: Kit) -> None:
    kit.submit("t1")
    before = kit.ticket("t1"), kit.job()
    assert kit.submit("t1", n=5) is None
    assert (kit.ticket("t1"), kit.job()) == before


def test_nobody_is_called_while_no_worker_lives(kit: Kit) -> None:
    kit.lose_the_worker()
    assert kit.submit("t1") is None
    assert kit.called() == []


def test_a_ticket_whose_rows_are_all_decided_is_done_without_a_turn(kit: Kit) -> None:
    assert kit.submit("t1", codes="ii", why={0: "no number", 1: "no number"}) is None
    assert (kit.state("t1"), kit.codes("t1"), kit.job()["n:i"]) == ("done", "ii", "2")
    assert kit.finish() == ["t1"]


def test_a_ticket_without_rows_is_done_without_a_turn(kit: Kit) -> None:
    assert kit.submit("t1", n=0) is None
    assert kit.state("t1") == "done"


def test_more_for_a_job_that_was_over_opens_it_again(kit: Kit) -> None:
    kit.client.hset("P:job:j", "key", "once")
    kit.client.set("P:key:once", "j")
    kit.submit("t1", codes="ii")
    kit.lanes.seal("j")
    assert not kit.lives_for_ever("job", "j")
    kit.submit("t2")
    assert "ended" not in kit.job()
    assert all(kit.lives_for_ever(*key) for key in (("job", "j"), ("batches", "j"), ("key", "once")))


def test_imports_go_by_class_and_inside_a_class_in_order(kit: Kit) -> None:
    for name, priority in [("b", "bulk"), ("n1", "normal"), ("n2", "normal"), ("u", "urgent")]:
        kit.submit(name, may_call=False, priority=priority)
    assert kit.client.zrange(f"P:wait:{LANE}", 0, -1) == [b"u", b"n1", b"n2", b"b"]


def test_an_update_joins_behind_all_and_later_imports_do_not_pass_it(kit: Kit) -> None:
    for name, operation, priority in [
        ("i1", "import", "bulk"), ("u1", "update", "urgent"), ("u2", "update", "bulk"), ("i2", "import", "urgent"),
    ]:  # fmt: skip
        kit.submit(name, may_call=False, operation=operation, priority=priority)
    assert kit.client.zrange(f"P:wait:{LANE}", 0, -1) == [b"i1", b"u1", b"u2", b"i2"]


def test_every_tenth_turn_is_bulks(kit: Kit) -> None:
    kit.client.hset(f"P:lane:{LANE}", "turns", 9)
    kit.submit("n", may_call=False)
    kit.submit("b", may_call=False, priority="bulk")
    assert kit.called() == ["b"]


def test_the_tenth_turn_does_not_carry_bulk_past_an_update(kit: Kit) -> None:
    kit.client.hset(f"P:lane:{LANE}", "turns", 9)
    kit.submit("n", may_call=False)
    kit.submit("u", may_call=False, operation="update")
    kit.submit("b", may_call=False, priority="bulk")
    assert kit.called() == ["n"]
