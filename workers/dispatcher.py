"""The dispatcher: one thread per worker process that calls the heads of due lanes."""

from __future__ import annotations

import heapq
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

import redis
import structlog
from kombu.exceptions import OperationalError

from leadlane.workers.lanes import Call, Lanes

log = structlog.get_logger(__name__)
AHEAD_S = 0.05
"""How long before its time a lane is called for a thread of ours that has nothing to do, with those that are due in
another such while: the task is there when the time has come. What is aboard is decided then."""
AWAY_S = 0.5
"""When to look again if it could not be looked."""
STARVED_S = 0.1
"""When to look again for a slot that somebody else has freed; who frees one here is told at once."""
MOST_WRITTEN = 1000
"""Tickets taken off the finish list by one look."""
NAP_S = 1.0
"""Longest sleep: a lane that was made due by a producer, or left by a worker that is gone, is seen after it at last."""


class Dispatcher:
    """Runs the dispatch script when something is due. Any number of them may run: the script is atomic."""

    def __init__(
        self,
        lanes: Lanes,
        *,
        publish: Callable[[Call], None],
        finish: Callable[[Sequence[str]], None],
        queue_is_empty: Callable[[str], bool],
        threads: Callable[[], int] = lambda: -1,
    ) -> None:
        """``threads`` says how many could work on a call of leads now; -1 if this process has none for leads."""
        self.lanes = lanes
        self._publish = publish
        self._finish = finish
        self._queue_is_empty = queue_is_empty
        self._threads = threads
        self._awake = threading.Event()
        self._lock = threading.Lock()
        self._lanes: list[float] = []  # a heap: when to call the lanes that were left here
        self._told: list[float] = []  # a heap: when to look because a script said so
        self._sleeps_until = -math.inf
        self._starved = False
        self._written: deque[str] = deque()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadlane-dispatcher", daemon=True)

    def start(self) -> None:
        """Begin to call."""
        self._thread.start()

    def stop(self) -> None:
        """Call no more."""
        self._stopped.set()
        self._awake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)
        with suppress(redis.RedisError):
            self.lanes.finished(self._written)
        self._written.clear()

    def written(self, tickets: Iterable[str]) -> None:
        """The results of these tickets are written: they leave the finish list, at the next look if there will be one.

        Should that come to nothing, because this process or Redis dies, they are written again, which changes nothing.
        """
        if self._stopped.is_set():
            self.lanes.finished(tickets)
        else:
            self._written.extend(tickets)

    def wake(self, in_s: float = 0.0, frees: bool = True) -> None:
        """Look in so many seconds: a turn has ended here, and its lane is due then.

        A dispatcher that had something due which nobody had a slot for looks at once, if the end ``frees`` one.
        """
        moment = time.monotonic() + (0.0 if self._starved and frees else max(in_s - AHEAD_S, 0.0))
        with self._lock:
            heapq.heappush(self._lanes, moment)
            if moment >= self._sleeps_until:
                return
        self._awake.set()

    def step(self) -> float:
        """Call what is due; seconds until something will be for which nobody else wakes us."""
        threads = self._threads()
        ahead_s = AHEAD_S if threads > 0 else 0.0
        with self._lock:  # before the script: a lane that is left from now on may not be seen by it
            _drop(self._lanes, time.monotonic() + ahead_s)
        written = [self._written.popleft() for _ in range(min(len(self._written), MOST_WRITTEN))]
        due = self.lanes.dispatch(threads=threads, ahead_ms=int(2 * ahead_s * 1000), written=written)
        self._starved = due.starved or 0 <= threads <= len(due.calls)
        for change in due.changes:
            change.say()
        for call in due.calls:
            self._publish(call)
        if due.overdue:
            empty = {queue: self._queue_is_empty(queue) for queue in {one.queue for one in due.overdue}}
            for one in due.overdue:
                if empty[one.queue] and (call_again := self.lanes.recall(one)):
                    log.warning("call repeated: its message is gone", lane=one.lane)
                    self._publish(call_again)
        if due.finish:
            self._finish(due.finish)
        return due.wait_ms / 1000

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                wait = self.step()
            except (redis.RedisError, OperationalError) as exc:
                log.warning("dispatcher cannot reach redis", error=type(exc).__name__)
                wait = AWAY_S
            except Exception as exc:  # noqa: BLE001
                # Whatever it was, lanes must go on being called; its text may hold data, so only its kind is said.
                log.error("dispatcher failed", error=type(exc).__name__)
                wait = AWAY_S
            self._sleep(wait)

    def _sleep(self, wait_s: float) -> None:
        """At most a nap, until the first moment at which there may be something to call: this one, or another's."""
        now = time.monotonic()
        with self._lock:
            if wait_s < NAP_S:
                heapq.heappush(self._told, now + wait_s)  # kept if we are woken before
        while not self._stopped.is_set():
            self._awake.clear()
            with self._lock:
                longest = STARVED_S if self._starved else NAP_S
                self._sleeps_until = min([now + longest, *self._lanes[:1], *self._told[:1]])
                left = self._sleeps_until - time.monotonic()
            if left <= 0:
                break
            self._awake.wait(left)
        with self._lock:
            self._sleeps_until = -math.inf
            _drop(self._told, time.monotonic())


def _drop(heap: list[float], until: float) -> None:
    while heap and heap[0] <= until:
        heapq.heappop(heap)
