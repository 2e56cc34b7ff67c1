"""The command line, but the process gets a signal when it comes to a named point for the nth time.

    python crashing_worker.py POINT SIGNAL worker --name w1 ...

SIGKILL is a crash; SIGSTOP freezes it there until somebody sends SIGCONT.

The product has no hooks for this: the function at the point is wrapped before the command line starts.
"""

import signal
import sys
from collections.abc import Callable
from itertools import count
from threading import get_ident
from typing import Any, NamedTuple

from leadlane.ops.main import main
from leadlane.workers import finishing
from leadlane.workers.lanes import Lanes
from leadlane.workers.results import Results
from leadlane.workers.transport import Transport


class Point(NamedTuple):
    """Before or after a method of ``owner``, for such arguments or such a value as ``when`` says."""

    owner: Any
    method: str
    after: bool
    when: Callable[[Any], object] = lambda _: True
    nth: int = 2


def stores_success(args: Any) -> bool:
    return args[3] == "SUCCESS"  # (self, task_id, result, state, ...)


def is_counts(stored: Any) -> bool:
    return isinstance(stored, dict)


POINTS = {
    # a turn, in its order; the first is of a task by name, the second of a call past the broker, the third has riders
    "called, before its message is published": Point(Lanes, "dispatch", True, lambda due: due.calls),
    "come, before it enters": Point(Lanes, "enter", False, nth=3),
    "granted, before the call": Point(Lanes, "enter", True, lambda entry: entry.verdict == "granted", nth=3),
    "answered, before it leaves": Point(Transport, "send", True, nth=3),
    "left, before anything else": Point(Lanes, "leave", True, nth=3),
    "left, before its own result is written from the list": Point(finishing, "finish_riders", False, nth=1),
    "left, before riders have their results": Point(finishing, "finish_riders", False),
    "riders have results, before they are off the list": Point(Lanes, "finished", False),
    "left, before Celery stores its result": Point(Results, "_store_result", False, stores_success, nth=1),
    "result stored, before its message is acknowledged": Point(
        Results, "_store_result", True, is_counts, nth=1
    ),
    # a by-name task on its way into its lane
    "by name, a piece is stored": Point(Lanes, "submit", True, nth=1),
    "by name, all is stored, before the job is sealed": Point(Lanes, "seal", False, nth=1),
    "by name, the job is sealed, before it enters": Point(Lanes, "seal", True, nth=1),
}
CLAIMED = "finish list claimed, before anything is written"
DEADLY = "+12122999999"
"""A number with which no worker survives a call."""
UNSTORABLE = "by name, before anything is stored, each time"
OTHERS = {
    UNSTORABLE: Point(Lanes, "submit", False, nth=1),
    CLAIMED: Point(Lanes, "dispatch", True, lambda due: due.finish, nth=1),
    DEADLY: Point(Transport, "send", False, lambda args: DEADLY[1:].encode() in (args[1].body or b""), nth=1),
}


def arm(point: Point, number: signal.Signals) -> None:
    """Wrap the point's function, so that its nth time sends the signal to this process."""
    inner, times = getattr(point.owner, point.method), count(1)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not point.after and point.when(args) and next(times) == point.nth:
            signal.pthread_kill(
                get_ident(), number
            )  # not to the process: this thread might go on for a moment
        value = inner(*args, **kwargs)
        if point.after and point.when(value) and next(times) == point.nth:
            signal.pthread_kill(
                get_ident(), number
            )  # not to the process: this thread might go on for a moment
        return value

    setattr(point.owner, point.method, wrapped)


if __name__ == "__main__":
    _, name, number, *words = sys.argv
    arm((POINTS | OTHERS)[name], signal.Signals[number])
    sys.argv[1:] = words
    main()
