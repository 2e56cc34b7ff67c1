"""What DialNexa accepts as a lead, and what it makes of it [seed 002, campaign-leads/update].

Where the page's text and its schema differ the schema holds; a field it does not name is refused, and so is null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from . import fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .dialnexa_campaign import Campaign

NOTES: Final = 15
LEAD_STATUSES: Final = ("pending", "in_progress", "completed", "failed", "removed")


def _country_code(value: object) -> str | None:
    right = type(value) is str and re.fullmatch(r"\+[1-9][0-9]{0,2}", value)
    return None if right else "must be a plus and the digits of a country code"


def _national(value: object) -> str | None:
    right = type(value) is str and re.fullmatch(r"[0-9]{4,14}", value)
    return None if right else "must be a national number in digits"


def _notes(value: object) -> str | None:
    problem = fields.strings(value)
    many = not problem and isinstance(value, dict) and len(value) > NOTES
    return f"must have no more than {NOTES} keys" if many else problem


CHANGES: Final[Mapping[str, fields.Check]] = {
    "name": fields.filled,
    "phoneNumber": _national,
    "countryCode": _country_code,
    "notes": _notes,
}
LEAD: Final[Mapping[str, fields.Check]] = {**CHANGES, "campaignId": fields.filled}


def number_of(lead: Mapping[str, Any]) -> str:
    """The number of a lead in a body in E.164, or nothing if it has none."""
    code, national = lead.get("countryCode", "+91"), lead.get("phoneNumber")
    return "" if _country_code(code) or _national(national) else f"{code}{national}"


@dataclass(slots=True)
class Lead:
    """One lead; its number may be that of another."""

    id: str
    campaign: Campaign
    number: str
    """In E.164."""
    name: str
    notes: dict[str, str]
    created_at: str
    status: str = "pending"

    def put(self, status: str) -> None:
        """Put it into a state."""
        self.campaign.statuses[self.status] -= 1
        self.campaign.statuses[status] += 1
        self.status = status

    def as_dict(self) -> dict[str, Any]:
        """As DialNexa shows it [seed 002]."""
        return {
            "id": self.id,
            "name": self.name,
            "phone_number": self.number,
            "campaign_id": self.campaign.id,
            "status": self.status,
            "notes": self.notes,
            "call_log_id": None if self.status in {"pending", "removed"} else f"log_{self.id}",
            "created_at": self.created_at,
        }
