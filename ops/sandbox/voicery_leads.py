"""What Voicery accepts as a lead or command, and what it makes of it [seed 003].

Only the sample shows which fields there are. One it does not have is refused, and so is null: a client that
spells `allow_dupplicate` rightly would never learn that it is not understood.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from . import fields
from .book import Book

if TYPE_CHECKING:
    from collections.abc import Mapping

LEAD_STATUSES: Final = (
    "created",
    "scheduled",
    "processing",
    "completed",
    "rescheduled",
    "reached-max-retries",
    "blacklisted",
)
CONTACT: Final[Mapping[str, fields.Check]] = {"phone_number": fields.e164, "variables": fields.strings}


def _contacts(value: object) -> str | None:
    if type(value) is not list:
        return "must be an array"
    for contact in value:
        if type(contact) is not dict:
            return "must hold objects"
        for name, words in fields.problems(contact, CONTACT, ("phone_number",)):
            return f"holds one whose {name} {words}"
    return None


LEAD: Final[Mapping[str, fields.Check]] = {
    **CONTACT,
    "campaign_id": fields.whole,
    "allow_dupplicate": fields.flag,
    "secondary_contacts": _contacts,
}
UPDATE: Final[Mapping[str, fields.Check]] = {
    **CONTACT,
    "campaign_id": fields.whole,
    "status": fields.one_of("created", "completed", "reached-max-retries"),
}
COMMAND: Final[Mapping[str, fields.Check]] = {
    "campaign_id": fields.whole,
    "action": fields.one_of("start", "stop"),
}


@dataclass(slots=True, eq=False)
class Campaign:
    """One campaign."""

    id: int
    status: str = "in-progress"
    book: Book = field(default_factory=Book)

    @property
    def name(self) -> str:
        """For people."""
        return f"Campaign {self.id}"

    def as_dict(self) -> dict[str, Any]:
        """As the siblings show it."""
        return {
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "max_calls_in_parallel": 3,
            "allowed_hours_start_time": "09:00:00",
            "allowed_hours_end_time": "18:00:00",
            "allowed_days": ["monday", "tuesday", "wednesday", "thursday", "friday"],
            "max_retries": 3,
            "retry_interval": 60,
        }


@dataclass(slots=True)
class Lead:
    """One lead, be it somebody's secondary contact."""

    id: int
    campaign: Campaign
    number: str
    variables: dict[str, str]
    created_at: str
    updated_at: str
    status: str = "created"

    def as_dict(self) -> dict[str, Any]:
        """As Voicery shows it."""
        return {
            "id": self.id,
            "campaign_id": self.campaign.id,
            "phone_number": self.number,
            "variables": self.variables,
            "status": self.status,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }


def contacts_of(body: Mapping[str, Any]) -> list[Any]:
    """The secondary contacts in a body, as far as there are any."""
    found = body.get("secondary_contacts")
    return found if type(found) is list else []


def stamp(wall: float) -> str:
    """A time as Voicery writes it: without zone, in UTC."""
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%d %H:%M:%S")
