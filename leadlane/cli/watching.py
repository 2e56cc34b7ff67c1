"""Watching a job to its end: a bar on a terminal, a few plain lines elsewhere; what blocks it, once per change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol

from leadlane.schemas.errors import LaneFull, Unreachable
from leadlane.schemas.outcomes import Outcome

from . import output

LOOK_S: Final = 0.25
PATIENCE_S: Final = 60.0
"""How long Redis may be away before watching is given up; the job itself goes on without us."""
LINE_EVERY_S: Final = 10.0


class Watched(Protocol):
    """What can be watched: a `leadlane.job.Job`, or a `leadlane.command.Command`."""

    id: str

    def progress(self) -> dict[str, Any]:
        """As of `leadlane.job.Job`."""


class Display(Protocol):
    """Where the way of a job is shown."""

    def read(self, rows: int) -> None:
        """So many rows of the file have been taken."""

    def wait(self, full: LaneFull) -> None:
        """There is no room for more rows now."""

    def show(self, progress: Mapping[str, Any]) -> None:
        """The job has come so far."""

    def note(self, text: str) -> None:
        """Something that people must know."""


def follow(
    job: Watched,
    display: Display,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The progress at its end, shown on the way.

    Raises UnknownJob; Unreachable after PATIENCE_S without an answer of Redis.
    """
    said: str | None = None
    answered = clock()
    while True:
        try:
            progress = job.progress()
        except Unreachable as exc:
            if clock() - answered > PATIENCE_S:
                raise
            obstacle: str | None = str(exc)
        else:
            answered = clock()
            display.show(progress)
            if progress["ended"]:
                return progress
            obstacle = _obstacle(job.id, progress)
        if obstacle != said and obstacle:
            display.note(obstacle)
        said = obstacle
        sleep(LOOK_S)


def _obstacle(job: str, progress: Mapping[str, Any]) -> str | None:
    if progress.get("waiting") == 0:  # a command counts no leads
        return f"job {job} is open: its producer may send more; `leadlane job cancel {job}` closes it"
    return f"blocked by: {progress['blocked_by']}" if progress["blocked_by"] else None


@contextmanager
def display() -> Iterator[Display]:
    """A bar if stderr is a terminal, else lines."""
    console = output.stderr()
    if not console.is_terminal:
        yield Lines()
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
    )
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        task = progress.add_task("reading", total=None)

        class Bar:
            def read(self, rows: int) -> None:
                progress.update(task, description="reading", completed=rows)

            def wait(self, full: LaneFull) -> None:
                progress.update(task, description=waits(full), completed=full.rows_stored)

            def show(self, so_far: Mapping[str, Any]) -> None:
                progress.update(
                    task,
                    description=f"{said(so_far)}{_left(so_far)}",
                    total=so_far["leads"],
                    completed=so_far["leads"] - so_far["waiting"],
                )

            def note(self, text: str) -> None:
                console.print(output.printable(text))

        yield Bar()


class Lines:
    """A line now and then, and never the same twice."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = ""
        self._at = clock()
        self._waited = False

    def read(self, rows: int) -> None:
        """As `Display.read`."""
        self._say(f"{rows:,} rows taken")

    def wait(self, full: LaneFull) -> None:
        """As `Display.wait`; the first time at once."""
        if not self._waited:
            self.note(waits(full))
        self._waited = True
        self._say(f"{full.rows_stored:,} rows stored, {waits(full)}")

    def show(self, progress: Mapping[str, Any]) -> None:
        """As `Display.show`."""
        done = progress["leads"] - progress["waiting"]
        self._say(f"{done:,} of {progress['leads']:,} leads done: {said(progress)}{_left(progress)}")

    def note(self, text: str) -> None:
        """As `Display.note`."""
        output.note(text)

    def _say(self, text: str) -> None:
        if self._clock() - self._at >= LINE_EVERY_S and text != self._last:
            self._last, self._at = text, self._clock()
            output.note(text)


def waits(full: LaneFull) -> str:
    """That there is no room, and when some is expected."""
    when = "" if full.room_in_s is None else f", expected in about {full.room_in_s:,.0f} s"
    return (
        f"waiting for room{when}: {full.waiting:,} leads wait for the {full.of}, of {full.limit:,} that may"
    )


def _left(progress: Mapping[str, Any]) -> str:
    when = output.expected(progress)
    return f"; the last will have left {when}" if when else ""


def said(progress: Mapping[str, Any]) -> str:
    """The outcomes so far in one line."""
    parts = [f"{name} {progress[name]:,}" for name in (*map(str, Outcome), "dead") if progress.get(name)]
    return ", ".join(parts) or "waiting"
