"""A call that a worker makes goes to a free thread of its own, past the broker.

It is the same task: request, events, revocation and `inspect` are Celery's, only the way of the message is shorter,
from one thread of the process to Celery's loop in another. So a turn costs no publishing, no reading and no
acknowledgement, and begins some milliseconds earlier. Nothing depends on it: a call is only a hint, the lane repeats
one that leads to nothing. What a message that comes again would do for the result of a worker that was killed, the
finish list does: whose call came this way is told so (``own`` in ``leave.lua``), and Celery stores no result of it.
Calls go through the broker as ever if no thread is free, if the worker does not serve their queue, and if other tasks
wait for theirs.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer
from kombu.message import Message

from leadlane.workers.calling import TASK_OF, safe_kwargs
from leadlane.workers.lanes import Call
from leadlane.workers.redaction import redact

HERE_HEADER = "leadlane_here"
"""Message header of a task that did not come through the broker."""
BEGINS_HEADER = "leadlane_begins"
"""Header of such a task that was called ahead of its time: when it comes, by this process's monotonic clock."""


class Loopback:
    """The way from the threads that call to Celery's loop. ``slots`` are this worker's threads per queue."""

    def __init__(self, slots: Mapping[str, int]) -> None:
        self._slots = slots
        self._calls: deque[tuple[Call, float]] = deque()
        self._leaving: set[int] = set()
        self._late: deque[tuple[Message, Callable[[Message], object]]] = deque()
        self._handing = 0
        self._lock = threading.Lock()
        self._handle: Callable[[Message], object] | None = None
        self._awake, self._wake = os.pipe()
        for end in (self._awake, self._wake):
            os.set_blocking(end, False)

    def take(self, call: Call) -> bool:
        """Take the call if a thread is free for it; else it is to be published."""
        with self._lock:
            if not self._fits(call):
                return False
            self._put(call)
        self._ring()
        return True

    def turn_left(self, call: Call | None) -> bool:
        """The turn of this thread has left its lane: what is still to be done is short, the thread counts as free.

        A call that its leaving brought gets the place of this thread before anybody else does: whether it was taken.
        """
        with self._lock:
            self._leaving.add(threading.get_ident())
            if call is None or not self._fits(call):
                return False
            self._put(call)
        self._ring()
        return True

    def has_place(self) -> bool:
        """Whether the task of this thread is one of as many as calls may be made at once."""
        return self.busy() <= self._slots["turns"]

    def _fits(self, call: Call) -> bool:
        return not call.signature and self.free(call.queue) > 0

    def _put(self, call: Call) -> None:
        self._calls.append((call, time.monotonic() + call.early_ms / 1000 if call.early_ms else 0.0))

    def free(self, queue: str) -> int:
        """Threads that could work on a call from this queue now."""
        return 0 if self._handle is None else max(self._slots[queue] - self.busy(), 0)

    def in_use(self) -> int:
        """Threads at work, or about to be."""
        return len(state.reserved_requests) + len(self._calls) + self._handing

    def busy(self) -> int:
        """The same without those whose turn has left its lane: they are as good as free."""
        return self.in_use() - len(self._leaving)

    def task_ended(self, **_: object) -> None:
        """The task of this thread is over, for `celery.signals.task_postrun`."""
        self._leaving.discard(threading.get_ident())
        if self._late:
            self._ring()

    def arrived(self, message: Message, handle: Callable[[Message], object]) -> None:
        """Hand a broker's message for a turn to Celery, as soon as a thread is free for it.

        One is at once, but when its thread was given away while the message, that had been asked for, was on its way.
        """
        with self._lock:
            if self.busy() >= self._slots["turns"]:
                self._late.append((message, handle))
                return
            self._handing += 1
        self._hand(message, handle)

    def attach(self, hub: Any, handle: Callable[[Message], object]) -> None:
        """From now on Celery's loop hands calls to ``handle``, which is what it calls with a broker's messages."""
        self._handle = handle
        hub.add_reader(self._awake, self._come)

    def detach(self, hub: Any) -> None:
        """No more: the loop ends, or begins anew. Calls that are still here are repeated by their lanes."""
        with self._lock:
            self._handle = None
            self._calls.clear()
            self._late.clear()
        hub.remove_reader(self._awake)

    def _ring(self) -> None:
        try:
            os.write(self._wake, b"!")
        except BlockingIOError:
            pass  # it rings already

    def _come(self) -> None:
        os.read(self._awake, 1024)
        while next_ := self._next():
            self._hand(*next_)

    def _next(self) -> tuple[Message, Callable[[Message], object]] | None:
        with self._lock:
            if self._calls and self._handle:
                self._handing += 1
                return _message(*self._calls.popleft()), self._handle
            if self._late and self.busy() < self._slots["turns"]:
                self._handing += 1
                return self._late.popleft()
            return None

    def _hand(self, message: Message, handle: Callable[[Message], object]) -> None:
        try:
            handle(message)
        finally:
            with self._lock:
                self._handing -= 1  # what it has become is among Celery's requests, or over


class LoopbackStep(bootsteps.StartStopStep):
    """Brings the app's loopback to the consumer's loop, at each connection anew."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def start(self, parent: Any) -> None:
        """The consumer begins. Without an event loop of Celery's there is no such way."""
        if parent.hub:
            parent.app.loopback.attach(parent.hub, Consumer.create_task_handler(parent))  # ours need no check

    def stop(self, parent: Any) -> None:
        """The consumer ends, or its connection is lost."""
        if parent.hub:
            parent.app.loopback.detach(parent.hub)


class _NoBroker:
    """The channel of messages that came through none: nothing is to be acknowledged."""

    no_ack_consumers: frozenset[str] = frozenset()

    def basic_ack(self, *_: object, **__: object) -> None:
        """Nothing."""

    def basic_reject(self, *_: object, **__: object) -> None:
        """Nothing: the lane repeats the call."""


_NO_BROKER = _NoBroker()


def _message(call: Call, begins: float) -> Message:
    """The call as Celery's consumer takes it, decoded as it is."""
    kwargs = safe_kwargs(call.account, call.campaign, call.ticket, call.job)
    shown_args, shown_kwargs = redact((), kwargs)
    headers: Any = {
        "lang": "py", "task": TASK_OF[call.operation], "id": call.ticket, "root_id": call.ticket, "parent_id": None,
        "retries": 0, "argsrepr": shown_args, "kwargsrepr": shown_kwargs, "ignore_result": True, HERE_HEADER: 1,
        BEGINS_HEADER: begins,
    }  # fmt: skip
    body: Any = ((), kwargs, {})
    delivery: Any = {"exchange": "", "routing_key": call.queue}
    message = Message(
        body,
        headers=headers,
        delivery_info=delivery,
        properties={"correlation_id": call.ticket},
        channel=_NO_BROKER,
    )
    # What it would be after having been written and read.
    message._decoded_cache = body  # type: ignore[attr-defined]  # noqa: SLF001  not in the stub
    return message
