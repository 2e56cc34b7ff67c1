"""Holds and releases by operators."""

import pytest

from tests.unit.workers.lane_kit import LANE, Kit


@pytest.fixture
def kit() -> Kit:
    return Kit()


@pytest.mark.parametrize("what", ["account", "operation", "lane"])
def test_what_is_held_is_not_called_until_it_is_released(kit: Kit, what: str) -> None:
    name = LANE if what == "lane" else "acme"
    kit.submit("t1", may_call=False)
    assert kit.lanes.hold(what, name, "why", "import")  # type: ignore[arg-type]
    assert not kit.lanes.hold(what, name, "why", "import")  # type: ignore[arg-type]
    assert kit.called() == []
    assert kit.lanes.hold(what, name, "", "import")  # type: ignore[arg-type]
    assert kit.called() == ["t1"]


def test_a_lane_that_nobody_used_may_be_held(kit: Kit) -> None:
    kit.lanes.hold("lane", LANE, "why")
    assert kit.submit("t1") is None
    assert kit.called() == []
    kit.lanes.hold("lane", LANE, "")
    assert kit.called() == ["t1"]


def test_a_held_account_holds_no_other(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    kit.lanes.hold("account", "acme", "401")
    kit.submit("o1", lane="other", account="other", may_call=False)
    assert kit.called() == ["o1"]


def test_a_held_account_holds_what_is_behind_it_in_a_shared_lane(kit: Kit) -> None:
    kit.submit("t1", may_call=False)
    kit.submit("o1", account="other", may_call=False)
    kit.lanes.hold("account", "acme", "401")
    assert kit.called() == []
    kit.lanes.cancel("t1")
    assert kit.called() == ["o1"]


def test_a_held_operation_lets_the_lane_go_on_when_its_head_is_another(kit: Kit) -> None:
    kit.submit("u1", operation="update", may_call=False)
    kit.submit("i2", may_call=False)
    kit.lanes.hold("operation", "acme", "403", "update")
    assert kit.called() == []
    kit.lanes.cancel("u1")
    assert kit.called() == ["i2"]


def test_the_release_of_an_account_ends_its_cool_down(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", mapping={"cool": 10**16, "probe": "due"})
    kit.submit("t1", may_call=False)
    assert kit.called() == []
    kit.lanes.hold("account", "acme", "")
    assert kit.called() == ["t1"]


MANY = [f"leads/voiso/x/{n}" for n in range(250)]


def lanes_due(kit: Kit) -> int:
    return int(kit.client.zcard("P:due:acme:leads"))


def test_the_lanes_of_a_released_operation_go_on_by_and_by(kit: Kit) -> None:
    kit.lanes.hold("operation", "acme", "held", operation="import")
    for lane in MANY:
        kit.submit(f"t-{lane}", lane=lane)
    assert lanes_due(kit) == 0
    kit.lanes.hold("operation", "acme", "", operation="import")
    assert 0 < lanes_due(kit) < len(MANY)
    waits = [kit.dispatch(most=0).wait_ms for _ in range(2)]
    assert waits == [0, 0]  # there is more to do
    assert lanes_due(kit) == len(MANY)
    assert kit.client.keys("P:held:*") + kit.client.keys("P:freed") == []


def test_an_operation_that_is_held_again_keeps_the_lanes_that_have_not_gone_on(kit: Kit) -> None:
    kit.lanes.hold("operation", "acme", "held", operation="import")
    for lane in MANY:
        kit.submit(f"t-{lane}", lane=lane)
    kit.lanes.hold("operation", "acme", "", operation="import")
    kit.lanes.hold("operation", "acme", "held again", operation="import")
    while kit.called():
        pass
    assert [kit.dispatch().calls for _ in range(3)] == [(), (), ()]
    assert kit.client.zcard("P:held:acme:import") > 0
    kit.lanes.hold("operation", "acme", "", operation="import")
    for _ in range(4):
        kit.dispatch(most=0)
    assert not kit.client.exists("P:held:acme:import")


def test_all_lanes_go_on_when_the_last_opt_out_of_their_scope_is_taken_in(kit: Kit) -> None:
    kit.submit("out", lane="optouts", account="*", group="control", operation="suppress", unturned="all")
    for lane in MANY:
        kit.submit(f"t-{lane}", lane=lane, may_call=False)
    assert lanes_due(kit) == 0
    assert kit.lanes.cancel("out") == "cancelled"
    for _ in range(2):
        assert 0 < lanes_due(kit) < len(MANY)
        kit.dispatch(most=0)
    assert lanes_due(kit) == len(MANY)
    assert kit.client.keys("P:hushed:*") + kit.client.keys("P:freed") == []
