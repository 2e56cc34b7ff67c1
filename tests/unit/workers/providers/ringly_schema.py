"""The wire form of Ringly, a dialer made up for this test: what `docs/add-a-dialer.md` calls the first file."""

from collections.abc import Mapping
from typing import Any, Final

from leadlane.schemas.problems import told
from leadlane.schemas.wire import full_name, lead_id, texts

CARRIES: Final[dict[str, frozenset[str]]] = {
    "import": frozenset({"phone_number", "name", "first_name", "last_name", "variables"}),
    "remove": frozenset({"phone_number"}),
}


def to_wire(lead: Mapping[str, Any], operation: str) -> dict[str, Any]:
    """A canonical lead as Ringly takes it."""
    if operation == "remove":
        return {}
    return {"tel": lead["phone_number"], "who": full_name(lead), "facts": texts(lead.get("variables") or {})}


def refuses(lead: Mapping[str, Any]) -> str:
    """Why a lead cannot be sent, or ''."""
    return "" if full_name(lead) else "name: missing; Ringly wants one"


def canonical_campaign(text: str) -> str:
    """Ringly names campaigns by a word."""
    if not text.isalpha():
        raise ValueError(f"{text!r} is not a Ringly campaign; it is one word")
    return text.lower()


def taken(body: object) -> str:
    """The id of the lead that was created; raises ValueError."""
    if found := lead_id(body):
        return found
    raise ValueError("no lead id in the answer")


def problem_text(body: object) -> str:
    """Ringly's words."""
    return told(body, "why")
