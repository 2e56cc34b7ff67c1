"""The dispatcher: one thread per worker process that calls the heads of due lanes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import redis
import structlog
from kombu.exceptions import OperationalError

from leadlane.workers.lanes import Call, Lanes

log = structlog.get_logger(__name__)
NAP_S = 0.5
"""Longest sleep: a lane made due by a producer is seen at the latest after it."""


class Dispatcher:
    """Runs the dispatch script when something is due. Any number of them may run: the script is atomic."""

    def __init__(
        self,
        lanes: Lanes,
        *,
        publish: Callable[[Call], None],
        finish: Callable[[Sequence[str]], None],
        queue_is_empty: Callable[[str], bool],
    ) -> None:
        self.lanes = lanes
        self._publish = publish
        self._finish = finish
        self._queue_is_empty = queue_is_empty
        self._awake = threading.Event()
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

    def wake(self) -> None:
        """Look now: a turn has ended here."""
        self._awake.set()

    def step(self) -> float:
        """Call what is due; seconds until something will be."""
        due = self.lanes.dispatch()
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
        return min(due.wait_ms / 1000, NAP_S)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._awake.clear()
            try:
                wait = self.step()
            except (redis.RedisError, OperationalError) as exc:
                log.warning("dispatcher cannot reach redis", error=type(exc).__name__)
                wait = NAP_S
            except Exception as exc:  # noqa: BLE001
                # Whatever it was, lanes must go on being called; its text may hold data, so only its kind is said.
                log.error("dispatcher failed", error=type(exc).__name__)
                wait = NAP_S
            self._awake.wait(wait)
