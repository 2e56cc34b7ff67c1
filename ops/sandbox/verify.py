"""How the rules were kept, campaign by campaign, as seen from the dialer's side of the wire."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .audit import Record
    from .book import Book


@dataclass(slots=True)
class Figures:
    """Leads calls of one campaign: every one that arrived counts, also refused, failed and lost ones."""

    calls: int = 0
    leads: int = 0
    most_at_once: int = 0
    smallest_gap_s: float | None = None
    """From the end of a call to the start of the next; 0.0 where two overlapped, None until there are two."""
    largest_call: int = 0
    too_early: int = 0
    """Calls that began while another ran or before the gap was over."""
    too_large: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    """Answers by status; "none" are those never sent."""
    _running: int = 0
    _last_end: float | None = None

    def begin(self, started: float, gap_s: float | None) -> None:
        """A call's head has arrived; `gap_s` None means that the dialer has no such rule."""
        self.calls += 1
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        gap = self._gap(started)
        if gap is None:
            return
        self.smallest_gap_s = gap if self.smallest_gap_s is None else min(gap, self.smallest_gap_s)
        self.too_early += gap_s is not None and (self._running > 1 or gap < gap_s)

    def _gap(self, started: float) -> float | None:
        if self._running > 1:
            return 0.0
        return None if self._last_end is None else max(0.0, started - self._last_end)

    def end(self, record: Record, call_size: int | None) -> None:
        """The call is over; its record is complete."""
        self._running -= 1
        self._last_end = record.ended
        self.leads += record.size
        self.largest_call = max(self.largest_call, record.size)
        self.too_large += call_size is not None and record.size > call_size
        self.statuses[str(record.status or "none")] += 1

    def as_dict(self, book: Book | None) -> dict[str, Any]:
        """The figures with what the book adds to them.

        `doubled` are leads that somebody may be phoned twice for, or that were sent in vain: stored twice,
        or sent again after an answer. Producers may send a number twice on purpose, so it is no breach.
        """
        resent = book.resent_after_answer if book else 0
        stored_twice = book.stored_twice if book else 0
        return {
            "calls": self.calls,
            "leads": self.leads,
            "most_at_once": self.most_at_once,
            "smallest_gap_s": self.smallest_gap_s,
            "largest_call": self.largest_call,
            "stored": len(book.stored) if book else 0,
            "stored_twice": stored_twice,
            "resent_after_answer": resent,
            "repeated_in_call": book.repeated_in_call if book else 0,
            "doubled": stored_twice + resent,
            "too_early": self.too_early,
            "too_large": self.too_large,
            "breaches": self.too_early + self.too_large + stored_twice,
            "statuses": dict(self.statuses),
        }


class Verdict:
    """The figures of all campaigns."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], Figures] = {}

    def of(self, dialer: str, campaign: str) -> Figures:
        """The figures of one campaign, begun at zero if it is new."""
        return self._figures.setdefault((dialer, campaign), Figures())

    def as_dict(self, books: dict[tuple[str, str], Book]) -> dict[str, Any]:
        """Totals, and each campaign's figures under "dialer/campaign"."""
        campaigns = {
            f"{dialer}/{campaign}": figures.as_dict(books.get((dialer, campaign)))
            for (dialer, campaign), figures in self._figures.items()
        }
        gaps = [row["smallest_gap_s"] for row in campaigns.values() if row["smallest_gap_s"] is not None]
        rows = campaigns.values()
        return {
            "breaches": sum(row["breaches"] for row in rows),
            "doubled": sum(row["doubled"] for row in rows),
            "calls": sum(row["calls"] for row in rows),
            "leads": sum(row["leads"] for row in rows),
            "stored": sum(row["stored"] for row in rows),
            "most_at_once": max((row["most_at_once"] for row in rows), default=0),
            "smallest_gap_s": min(gaps, default=None),
            "largest_call": max((row["largest_call"] for row in rows), default=0),
            "campaigns": campaigns,
        }

    def forget(self) -> None:
        """Begin at zero."""
        self._figures.clear()
