"""What happened: one record for every request, by which tests and people judge."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(slots=True)
class Record:
    """One request. Holds no key, no phone number and no query: it may be written to a file."""

    n: int
    """Counts from 1 in the order of arrival."""
    method: str
    path: str
    started: float
    """Monotonic seconds when the head arrived."""
    wall: float
    """The same moment in Unix seconds."""
    dialer: str = "-"
    operation: str = "unknown"
    campaign: str | None = None
    key: str = "none"
    """A label such as "key 1"; "unknown" for a wrong key, "none" without one."""
    ended: float | None = None
    """Monotonic seconds just before the answer's last byte went to the socket, or the line was cut."""
    status: int | None = None
    """None while the request runs, and for ever if no answer was sent."""
    size: int = 0
    """Leads in the body."""
    stored: int = 0
    """Leads created or updated by it."""
    answered: bool = False
    """The whole answer went to a line that the client had not closed."""
    fault: str | None = None
    resent: dict[int, int] = field(default_factory=dict)
    """Leads in it that had been answered: how many, by the number `n` of the request whose answer named them."""

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON has it."""
        return dataclasses.asdict(self)


class Audit:
    """All records in memory, and if asked each finished one as a line of JSON in a file."""

    def __init__(self, file: Path | None = None) -> None:
        self.records: list[Record] = []
        self._file: IO[str] | None = file.open("a", encoding="utf-8", buffering=1) if file else None

    def begin(self, method: str, path: str, *, started: float, wall: float) -> Record:
        """Open the record of a request whose head has arrived."""
        record = Record(len(self.records) + 1, method, path, started, wall)
        self.records.append(record)
        return record

    def end(self, record: Record) -> None:
        """Write down a record that is complete."""
        if self._file:
            self._file.write(json.dumps(record.as_dict()) + "\n")

    def since(self, n: int, limit: int | None = None) -> list[Record]:
        """The records after number `n`, running requests among them (their `ended` is None)."""
        return self.records[n : None if limit is None else n + limit]

    def forget(self) -> None:
        """Start again at number 1; the file keeps what it has."""
        self.records = []

    def close(self) -> None:
        """Close the file, if there is one."""
        if self._file:
            self._file.close()
