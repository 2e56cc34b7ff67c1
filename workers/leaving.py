"""A worker that is told to stop while Redis is gone for good ends by itself.

Celery tells Redis of its end in many words, each of which waits for an answer. Where connections are refused that
takes seconds; one that takes them and says nothing (a frozen server, a cable that was pulled) would hold the worker.
Nothing is lost by leaving: messages are not acknowledged, and lanes know what to do after a worker's death.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final

import redis
import structlog

from leadlane.workers.pulse import answers

log = structlog.get_logger(__name__)
PATIENCE_S: Final = 20.0
"""For how long Redis may be away from a worker that was told to stop."""
LOOK_S: Final = 1.0
GONE: Final = 3
"""The exit code of a process that could not reach what it needs."""


def leave_if_gone(
    server: redis.Redis,
    *,
    patience_s: float = PATIENCE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    leave: Callable[[int], object] = os._exit,
) -> None:
    """Ends the process once Redis has not answered for so long. Returns with the process only."""
    heard = clock()
    while True:
        if answers(server):
            heard = clock()
        elif clock() - heard > patience_s:
            log.error("redis is gone and this worker was told to stop: it leaves", after_s=patience_s)
            leave(GONE)
            return
        sleep(LOOK_S)


def watch(server: redis.Redis) -> None:
    """Let a thread of its own look to that."""
    threading.Thread(target=leave_if_gone, args=(server,), name="leadlane-leaving", daemon=True).start()
