"""A DialNexa campaign: its state, its settings, its book, and how many of its leads are in which state."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import fields
from .book import Book

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUSES: Final = ("running", "paused", "completed", "cancelled")
"""The first is the word of the sample; the text calls it active."""
FINAL: Final = frozenset({"completed", "cancelled"})


def _retry_config(value: object) -> str | None:
    names = {"max_retries", "retry_interval_minutes"}
    right = type(value) is dict and value.keys() <= names and not any(map(fields.whole, value.values()))
    return None if right else "must be an object of max_retries and retry_interval_minutes"


CAMPAIGN: Final[Mapping[str, fields.Check]] = {
    "name": fields.filled,
    "max_concurrent_calls": fields.whole,
    "retry_config": _retry_config,
}
STATUS: Final[Mapping[str, fields.Check]] = {"status": fields.one_of("active", "paused")}


@dataclass(slots=True)
class Campaign:
    """One campaign."""

    id: str
    status: str = "running"
    book: Book = field(default_factory=Book)
    statuses: Counter[str] = field(default_factory=Counter)
    """How many of its leads are in which state."""
    changes: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As DialNexa shows it."""
        present = self.statuses.total() - self.statuses["removed"]
        done = self.statuses["completed"] + self.statuses["failed"]
        return {
            "id": self.id,
            "name": f"Campaign {self.id}",
            "status": self.status,
            "agent_id": "agt_1",
            "from_phone_number": "+911140000000",
            "max_concurrent_calls": 5,
            "retry_config": {"max_retries": 1, "retry_interval_minutes": 30},
            "total_leads": present,
            "completed_calls": done,
            "pending_calls": present - done,
            "created_at": "2026-01-05T09:00:00.000Z",
            **self.changes,
        }
