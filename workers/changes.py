"""Changes of state as a fleet says them: each once, by one of its workers, when it begins and when it ends.

They are written where they happen (``say`` in lane.lua), into a bounded stream and, for metrics, counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

log = structlog.get_logger(__name__)

BEGINS, ENDS = "begins", "ends"
WORDS: Final = {
    ("account", BEGINS): ("error", "account held"),
    ("account", ENDS): ("warning", "account released"),
    ("operation", BEGINS): ("error", "operation held"),
    ("operation", ENDS): ("warning", "operation released"),
    ("lane", BEGINS): ("error", "lane held"),
    ("lane", ENDS): ("warning", "lane released"),
    ("throttled", BEGINS): ("warning", "account throttled"),
    ("throttled", ENDS): ("info", "account no longer throttled"),
    ("breaker", BEGINS): ("error", "breaker open"),
    ("breaker", ENDS): ("warning", "breaker closed"),
    ("full", BEGINS): ("warning", "account full: producers wait"),
    ("full", ENDS): ("info", "account no longer full"),
    ("quiet", BEGINS): ("warning", "redis restarted: quiet time begins"),
    ("quiet", ENDS): ("warning", "quiet time is over"),
}
"""How grave a change is, and what the log says of it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A state that began or ended; ``name`` is the operation or lane, if it is one of those."""

    state: str
    how: str
    account: str
    name: str
    why: str
    at_ms: int

    @classmethod
    def of(cls, row: Sequence[bytes]) -> Change:
        """As a script tells it."""
        state, how, account, name, why, at = (part.decode() for part in row)
        return cls(state, how, account, name, why, int(float(at)))

    def say(self) -> None:
        """One line in the log."""
        level, event = WORDS.get((self.state, self.how), ("warning", f"{self.state} {self.how}"))
        about = {"account": self.account, "reason": self.why}
        if self.name:
            about["operation" if self.state == "operation" else "lane"] = self.name
        getattr(log, level)(event, **{name: text for name, text in about.items() if text})
