"""How the rules were kept, campaign by campaign, as seen from the dialer's side of the wire."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .audit import Record
    from .book import Book
    from .calls import Dialer

SUMS: Final = (
    "breaches",
    "doubled",
    "calls",
    "leads",
    "stored",
    "stored_twice",
    "resent_after_answer",
    "resent_after_silence",
    "repeated_in_call",
    "too_early",
    "too_large",
)
"""Figures of campaigns that add up to those of their dialer."""


@dataclass(slots=True)
class Figures:
    """Leads calls of one campaign: every one that arrived counts, also refused, failed and lost ones."""

    calls: int = 0
    leads: int = 0
    most_at_once: int = 0
    smallest_gap_s: float | None = None
    """From the end of a call to the start of the next; 0.0 where two overlapped, None until there are two.

    It stays None at a dialer whose calls may overlap.
    """
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
        gap = None if gap_s is None else self._gap(started)
        if gap is None or gap_s is None:
            return
        self.smallest_gap_s = gap if self.smallest_gap_s is None else min(gap, self.smallest_gap_s)
        self.too_early += self._running > 1 or gap < gap_s

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
        `resent_after_silence` are numbers sent again, in an operation that must not be repeated blindly,
        although the client could not know what became of the last attempt; a person may have ordered it.
        """
        resent = book.resent_after_answer if book else 0
        stored_twice = book.stored_twice if book else 0
        unasked = stored_twice - book.stored_twice_on_request if book else 0
        return {
            "calls": self.calls,
            "leads": self.leads,
            "most_at_once": self.most_at_once,
            "smallest_gap_s": self.smallest_gap_s,
            "largest_call": self.largest_call,
            "stored": len(book.stored) if book else 0,
            "stored_twice": stored_twice,
            "resent_after_answer": resent,
            "resent_after_silence": book.resent_after_silence if book else 0,
            "repeated_in_call": book.repeated_in_call if book else 0,
            "doubled": stored_twice + resent,
            "too_early": self.too_early,
            "too_large": self.too_large,
            "breaches": self.too_early + self.too_large + unasked,
            "statuses": dict(self.statuses),
        }


@dataclass(slots=True)
class Traffic:
    """All requests of one dialer, whatever they were for."""

    requests: int = 0
    most_at_once: int = 0
    operations: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    _running: int = 0

    def begin(self) -> None:
        """A request's head has arrived."""
        self.requests += 1
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)

    def end(self, record: Record) -> None:
        """The request is over; its record is complete."""
        self._running -= 1
        self.operations[record.operation] += 1
        self.statuses[str(record.status or "none")] += 1


class Verdict:
    """The figures of all campaigns, and the traffic of all dialers."""

    def __init__(self) -> None:
        self._figures: dict[tuple[str, str], Figures] = {}
        self._traffic: dict[str, Traffic] = {}

    def of(self, dialer: str, campaign: str) -> Figures:
        """The figures of one campaign, begun at zero if it is new."""
        return self._figures.setdefault((dialer, campaign), Figures())

    def traffic(self, dialer: str) -> Traffic:
        """The traffic of one dialer, begun at zero if it is new."""
        return self._traffic.setdefault(dialer, Traffic())

    def as_dict(self, dialers: Iterable[Dialer]) -> dict[str, Any]:
        """Totals, each dialer's figures under its name, and each campaign's under "dialer/campaign"."""
        rows = {dialer.name: self._campaigns(dialer) for dialer in dialers}
        campaigns = {f"{name}/{campaign}": row for name, of in rows.items() for campaign, row in of.items()}
        total = _summed(list(campaigns.values()))
        return {
            **{name: total[name] for name in ("breaches", "doubled", "calls", "leads", "stored")},
            "most_at_once": max((row["most_at_once"] for row in campaigns.values()), default=0),
            "smallest_gap_s": total["smallest_gap_s"],
            "largest_call": total["largest_call"],
            "dialers": {dialer.name: self._dialer(dialer, rows[dialer.name]) for dialer in dialers},
            "campaigns": campaigns,
        }

    def _campaigns(self, dialer: Dialer) -> dict[str, dict[str, Any]]:
        books = dialer.books()
        return {
            campaign: figures.as_dict(books.get(campaign))
            for (name, campaign), figures in self._figures.items()
            if name == dialer.name
        }

    def _dialer(self, dialer: Dialer, campaigns: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """The sums over its campaigns, and what is judged by all its requests.

        `over_rate` are requests that its rate refused: 0 says that every window of every key was kept.
        """
        traffic = self._traffic.get(dialer.name, Traffic())
        return {
            **_summed(list(campaigns.values())),
            "requests": traffic.requests,
            "most_at_once": traffic.most_at_once,
            "over_rate": dialer.over_rate,
            "operations": dict(traffic.operations),
            "statuses": dict(traffic.statuses),
        }

    def forget(self) -> None:
        """Begin at zero."""
        self._figures.clear()
        self._traffic.clear()


def _summed(campaigns: list[dict[str, Any]]) -> dict[str, Any]:
    gaps = [row["smallest_gap_s"] for row in campaigns if row["smallest_gap_s"] is not None]
    return {
        **{name: sum(row[name] for row in campaigns) for name in SUMS},
        "largest_call": max((row["largest_call"] for row in campaigns), default=0),
        "smallest_gap_s": min(gaps, default=None),
    }
