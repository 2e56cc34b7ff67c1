"""Voicery's wire form: one lead a call, with its secondary contacts.

Rules: https://voicery.mintlify.app/api-reference/leads/create, the only page there is. Update, removal,
error bodies and the answer to a duplicate are those of what looks like the same platform under another
name: https://docs.intellixent.ai/api-reference/leads (create, update-lead, delete).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, Literal

from .addresses import whole_number_id
from .outcomes import Outcome
from .phones import digits
from .problems import one_line, told
from .wire import Taken, full_name, lead_id, texts

Operation = Literal["import", "update", "remove"]
"""Update and removal are not documented, and need the lead id that an import's answer gave."""

_FIELDS = frozenset({"phone_number", "name", "first_name", "last_name", "email", "variables"})

CARRIES: Final[dict[Operation, frozenset[str]]] = {
    "import": _FIELDS | {"secondary_contacts", "allow_duplicate"},
    "update": _FIELDS,
    "remove": frozenset({"phone_number"}),
}
"""The canonical fields that reach Voicery, for each operation."""

DUPLICATE: Final = re.compile(
    r"duplicat|already (?:exist|been (?:taken|added)|(?:added )?(?:in|part of|to) (?:this|the) campaign)"
    r"|exists already|existing lead",
    re.IGNORECASE,
)
"""What the dialer's words have in them when it refuses a lead because it has it. Assumed."""

_DONE: Final[dict[Operation, Outcome]] = {"update": Outcome.UPDATED, "remove": Outcome.REMOVED}
_UNKNOWN_LEAD = re.compile(r"\blead\b.*not found|no such lead", re.IGNORECASE)
_SWITCH = re.compile(r"allow.?dup+licates?", re.IGNORECASE)


def to_wire(lead: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """A canonical lead as Voicery takes it, without the campaign (see ``with_campaign``).

    Name and e-mail stand among the ``variables``, as ``customer_name`` and ``email``, unless the lead has
    variables so called; all are texts. ``allow_dupplicate``, so spelled, always goes with an import, for
    its default is not documented. A secondary contact whose number the lead has already is left out. What
    an update or removal is about stands in the path, as the lead id: an update is what changes, a removal {}.
    """
    if operation == "remove":
        return {}
    given = texts(lead.get("variables") or {})
    conventional = {"customer_name": full_name(lead), "email": lead.get("email", "")}
    variables = {name: text for name, text in conventional.items() if text} | given
    wire: dict[str, Any] = {"phone_number": lead["phone_number"]} if operation == "import" else {}
    if variables:
        wire["variables"] = variables
    if operation == "import":
        wire["allow_dupplicate"] = bool(lead.get("allow_duplicate"))
        if contacts := list(_contacts(lead)):
            wire["secondary_contacts"] = contacts
    return wire


def refuses(lead: Mapping[str, Any], operation: Operation) -> str:
    """Why a canonical lead cannot be sent, as ``field: problem; remedy``; "" if it can."""
    if operation == "update" and not to_wire(lead, operation):
        return "lead: has nothing to update; give a name, email or variables"
    return ""


def with_campaign(wire: Mapping[str, Any], campaign: str) -> dict[str, Any]:
    """The body of an import: Voicery wants the campaign in it, as a number."""
    return {**wire, "campaign_id": int(campaign)}


def resend_safe(wire: Mapping[str, Any]) -> bool:
    """Whether a wire lead may be sent again after a lost answer: the second is refused as a duplicate."""
    return wire.get("allow_dupplicate") is not True


def secondary_numbers(wire: Mapping[str, Any]) -> list[str]:
    """The further numbers that a wire lead has called, in digits."""
    return [digits(contact["phone_number"]) for contact in wire.get("secondary_contacts", ())]


def without_numbers(wire: Mapping[str, Any], numbers: Collection[str]) -> dict[str, Any]:
    """The wire lead without the secondary contacts whose numbers (in digits) are in ``numbers``."""
    kept = [
        contact
        for contact in wire.get("secondary_contacts", ())
        if digits(contact["phone_number"]) not in numbers
    ]
    rest = {name: value for name, value in wire.items() if name != "secondary_contacts"}
    return {**rest, "secondary_contacts": kept} if kept else rest


def canonical_campaign(text: str) -> str:
    """The campaign id in its one form; raises ValueError if it is none."""
    return whole_number_id(text, "Voicery")


def read_answer(body: object, operation: Operation) -> Taken | None:
    """What a 2xx says became of the lead, and its id; None if it cannot be read.

    An import's lead stands in ``data``, as an object or a list of one, or is the answer itself, as it once
    was. An update or removal is done unless ``success`` is false.
    """
    if isinstance(body, Mapping) and body.get("success") is False:
        return Taken(Outcome.DUPLICATE) if operation == "import" and is_duplicate(body) else None
    if operation in _DONE:
        return Taken(_DONE[operation], lead_id(_record(body)))
    if found := lead_id(_record(body)):
        return Taken(Outcome.CREATED, found)
    return Taken(Outcome.DUPLICATE) if is_duplicate(body) else None


def is_duplicate(body: object, words: re.Pattern[str] = DUPLICATE) -> bool:
    """Whether a refusal says that the campaign has the lead already."""
    if not isinstance(body, Mapping):
        return False
    said = one_line([body.get(key) for key in ("message", "errors", "error")])
    # An error in the switch itself names it, and is none.
    return words.search(_SWITCH.sub("", said)) is not None


def is_unknown_lead(body: object) -> bool:
    """Whether a 404 says that there is no such lead."""
    return _UNKNOWN_LEAD.search(problem_text(body)) is not None


def campaigns(body: object) -> list[dict[str, Any]]:
    """The campaigns of the account, each with ``id``, ``name`` and ``status``; raises ValueError if it is no list.

    A list in ``data``, as the leads' list has it, is read too.
    """
    rows = body.get("data") if isinstance(body, Mapping) else body
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "id" in row for row in rows):
        raise ValueError("no list of campaigns in the answer")
    return [dict(row) for row in rows]


def campaign_status(body: object, campaign: str) -> str:
    """The campaign's state in a list of campaigns, or in the answer to a command.

    Raises ValueError if it is in neither.
    """
    told = body.get("data") if isinstance(body, Mapping) else None
    found: list[Any] = [told] if isinstance(told, Mapping) else campaigns(body)
    key = "campaign_id" if isinstance(told, Mapping) else "id"
    states = [row.get("status") for row in found if str(row.get(key)) == campaign]
    if len(states) != 1 or not isinstance(states[0], str):
        raise ValueError("the answer does not say the campaign's state")
    return states[0]


def problem_text(body: object) -> str:
    """The dialer's words about what is wrong, in one line of at most 300 characters, numbers masked.

    The error body is ``{"message": text}``, or ``{"message": text, "errors": {field: [text]}}``.
    """
    return told(body, "errors", "message", "error")


def _contacts(lead: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    seen = {lead["phone_number"]}
    for contact in lead.get("secondary_contacts", ()):
        number = contact["phone_number"]
        if number not in seen:
            seen.add(number)
            variables = texts(contact.get("variables") or {})
            yield {"phone_number": number, "variables": variables} if variables else {"phone_number": number}


def _record(body: object) -> object:
    found = body.get("data", body) if isinstance(body, Mapping) else body
    return found[0] if isinstance(found, list) and len(found) == 1 else found
