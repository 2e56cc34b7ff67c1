"""A VoiceAIWrapper campaign: its leads, the queue they come through, its book."""

from __future__ import annotations

from dataclasses import dataclass, field

from .book import Book


@dataclass(slots=True)
class Lead:
    """One lead of a campaign."""

    id: int
    number: str
    visible_at: float
    """The sandbox's clock in seconds."""
    answered: bool = False


@dataclass(slots=True)
class Campaign:
    """One campaign; a number may have several leads."""

    book: Book = field(default_factory=Book)
    leads: dict[str, list[Lead]] = field(default_factory=dict)

    def of(self, number: str, now: float) -> list[Lead]:
        """The leads of a number that are through the queue."""
        return [lead for lead in self.leads.get(number, ()) if lead.visible_at <= now]

    def by_id(self, lead_id: int | None, now: float) -> list[Lead]:
        """The lead of an id, if it is through the queue."""
        everyone = (lead for leads in self.leads.values() for lead in leads)
        return [lead for lead in everyone if lead.id == lead_id and lead.visible_at <= now]

    def remove(self, lead: Lead) -> None:
        """Take a lead out."""
        self.leads[lead.number].remove(lead)
        self.book.remove(lead.number)
