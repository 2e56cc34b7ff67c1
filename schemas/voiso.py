"""Voiso's wire form (API v4): leads as it wants them, its answers and errors as it gives them.

Rules: https://developers.voiso.com/reference-link/addleads, /error-codes, and for updates
https://docs.voiso.com/v1/docs/running-an-api-campaign.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from marshmallow import ValidationError, fields, validate

from .leads import HEADER_NAME, PRIORITY
from .outcomes import Outcome
from .phones import digits
from .problems import bad_indices as bad_indices
from .problems import told
from .strict import Strict
from .wire import full_name

Operation = Literal["import", "update"]

CARRIES: Final[dict[Operation, frozenset[str]]] = {
    "import": frozenset(
        {
            "phone_number",
            "name",
            "first_name",
            "last_name",
            "source",
            "priority",
            "active",
            "context_headers",
        }
    ),
    # Only name, source, URL, active state and priority of a lead can change.
    "update": frozenset({"phone_number", "name", "first_name", "last_name", "source", "priority", "active"}),
}
"""The canonical fields that reach Voiso, for each operation."""

_AS_THEY_ARE: Final = ("source", "priority", "active", "context_headers")


def to_wire(lead: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """A canonical lead as Voiso takes it: the number in digits first, one name, no field it cannot carry."""
    wire: dict[str, Any] = {"phone_number": digits(lead["phone_number"])}
    if name := full_name(lead):
        wire["name"] = name
    for key in _AS_THEY_ARE:
        if key in lead and key in CARRIES[operation]:
            wire[key] = lead[key]
    return wire


def read_answer(body: object) -> dict[str, list[str]]:
    """The lists of numbers in an answer, each in digits, by the name of the list; {} if it has no list.

    They stand in a wrapper object (``leads_import``) or, since nothing is documented for updates, in any
    wrapper or none.
    """
    found: dict[str, list[str]] = {}
    if not isinstance(body, Mapping):
        return found
    for place in (body, *body.values()):
        if isinstance(place, Mapping):
            for name, numbers in place.items():
                if isinstance(numbers, list):
                    found.setdefault(str(name), []).extend(_numbers(numbers))
    return found


def read_outcomes(body: object, operation: Operation) -> dict[str, Outcome] | None:
    """What became of each number (in digits) that an answer names; None if the answer cannot be read.

    An import's lists are documented; an update's are not: a list whose name speaks of refusal is
    refused, any other is done. Of a number in several lists the best is true, for Voiso names the second
    of two equal leads a duplicate.
    """
    lists = read_answer(body)
    known = {name: outcome for name in lists if (outcome := _outcome(name, operation))}
    if not known or (operation == "update" and not any(lists.values())):
        return None
    found: dict[str, Outcome] = {}
    for name in sorted(known, key=lambda name: _WORST_FIRST.index(known[name])):
        found.update(dict.fromkeys(lists[name], known[name]))
    return found


def problem_text(body: object) -> str:
    """The dialer's words about what is wrong, in one line of at most 300 characters, numbers masked.

    Reads both shapes of error body, ``{"error": text}`` and ``{"errors": {field: [text]}}``, and makes
    the best of any other.
    """
    return told(body, "errors", "error")


def read_one_outcome(body: object, operation: Operation, sent: Sequence[str]) -> Outcome | None:
    """What became of all leads sent (in digits), if the answer names just these, in their order, in one list.

    Says the same as ``read_outcomes`` would of each, and None where only that can tell.
    """
    lists = [(name, numbers) for name, numbers in read_answer(body).items() if numbers]
    if len(lists) == 1 and lists[0][1] == list(sent):
        return _outcome(lists[0][0], operation)
    return None


_REFUSAL = re.compile(r"reject|invalid|fail|error|refus|unknown|missing|not_found|skip")
_WORST_FIRST = (Outcome.REJECTED, Outcome.DUPLICATE, Outcome.CREATED, Outcome.UPDATED)
_IMPORTED = {
    "created": Outcome.CREATED,
    "duplicates": Outcome.DUPLICATE,
    "rejected": Outcome.REJECTED,
}


def _outcome(list_name: str, operation: Operation) -> Outcome | None:
    if operation == "import":
        return _IMPORTED.get(list_name)
    return Outcome.REJECTED if _REFUSAL.search(list_name.casefold()) else Outcome.UPDATED


def _numbers(items: list[Any]) -> Iterable[str]:
    """The numbers of a list, in digits; nearly always it has nothing else."""
    try:
        text = "".join(items)
    except TypeError:
        return _any_numbers(items)
    return items if text.isascii() and text.isdigit() and all(items) else _any_numbers(items)


def _any_numbers(items: list[Any]) -> Iterator[str]:
    for item in items:
        given = item.get("phone_number") if isinstance(item, Mapping) else item
        if isinstance(given, int) and not isinstance(given, bool) and given.bit_length() <= 64:
            given = str(given)
        if isinstance(given, str) and (number := digits(given)):
            yield number


class WireBoolean(fields.Field[bool]):
    """JSON's true or false, and no word for them."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("must be true or false")
        return value


class WireSourceSchema(Strict):
    """``source`` as the dialer takes it."""

    system = fields.String()
    url = fields.String()


class WireLeadSchema(Strict):
    """A lead on the wire, judged as strictly as the dialer's page allows; what the sandbox validates with."""

    phone_number = fields.String(
        required=True, validate=validate.Regexp(r"[0-9]+\Z", error="must be digits with the country code")
    )
    name = fields.String()
    source = fields.Nested(WireSourceSchema)
    priority = fields.Integer(
        strict=True,
        validate=validate.Range(PRIORITY[0], PRIORITY[-1], error="must be between {min} and {max}"),
    )
    active = WireBoolean()
    context_headers = fields.Dict(
        keys=fields.String(validate=validate.Regexp(rf"(?:{HEADER_NAME.pattern})\Z", error="is invalid")),
        values=fields.String(),
    )
