"""Why nothing moves: each obstacle is told, the one that matters first."""

from collections.abc import Callable

import pytest

from leadlane.workers.blocking import blocked_by
from tests.unit.workers.lane_kit import LANE, LEASE, LOST, Kit

FAR = 2**42  # ms; later than any test
JOB = {"acct": "acme", "lane": LANE, "op": "import"}
STOP = JOB | {"lane": "state/voiso/x/1", "op": "stop"}


@pytest.fixture
def kit() -> Kit:
    return Kit()


def account(kit: Kit, **fields: object) -> None:
    kit.client.hset("P:acct:acme", mapping=fields)  # type: ignore[arg-type]


def only_control(kit: Kit) -> None:
    kit.lanes.alive("worker", for_ms=LEASE, slots={"turns": 0, "control": 2})


def crash(kit: Kit) -> None:
    kit.client.hset("P:clock", "lost", LOST)
    kit.boot("one")
    kit.boot("two")


OBSTACLES: list[tuple[Callable[[Kit], object], str]] = [
    (lambda kit: kit.lose_the_worker(), "no worker is alive"),
    (only_control, "no worker that is alive takes from the queue turns"),
    (lambda kit: kit.lanes.hold("account", "acme", "401: wrong key"), "account acme is on hold: 401: wrong key"),
    (lambda kit: kit.lanes.hold("operation", "acme", "403", "import"), "operation import of account acme is on hold: "),
    (lambda kit: kit.lanes.hold("lane", LANE, "legal"), "the lane is on hold: legal"),
    (crash, "Redis was restarted: quiet until "),
    (lambda kit: account(kit, cool=FAR, cool_why="throttled", throttles=1), "account acme cools down until "),
    (lambda kit: account(kit, cool=FAR, cool_why="failed", trips=1), "account acme cools down until "),
    (lambda kit: account(kit, probe="due", cool_why="failed", trips=1), "account acme sends one call first"),
]  # fmt: skip


def test_where_nothing_is_in_the_way_nothing_is_told(kit: Kit) -> None:
    assert blocked_by(kit.lanes, JOB) is None
    account(kit, probe="due")  # left over from a failure that a command has shown to be over
    assert blocked_by(kit.lanes, JOB) is None


@pytest.mark.parametrize(("begin", "words"), OBSTACLES)
def test_an_obstacle_is_told(kit: Kit, begin: Callable[[Kit], object], words: str) -> None:
    begin(kit)
    assert str(blocked_by(kit.lanes, JOB)).startswith(words)


def test_a_look_up_waits_for_no_probe_and_needs_no_worker_that_takes_leads(kit: Kit) -> None:
    only_control(kit)
    account(kit, probe="due", cool_why="failed", trips=1)
    assert blocked_by(kit.lanes, {"acct": "acme", "lane": "", "op": "status"}) is None


def test_the_breaker_and_its_probe_are_in_the_way_of_no_command(kit: Kit) -> None:
    account(kit, cool=FAR, cool_why="failed", trips=1, probe="due")
    assert blocked_by(kit.lanes, STOP) is None
    account(kit, cool=0)
    assert blocked_by(kit.lanes, STOP) is None


def test_a_429_is_in_the_way_of_a_command_too(kit: Kit) -> None:
    account(kit, cool=FAR, cool_why="throttled", throttles=1)
    assert "rate limit" in str(blocked_by(kit.lanes, STOP))
