"""The fast path of intake: it proves that a row is a clean lead, or leaves the row to the schema.

Most rows are plain: a number in E.164, a few short texts. For those the schema's verdict can be foretold from their
types, at a tenth of its cost. What is said here is exactly what the schema would say (a property test compares
them); whatever is not surely clean gets None, and the schema judges.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any, Final, NamedTuple

from .leads import CONTROL, EMAIL, HEADER_NAME, MAX_TEXT, PRIORITY, UNSENDABLE

SMALL: Final = 1000
"""Characters of names and values of an object; far below the schema's limit in bytes of JSON."""

_E164 = re.compile(r"\+([1-9][0-9]{5,14})")


class _Country(NamedTuple):
    """What the numbers of one calling code look like: how long they can be, and how trunk prefixes begin."""

    lengths: frozenset[int]
    trunk: re.Pattern[str] | None


def proven(row: object) -> dict[str, Any] | None:
    """The canonical lead of a row that is surely clean; None if the schema must look at it."""
    if type(row) is not dict:
        return None
    phone = row.get("phone_number")
    if type(phone) is not str or not is_possible(phone):
        return None
    lead: dict[str, Any] = {"phone_number": phone}
    left = len(row) - 1
    for field, read in _FIELDS:
        if field in row:
            left -= 1
            given = row[field]
            if given is None:
                continue
            value = read(given)
            if value is None:
                return None
            if value != "":
                lead[field] = value
    return lead if left == 0 else None


def is_possible(number: str) -> bool:
    """Whether text is a number in E.164 that libphonenumber calls possible and would not write otherwise.

    False only says that this is not sure.
    """
    match = _E164.fullmatch(number)
    if match is None:
        return False
    digits = match[1]
    countries = _countries()
    for length in (1, 2, 3):  # no calling code begins another one
        country = countries.get(digits[:length])
        if country is not None:
            national = digits[length:]
            return len(national) in country.lengths and not (country.trunk and country.trunk.match(national))
    return False


@cache
def _countries() -> dict[str, _Country]:
    """Each calling code; its main region is the one by whose rules libphonenumber reads ``+CODE...``."""
    import phonenumbers
    from phonenumbers import PhoneMetadata

    found: dict[str, _Country] = {}
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        if regions[0] == "001":
            metadata = PhoneMetadata.metadata_for_nongeo_region(code, None)
        else:
            metadata = PhoneMetadata.metadata_for_region(regions[0], None)
        if metadata is None or metadata.general_desc is None:
            continue
        # A number that begins with a zero, or with what may be a trunk or carrier prefix, may be read otherwise.
        prefixes = [prefix for prefix in (metadata.national_prefix_for_parsing, "0") if prefix]
        trunk = re.compile("|".join(f"(?:{prefix})" for prefix in prefixes))
        found[str(code)] = _Country(frozenset(metadata.general_desc.possible_length), trunk)
    return found


def _text(value: object) -> str | None:
    if type(value) is not str or len(value) > MAX_TEXT:
        return None
    if not (value.isascii() and "\0" not in value) and UNSENDABLE.search(value):
        return None
    return value.strip()


def _email(value: object) -> str | None:
    text = _text(value)
    return text if not text or EMAIL.fullmatch(text) else None


def _priority(value: object) -> int | None:
    return value if type(value) is int and value in PRIORITY else None


def _yes_no(value: object) -> bool | None:
    return value if type(value) is bool else None


def _source(value: object) -> dict[str, str] | None:
    if type(value) is not dict or not value or len(value) > 2:
        return None
    kept: dict[str, str] = {}
    for name in ("system", "url"):
        if name in value:
            text = _text(value[name])
            if not text:
                return None
            kept[name] = text
    return kept if len(kept) == len(value) else None


def _headers(value: object) -> dict[str, str] | None:
    if type(value) is not dict or not value or not _is_small(value):
        return None
    for name, text in value.items():
        if not HEADER_NAME.fullmatch(name) or not text.strip() or CONTROL.search(text):
            return None
    return dict(value)


def _variables(value: object) -> dict[str, Any] | None:
    if type(value) is not dict or not value or not _is_small(value):
        return None
    for name, text in value.items():
        if not (name.isascii() and text.isascii() and "\0" not in name and "\0" not in text):
            return None
    return dict(value)


def _is_small(value: dict[Any, Any]) -> bool:
    """Whether it holds short texts only."""
    size = 0
    for name, text in value.items():
        if type(name) is not str or type(text) is not str:
            return False
        size += len(name) + len(text) + 6
    return size <= SMALL


# In the order of the schema, which is that of the canonical lead; what is not here is left to the schema.
_FIELDS: Final = (
    ("name", _text),
    ("first_name", _text),
    ("last_name", _text),
    ("email", _email),
    ("priority", _priority),
    ("active", _yes_no),
    ("source", _source),
    ("context_headers", _headers),
    ("variables", _variables),
    ("do_not_call", _yes_no),
    ("allow_duplicate", _yes_no),
    ("external_id", _text),
)
