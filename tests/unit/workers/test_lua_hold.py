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
