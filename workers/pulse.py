"""The pulse: a file whose age says whether this worker does its work, for whoever restarts those that do not.

It is touched while the keeper lives and Celery's consumer comes round with a thread that can work, so it ages when
leases are no longer renewed, and when the process lives but takes nothing from its queues. A broker that is away ages
nothing: a restart would not bring it back. To look at a file costs nothing, where ``inspect ping`` costs half a second
of CPU and fails a busy worker (https://github.com/celery/celery/issues/4079).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import redis
import structlog

log = structlog.get_logger(__name__)

ROUND_S: Final = 5.0
"""How often the consumer's loop is to say that it comes round."""
STALE_S: Final = 60.0
"""After how long without a round the worker counts as one that does not consume."""
STUCK_S: Final = 900.0
"""After how long a task counts as stuck: no turn, look-up or wait for a result takes so long while Redis is there."""


class Pulse:
    """Touches ``file`` as long as all is well; a thread of its own.

    Args:
        file: made if it is not there.
        keeps: whether the keeper lives.
        broker_answers: whether there is a broker to take messages from.
        clock: seconds.
    """

    def __init__(
        self,
        file: Path,
        *,
        keeps: Callable[[], bool],
        broker_answers: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file = file
        self._keeps = keeps
        self._broker_answers = broker_answers
        self._clock = clock
        self._came_round = clock()
        self._well = True

    def start(self) -> None:
        """Begin; it ends with the process."""
        threading.Thread(target=self._run, name="leadlane-pulse", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.beat()
            time.sleep(ROUND_S)

    def came_round(self) -> None:
        """The consumer's loop runs."""
        self._came_round = self._clock()

    def beat(self) -> None:
        """Touch the file, unless the keeper has died, or there is a broker and the consumer does not come round."""
        if not self._keeps():
            return self._say(well=False, problem="the keeper has died")
        if self._clock() - self._came_round > STALE_S:
            if self._broker_answers():
                return self._say(
                    well=False, problem="its consumer does not come round, or all threads are stuck"
                )
            self._came_round = self._clock()
        try:
            self._file.touch()
        except OSError as exc:
            return self._say(
                well=False, problem=f"its file cannot be touched ({(exc.strerror or '').lower()})"
            )
        return self._say(well=True)

    def _say(self, *, well: bool, problem: str = "") -> None:
        """A line in the log when it changes."""
        if well != self._well:
            self._well = well
            if well:
                log.warning("worker consumes again")
            else:
                log.error("no pulse", problem=problem)


def all_stuck(requests: Iterable[Any], threads: int, now: float) -> bool:
    """Whether so many threads are at work on Celery requests that began too long ago; ``now`` in Unix seconds."""
    try:
        return sum(now - (request.time_start or now) > STUCK_S for request in requests) >= threads
    except RuntimeError:
        return False  # the set changed meanwhile: some thread is alive


def answers(broker: redis.Redis) -> bool:
    """Whether this Redis answers."""
    try:
        return bool(broker.ping())
    except redis.RedisError:
        return False
