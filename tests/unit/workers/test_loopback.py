"""Calls that go to a thread of the worker that makes them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.worker import state
from kombu.message import Message

from leadlane.workers.lanes import Call
from leadlane.workers.loopback import HERE_HEADER, Loopback


class Hub:
    """Celery's event loop, as far as readers go; a test lets it look."""

    def __init__(self) -> None:
        self.readers: dict[int, Callable[[], object]] = {}

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]

    def look(self) -> None:
        for callback in list(self.readers.values()):
            callback()


def a_call(queue: str = "turns", signature: str = "") -> Call:
    return Call("j-0-abc", queue, 7, "import", "voiso", "3", "j", 2, "normal", signature)


@pytest.fixture
def taken() -> list[Message]:
    return []


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
def loopback(hub: Hub, taken: list[Message]) -> Loopback:
    loopback = Loopback({"turns": 2, "control": 0})
    loopback.attach(hub, taken.append)
    return loopback


def test_a_call_comes_to_the_loop_as_its_task(loopback: Loopback, hub: Hub, taken: list[Message]) -> None:
    assert loopback.take(a_call())
    hub.look()
    (message,) = taken
    headers: Any = message.headers
    assert (headers["task"], headers["id"]) == ("leadlane.leads.import", "j-0-abc")
    assert headers[HERE_HEADER]
    assert headers["ignore_result"]  # the finish list writes it
    assert message.payload == ((), {"campaign": "voiso/3", "batch": "j-0-abc", "job": "j"}, {})
    message.ack()
    assert message.acknowledged


def test_there_are_no_more_than_threads(loopback: Loopback, hub: Hub, taken: list[Message]) -> None:
    assert [loopback.take(a_call()) for _ in range(3)] == [True, True, False]
    hub.look()
    assert len(taken) == 2


class Request:
    """A task that Celery has given to a thread."""


@pytest.fixture
def busy() -> Iterator[Request]:
    """A thread works on it."""
    request = Request()
    state.reserved_requests.add(request)
    yield request
    state.reserved_requests.discard(request)


@pytest.mark.usefixtures("busy")
def test_threads_that_work_on_messages_are_not_free(loopback: Loopback) -> None:
    assert [loopback.take(a_call()) for _ in range(2)] == [True, False]


def test_a_thread_whose_turn_has_left_counts_as_free_until_its_task_is_over(
    loopback: Loopback, busy: Request
) -> None:
    loopback.turn_left(None)
    assert [loopback.take(a_call()) for _ in range(3)] == [True, True, False]
    state.reserved_requests.discard(busy)
    loopback.task_ended()
    assert not loopback.take(a_call())


@pytest.mark.usefixtures("busy")
def test_a_call_that_leaving_brought_gets_the_place_of_its_thread(
    loopback: Loopback, hub: Hub, taken: list[Message]
) -> None:
    assert loopback.take(a_call())
    assert loopback.free("turns") == 0
    assert loopback.turn_left(a_call())
    assert loopback.free("turns") == 0
    hub.look()
    assert len(taken) == 2


@pytest.mark.usefixtures("busy")
def test_where_more_is_at_work_than_should_be_it_gets_none(loopback: Loopback) -> None:
    extra = [Request(), Request()]
    state.reserved_requests.update(extra)
    try:
        assert not loopback.turn_left(a_call())
    finally:
        state.reserved_requests.difference_update(extra)


def test_a_message_whose_thread_was_given_away_waits_until_one_is_free(
    loopback: Loopback, hub: Hub, taken: list[Message], busy: Request
) -> None:
    late, of_the_call = Message(b"", channel=None), Request()
    assert loopback.take(a_call())
    loopback.arrived(late, taken.append)
    state.reserved_requests.add(of_the_call)
    hub.look()
    assert len(taken) == 1
    assert late not in taken
    state.reserved_requests.discard(busy)
    loopback.task_ended()
    hub.look()
    assert taken[1:] == [late]
    loopback.arrived(late, taken.append)
    assert taken[2:] == [late]  # at once: none was given away


@pytest.mark.usefixtures("busy")
def test_a_task_beyond_the_calls_that_may_be_made_at_once_has_no_place_for_one(loopback: Loopback) -> None:
    assert loopback.has_place()
    extra = [Request(), Request()]
    state.reserved_requests.update(extra)
    assert not loopback.has_place()


@pytest.mark.parametrize("call", [a_call(signature='{"task": "x"}'), a_call(queue="control")])
def test_what_others_wait_for_and_queues_that_are_not_served_go_through_the_broker(
    loopback: Loopback, call: Call
) -> None:
    assert not loopback.take(call)


def test_none_is_taken_while_the_loop_is_away(loopback: Loopback, hub: Hub, taken: list[Message]) -> None:
    assert loopback.take(a_call())
    loopback.detach(hub)
    assert not loopback.take(a_call())
    loopback.attach(hub, taken.append)
    hub.look()
    assert taken == []  # its lane repeats it
