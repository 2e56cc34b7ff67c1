"""What a command says: results on stdout, everything about the way there on stderr.

Colours and bars only on a terminal (rich looks for NO_COLOR); elsewhere plain lines. With ``--json`` stdout holds
one JSON document and nothing else.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from leadlane.schemas.outcomes import DELIVERED, Outcome

if TYPE_CHECKING:
    from rich.console import Console

NOT_DELIVERED: Final = "not-delivered"
"""What ``--only`` takes beside the names of outcomes."""


def note(text: str) -> None:
    """One line on stderr."""
    print(printable(text), file=sys.stderr, flush=True)  # noqa: T201  what this module is for


def line(text: str, *, now: bool = False) -> None:
    """One line on stdout; ``now`` if more may not come for long."""
    print(printable(text), flush=now)  # noqa: T201


def document(content: object) -> None:
    """The one JSON document of a command."""
    print(json.dumps(content, ensure_ascii=True))  # noqa: T201


def array(rows: Iterable[Mapping[str, Any]]) -> None:
    """A JSON array, written row by row."""
    lead = "["
    for row in rows:
        print(lead + json.dumps(row, ensure_ascii=True), end="")  # noqa: T201
        lead = ",\n "
    print("[]" if lead == "[" else "]")  # noqa: T201


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout; numbers to the right."""
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = [
        bool(cells) and all(text.replace(",", "").isdecimal() for text in column if text)
        for column in zip(*cells, strict=True)
    ] or [False] * len(head)
    console = _console()
    if console.is_terminal:
        from rich.table import Table
        from rich.text import Text

        shown = Table(box=None, header_style="bold", pad_edge=False)
        for name, right in zip(head, numeric, strict=True):
            shown.add_column(name, justify="right" if right else "left")
        for row in cells:
            shown.add_row(*map(Text, row))
        console.print(shown)
        return
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    for row in (list(head), *cells):
        parts = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        line("  ".join(parts).rstrip())


def of(n: int, limit: int | None) -> str:
    """A count, beside its limit if it has one."""
    return f"{n:,}" if limit is None else f"{n:,} of {limit:,}"


def duration(seconds: float) -> str:
    """A time that is only about right, as people say it."""
    whole = max(round(seconds), 0)
    if whole < 100:
        return f"{whole} s"
    minutes, hours = round(whole / 60), whole // 3600
    if minutes < 100:
        return f"{minutes} min"
    return f"{hours} h {(whole - hours * 3600) // 60} min" if hours < 48 else f"{whole / 86_400:,.1f} days"


def expected(progress: Mapping[str, Any]) -> str:
    """When the last lead of a job will have left; '' if nobody can say."""
    if not progress.get("eta"):
        return ""
    at = datetime.fromisoformat(progress["eta"])
    return f"in about {duration((at - datetime.now(UTC)).total_seconds())}, at {at:%H:%M:%S} UTC"


def outcomes(progress: Mapping[str, Any]) -> None:
    """The table of what became of a job's leads."""
    counted = [(name, progress.get(name, 0)) for name in (*(one.value for one in Outcome), "dead", "waiting")]
    table(("outcome", "leads"), [*((name, n) for name, n in counted if n), ("all", progress["leads"])])


def reasons(told: Sequence[Mapping[str, Any]]) -> None:
    """The table of why leads ended so; nothing if there is no reason."""
    if told:
        line("")
        table(("outcome", "leads", "reason"), [(one["outcome"], one["leads"], one["reason"]) for one in told])


def job_document(job: str, campaign: str, progress: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """A job as programs get it: every outcome, also those that no lead had."""
    counted = {one.value: progress.get(one.value, 0) for one in Outcome}
    return {"job": job, "campaign": campaign, "leads": progress["leads"], **counted, **progress, **more}


def exit_code(progress: Mapping[str, Any]) -> int:
    """0 if each lead of a job is where it was asked to be, else 1."""
    return 0 if sum(progress.get(one.value, 0) for one in DELIVERED) == progress["leads"] else 1


def chosen(rows: Iterable[Mapping[str, Any]], only: str | None) -> Iterator[Mapping[str, Any]]:
    """The rows of a report that ``--only`` asks for."""
    for row in rows:
        if (
            only is None
            or row["outcome"] == only
            or (only == NOT_DELIVERED and row["outcome"] not in DELIVERED)
        ):
            yield row


def stderr() -> Console:
    """The console for bars and what they leave behind."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _cell(value: object) -> str:
    return printable(f"{value:,}" if isinstance(value, int) else str(value))


def printable(text: str) -> str:
    """Text from files and dialers may hold what steers a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)
