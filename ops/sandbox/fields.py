"""What a field of a body may hold: one cheap check each, for the dialers that name things alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

Check = Callable[[object], str | None]
"""What is wrong with a value, or None."""

_E164: Final = re.compile(r"\+[1-9][0-9]{4,14}")
_EMAIL: Final = re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+")


def text(value: object) -> str | None:
    """A string."""
    return None if type(value) is str else "must be a string"


def filled(value: object) -> str | None:
    """A string that is not empty."""
    return None if type(value) is str and value else "must be a string that is not empty"


def flag(value: object) -> str | None:
    """True or false."""
    return None if type(value) is bool else "must be a boolean"


def whole(value: object) -> str | None:
    """A whole number from 1."""
    return None if type(value) is int and value >= 1 else "must be an integer, 1 or more"


def strings(value: object) -> str | None:
    """An object whose values are strings, as in every sample."""
    right = type(value) is dict and all(type(one) is str for one in value.values())
    return None if right else "must be an object of strings"


def e164(value: object) -> str | None:
    """A phone number with its plus."""
    right = type(value) is str and _E164.fullmatch(value)
    return None if right else "must be a phone number in E.164 format"


def email(value: object) -> str | None:
    """An e-mail address, as far as its form goes."""
    return None if type(value) is str and _EMAIL.fullmatch(value) else "must be an e-mail address"


def one_of(*words: str) -> Check:
    """One of some words."""
    return lambda value: (
        None if type(value) is str and value in words else f"must be one of {', '.join(words)}"
    )


def problems(
    item: Mapping[str, Any], checks: Mapping[str, Check], required: tuple[str, ...] = ()
) -> Iterator[tuple[str, str]]:
    """Each thing wrong with an object: field and words. A field without a check is refused, null is no value."""
    for name in required:
        if name not in item:
            yield name, "is missing"
    for name, value in item.items():
        check = checks.get(name)
        problem = check(value) if check else "is not permitted"
        if problem:
            yield name, problem


def numbers(leads: object) -> list[str]:
    """The phone numbers in a body, as far as there are any; for counting, before anything is checked."""
    if type(leads) is not list:
        return []
    found = [lead.get("phone_number") for lead in leads if type(lead) is dict]
    return [number for number in found if type(number) is str]
