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


class Stoppable(Iterator[object]):
    """Rows that end with Stopped once somebody has asked."""

    def __init__(self, rows: Iterable[object]) -> None:
        self._rows = iter(rows)
        self._reading = self._asked = False

    def __next__(self) -> object:
        self._reading = True
        try:
            self.check()
            return next(self._rows)
        finally:
            self._reading = False

    def check(self) -> None:
        """Raises Stopped if somebody has asked."""
        if self._asked:
            raise Stopped

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Somebody asks: the handler of a signal."""
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
        if self._reading:
            raise Stopped


@contextmanager
def stoppable(rows: Iterable[object]) -> Iterator[Stoppable]:
    """The rows, whose iterator raises Stopped once SIGINT or SIGTERM has come; a second one is a KeyboardInterrupt.

    For the main thread. Where a row is being waited for, as on standard input, it is raised at once.
    """
    found = Stoppable(rows)
    before = {number: signal.signal(number, found.stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
