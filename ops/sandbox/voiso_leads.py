"""What Voiso accepts as a lead, one cheap check per field: benchmarks send 400 000 leads through here.

Limits from Voiso's page "Add leads to a campaign" [seed 000]. Where it is silent we are strict: a field it
does not name is refused, and so is null.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

_HEADER_NAME: Final = re.compile(r"X-[A-Za-z0-9\-_.!~*+]+")

Check = Callable[[object], str | None]
"""What is wrong with a value, or None."""


def _phone_number(value: object) -> str | None:
    right = type(value) is str and value.isascii() and value.isdigit()
    return None if right else "must be a string of digits with country code"


def _name(value: object) -> str | None:
    return None if type(value) is str else "must be a string"


def _priority(value: object) -> str | None:
    return None if type(value) is int and 1 <= value <= 1000 else "must be between 1 and 1000"


def _active(value: object) -> str | None:
    return None if type(value) is bool else "must be a boolean"


def _source(value: object) -> str | None:
    if type(value) is not dict or not value.keys() <= {"system", "url"}:
        return "must be an object of system and url"
    for text in value.values():
        if type(text) is not str:
            return "must hold strings"
    return None


def _context_headers(value: object) -> str | None:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        return "must be an object of strings"
    return None if all(map(_HEADER_NAME.fullmatch, value)) else "has an invalid header name"


UPDATE: Final[Mapping[str, Check]] = {
    "phone_number": _phone_number,
    "name": _name,
    "source": _source,
    "priority": _priority,
    "active": _active,
}
"""Context headers cannot be updated [seed 001]."""

IMPORT: Final[Mapping[str, Check]] = {**UPDATE, "context_headers": _context_headers}


def problems(leads: Sequence[object], checks: Mapping[str, Check]) -> Iterator[tuple[int, str, str]]:
    """Each thing wrong with the leads: index, field, Voiso's words."""
    for index, lead in enumerate(leads):
        if type(lead) is not dict:
            yield index, "lead", "must be an object"
            continue
        if "phone_number" not in lead:
            yield index, "phone_number", "is missing"
        for field, value in lead.items():
            check = checks.get(field)
            problem = check(value) if check else "is not permitted"
            if problem:
                yield index, field, problem
