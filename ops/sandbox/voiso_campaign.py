"""A Voiso campaign: its state, its agents, its book, and its rule for leads calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from .book import Book

STATUSES: Final = frozenset(
    {
        "draft",
        "active",
        "paused",
        "stopping",
        "completed",
        "processing",
        "stopped",
        "auto_paused",
        "pausing",
        "auto_pausing",
        "import_error",
    }
)
FINAL: Final = frozenset({"stopping", "stopped", "completed"})


class Transition(NamedTuple):
    """From where a command leads, through which state, to where."""

    start: frozenset[str]
    through: str
    end: str


TRANSITIONS: Final = {
    "start": Transition(frozenset({"draft", "paused", "auto_paused"}), "processing", "active"),
    "pause": Transition(frozenset({"active"}), "pausing", "paused"),
    "stop": Transition(frozenset({"active"}), "stopping", "stopped"),
}
"""Pause and stop are valid only for active campaigns [change-campaign-status-description, a legacy text].

A command for the state a campaign is in, or while it is in transition, is a conflict [pausecampaign].
"""


@dataclass(slots=True)
class Campaign:
    """One campaign; times are the sandbox's clock in seconds."""

    id: int
    live: bool = True
    strategy: str = "simple"
    agents: dict[int, None] = field(default_factory=dict)
    book: Book = field(default_factory=Book)
    _status: str = "active"
    _settles_at: float = 0.0
    _settles_to: str | None = None
    _importing: bool = False
    _last_end: float | None = None

    def status(self, now: float) -> str:
        """The state it is in, or passes through."""
        if self._settles_to is not None and now >= self._settles_at:
            self._status, self._settles_to = self._settles_to, None
        return self._status

    def put(self, status: str) -> None:
        """Put it into a state by hand."""
        self._status, self._settles_to = status, None

    def command(self, command: str, now: float, transition_s: float) -> str | None:
        """Obey start, pause or stop; or say why not."""
        start, through, end = TRANSITIONS[command]
        status = self.status(now)
        if status not in start:
            return f"cannot {command} a campaign that is {status}"
        if command == "start" and not self.book.stored:
            return "cannot start a campaign without leads"
        if command == "start" and not self.agents:
            return "cannot start a campaign without agents"
        self._status, self._settles_to, self._settles_at = through, end, now + transition_s
        return None

    def enter(self, started: float, gap_s: float) -> str | None:
        """Begin a leads call that arrived at `started`; or say why not. `leave` must follow."""
        if self._importing:
            return "the previous import is still being processed"
        if self._last_end is not None and started - self._last_end < gap_s:
            return f"less than {gap_s:g} seconds since the previous import"
        self._importing = True
        return None

    def leave(self, ended: float) -> None:
        """End the leads call that was let in; its rest begins."""
        self._importing = False
        self._last_end = ended

    def as_dict(self, now: float) -> dict[str, Any]:
        """As Voiso shows it [getcampaign]."""
        return {
            "id": self.id,
            "name": f"Campaign {self.id}",
            "status": self.status(now),
            "strategy": self.strategy,
            "method": "file_import",
            "live": self.live,
            "dial_level": None,
            "created_at": "2026-01-05T09:00:00Z",
            "updated_at": "2026-01-05T09:00:00Z",
        }
