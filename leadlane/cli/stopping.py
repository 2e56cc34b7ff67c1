"""Ctrl-C while rows are read: between two rows, so that those taken before are stored and the job is known."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

INTERRUPTED: Final = 130
"""Exit code after Ctrl-C."""


class Stopped(Exception):  # noqa: N818  what happened
    """The user has asked to stop reading."""


@contextmanager
def stoppable(rows: Iterable[object]) -> Iterator[Iterator[object]]:
    """The rows, whose iterator raises Stopped once SIGINT or SIGTERM has come; a second one is a KeyboardInterrupt.

    For the main thread. Where a row is being waited for, as on standard input, it is raised at once.
    """
    reading = asked = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        if reading:
            raise Stopped

    def each() -> Iterator[object]:
        nonlocal reading
        source = iter(rows)
        while True:
            reading = True
            if asked:
                raise Stopped
            try:
                row = next(source)
            except StopIteration:
                return
            finally:
                reading = False
            yield row

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield each()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
