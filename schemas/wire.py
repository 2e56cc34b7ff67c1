"""What the wire forms of several dialers have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from .outcomes import Outcome

MAX_LEAD_ID: Final = 200  # characters; no dialer documents it


class Taken(NamedTuple):
    """What a dialer did with the one lead of a call, and the id it gave it; "" if the answer has none."""

    outcome: Outcome
    lead_id: str = ""


def encoded(wire: Mapping[str, Any]) -> str:
    """A wire lead as JSON on one line, as it lies in the payload and in the request body."""
    return orjson.dumps(wire, default=_plain).decode()


def _plain(value: object) -> object:
    """What is a number or list by descent only, as of a table's library."""
    if isinstance(value, float):
        return float(value)
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"a lead holds {type(value).__name__}")


def full_name(lead: Mapping[str, Any]) -> str:
    """The lead's name, put together from first and last name if it has none; "" if it has neither."""
    return lead.get("name") or " ".join(filter(None, (lead.get("first_name"), lead.get("last_name"))))


def texts(variables: Mapping[str, Any]) -> dict[str, str]:
    """The lead's variables as texts, for dialers whose pages show nothing else.

    What is no text becomes its JSON (``5``, ``true``, ``{"a":1}``); what is null is left out.
    """
    return {
        name: value
        if isinstance(value, str)
        else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        for name, value in variables.items()
        if value is not None
    }


def lead_id(record: object) -> str:
    """The ``id`` of a lead in an answer, whether a number or text; "" if it has none that could be one."""
    given = record.get("id") if isinstance(record, Mapping) else None
    if isinstance(given, int) and not isinstance(given, bool) and 0 < given.bit_length() <= 64:
        given = str(given)
    if not isinstance(given, str) or len(given) > MAX_LEAD_ID or not given.isprintable():
        return ""
    return given.strip()
