"""When a dispatcher looks."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from leadlane.workers import dispatcher
from leadlane.workers.dispatcher import Dispatcher
from leadlane.workers.lanes import Due


class Lanes:
    """Nothing is ever due; the first look is told to come again after ``wait_ms``, others much later."""

    def __init__(self, wait_ms: int) -> None:
        self.waits = [wait_ms]
        self.looks = threading.Semaphore(0)
        self.off: list[str] = []

    def dispatch(self, *, written: Sequence[str] = (), **_: int) -> Due:
        self.off += written
        self.looks.release()
        return Due(self.waits.pop() if self.waits else 100_000, (), (), ())

    def looked(self) -> bool:
        return self.looks.acquire(timeout=20)

    def finished(self, tickets: Iterable[str]) -> None:
        self.off += tickets


@pytest.fixture(autouse=True)
def no_naps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "NAP_S", 100.0)


def started(lanes: Any) -> Dispatcher:
    one = Dispatcher(lanes, publish=lambda _: None, finish=lambda _: None, queue_is_empty=lambda _: True)
    one.start()
    return one


def test_it_looks_for_each_lane_that_was_left_here() -> None:
    lanes = Lanes(100_000)
    one = started(lanes)
    try:
        assert lanes.looked()
        one.wake(0.2)
        one.wake(0.1)
        assert lanes.looked()
        assert lanes.looked()
    finally:
        one.stop()


def test_a_moment_that_it_was_told_is_kept_though_it_is_woken_before() -> None:
    lanes = Lanes(300)
    one = started(lanes)
    try:
        assert lanes.looked()
        one.wake()
        assert lanes.looked()
        assert lanes.looked()
    finally:
        one.stop()


def test_tickets_with_results_leave_the_finish_list_with_the_next_look_and_after_the_last_one_by_themselves() -> (
    None
):
    lanes = Lanes(100_000)
    one = started(lanes)
    try:
        assert lanes.looked()
        one.written(["t1", "t2"])
        assert lanes.off == []
        one.wake()
        assert lanes.looked()
        assert lanes.off == ["t1", "t2"]
        one.written(["t3"])
    finally:
        one.stop()
    assert lanes.off == ["t1", "t2", "t3"]
    one.written(["t4"])
    assert lanes.off == ["t1", "t2", "t3", "t4"]
