"""CPU seconds of other processes, noted several times a second so that they can be told for any moment later."""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

EVERY_S = 0.05
_CHILDREN_TOO = slice(11, 15)  # utime, stime, cutime, cstime: fields 14 to 17 of proc(5), two of them cut off


class CpuClock:
    """Notes, while its block runs, the CPU seconds of these processes and of all below them.

    Reads /proc, so it knows nothing on other systems than Linux: ``between`` is None there.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._noted: list[tuple[float, float]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-clock", daemon=True)

    def __enter__(self) -> Self:
        if Path("/proc/self/stat").exists():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def between(self, start: float, end: float) -> float | None:
        """CPU seconds used from one moment of ``time.monotonic`` to another; None if nothing was noted."""
        return spent(self._noted, end) - spent(self._noted, start) if self._noted else None

    def _run(self) -> None:
        while not self._over.wait(EVERY_S):
            self._noted.append((time.monotonic(), sum(map(_seconds, self._pids))))


def spent(noted: Sequence[tuple[float, float]], moment: float) -> float:
    """The value at a moment: on the line between the notes beside it, or the nearest note."""
    after = bisect_left(noted, (moment, 0.0))
    if after in (0, len(noted)):
        return noted[min(after, len(noted) - 1)][1]
    (t0, v0), (t1, v1) = noted[after - 1 : after + 1]
    return v0 + (v1 - v0) * (moment - t0) / (t1 - t0)


def _seconds(pid: int) -> float:
    """CPU seconds of a process and all below it; 0 for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return 0.0
    own = sum(map(int, fields[_CHILDREN_TOO])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_seconds(int(child)) for child in children)
