"""The canonical lead: one form for all dialers, checked once, where it comes in.

A wrong lead never stops the right ones: ``clean`` says for each row what it is.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from marshmallow import ValidationError, fields, post_load, pre_load

from .phones import BadPhone, PhoneCheck, digits, masked, normalise, region_of
from .strict import Strict, problems, required

# No dialer documents these four. They keep a single lead from filling a call, and are far above what
# a person's record needs.
MAX_TEXT: Final = 2000
MAX_OBJECT_BYTES: Final = 8192
MAX_DEPTH: Final = 8
MAX_SECONDARY: Final = 20

PRIORITY: Final = range(1, 1001)  # https://developers.voiso.com/reference-link/addleads

HEADER_NAME: Final = re.compile(r"X-[A-Za-z0-9\-_.!~*+]+")
"""Names of context headers: https://developers.voiso.com/reference-link/addleads, Notes."""

_MAX_PROBLEMS = 600  # characters
UNSENDABLE = re.compile(r"[\x00\ud800-\udfff]")  # NUL, and half a character: no JSON reader takes them
_UNSENDABLE_PROBLEM = "holds characters that cannot be sent; remove NUL and half characters"
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Clean:
    """A lead that may be sent: its place among the rows, its number in digits, its canonical form."""

    index: int
    digits: str = field(repr=False)
    lead: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Invalid:
    """A row that may not be sent.

    ``phone`` is the number as given, for its owner's report only, or ""; ``problems`` names no number.
    """

    index: int
    phone: str = field(repr=False)
    problems: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands among rows for one that its reader could not make out: ``problem`` is what is told of it."""

    problem: str


def clean(
    rows: Iterable[object], *, region: str | None, phone_check: PhoneCheck = "possible", start: int = 0
) -> Iterator[Clean | Invalid]:
    """One Clean or Invalid for each row, in order, as it is asked for; ``start`` is the first index.

    No row raises, whatever is in it; what ``rows`` itself raises goes through.
    """
    from .quick import proven

    schema = LeadSchema(region=region, phone_check=phone_check)
    quick = phone_check == "possible"  # ranges in use are libphonenumber's to know
    for index, row in enumerate(rows, start):
        if quick and (lead := proven(row)) is not None:
            yield Clean(index, lead["phone_number"][1:], lead)
        else:
            yield _checked(schema, index, row)


def _checked(schema: LeadSchema, index: int, row: object) -> Clean | Invalid:
    if isinstance(row, Unreadable):
        return Invalid(index, "", row.problem)
    if not isinstance(row, Mapping):
        return Invalid(index, "", f"a lead is an object with phone_number, not {type(row).__name__}")
    try:
        lead = schema.load(row)
    except ValidationError as error:
        return Invalid(index, _given_phone(row), _told(error))
    return Clean(index, digits(lead["phone_number"]), lead)


def _told(error: ValidationError) -> str:
    """The problems of one lead in one line: ``field: problem; remedy | field: problem; remedy``."""
    lines = sorted(f"{path}: {text}" for path, text in problems(error.messages))
    line = masked(" | ".join(lines))  # keys are the caller's own and may be numbers
    return line if len(line) <= _MAX_PROBLEMS else line[: _MAX_PROBLEMS - 1] + "…"


def _given_phone(row: Mapping[Any, Any]) -> str:
    given = row.get("phone_number")
    if isinstance(given, int) and not isinstance(given, bool) and given.bit_length() <= 64:
        given = str(given)
    return UNSENDABLE.sub("?", given.strip()[:40]) if isinstance(given, str) else ""


class Text(fields.Field[str]):
    """Text without blanks around it; a whole number is text too where ``numbers`` says so."""

    def __init__(self, *, numbers: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.numbers = numbers

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if self.numbers and isinstance(value, int) and not isinstance(value, bool) and _fits(value):
            return str(value)
        if not isinstance(value, str):
            raise ValidationError(f"is not text but {_kind(value)}; write it as text")
        if len(value) > MAX_TEXT:
            raise ValidationError(f"is too long; give at most {MAX_TEXT} characters")
        if UNSENDABLE.search(value):
            raise ValidationError(_UNSENDABLE_PROBLEM)
        return value.strip()


class Email(Text):
    """Something with an @ in the middle; whether it exists is not our question."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, *args, **kwargs)
        if not EMAIL.fullmatch(text):
            raise ValidationError("is not an e-mail address; write name@host, or leave it out")
        return text


class YesNo(fields.Field[bool]):
    """A truth value, or one of the words that files use for it."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = value.strip().casefold() if isinstance(value, str) else value
        if isinstance(word, int):
            word = "1" if word == 1 else "0" if word == 0 else None
        if not isinstance(word, str) or word not in _WORDS:
            raise ValidationError("is neither true nor false; write true, false, yes, no, 1 or 0")
        return _WORDS[word]


class Priority(fields.Field[int]):
    """A whole number from 1 to 1000, or its digits; lower is called earlier."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = value
        if isinstance(value, str) and len(value) < 10 and value.strip().isdecimal():
            number = int(value)
        if not isinstance(number, int) or isinstance(number, bool) or number not in PRIORITY:
            raise ValidationError("is not a whole number from 1 to 1000; lower is called earlier")
        return number


class PhoneNumber(fields.Field[str]):
    """E.164; what says no country of its own is read in that of ``country_code``, else in the schema's."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> str:  # noqa: ARG002
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**20:
            value = str(value)
        if not isinstance(value, str):
            raise ValidationError(
                f"is not text but {_kind(value)}; write '+', the country code and the number"
            )
        schema = cast("_WithPhone", self.parent)
        region = schema.region
        if code := data.get("country_code"):
            region = _region(code)
        try:
            return normalise(value, region, schema.phone_check)
        except BadPhone as bad:
            raise ValidationError(bad.problem) from None


class CountryCode(fields.Field[str]):
    """The country of a national number: ``DE``, ``+49`` or 49. It is spent on reading the number."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        region = _region(value)
        if region is None:
            raise ValidationError(
                "is not a country; write two letters such as DE, or a calling code such as +49"
            )
        return region


class ContextHeaders(fields.Field[dict[str, str]]):
    """SIP headers of the call: names as the dialer's page wants them, values of one line of text."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, str]:
        _check_object(value)
        wrong: dict[object, list[str]] = {}
        kept: dict[str, str] = {}
        for name, text in value.items():
            if not HEADER_NAME.fullmatch(name):
                wrong[name] = ["is no header name; write X- and then letters, digits or - _ . ! ~ * +"]
            elif _blank(text):
                continue
            elif not isinstance(text, str):
                wrong[name] = [f"is not text but {_kind(text)}; write it as text"]
            elif CONTROL.search(text):
                wrong[name] = ["holds line breaks or control characters; write one line of text"]
            else:
                kept[name] = text
        if wrong:
            raise ValidationError(cast("dict[str, Any]", wrong))
        return kept


class Variables(fields.Field[dict[str, Any]]):
    """An object of the caller's own, passed on as it is: names with JSON values."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> dict[str, Any]:
        _check_object(value)
        return dict(value)


class SecondaryContacts(fields.Field[list[dict[str, Any]]]):
    """Further people of one lead, read in the lead's country unless they have their own."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **_: Any) -> list[dict[str, Any]]:  # noqa: ARG002
        if not isinstance(value, (list, tuple)):
            raise ValidationError("is not a list; write a list of objects with phone_number")
        if len(value) > MAX_SECONDARY:
            raise ValidationError(f"is too long; give at most {MAX_SECONDARY}")
        schema = cast("LeadSchema", self.parent)
        lead_country = {"country_code": data.get("country_code")}
        wrong: dict[object, Any] = {}
        contacts = []
        for place, contact in enumerate(value):
            given = {**lead_country, **contact} if isinstance(contact, Mapping) else contact
            try:
                contacts.append(schema.secondary.load(given))
            except ValidationError as error:
                wrong[place] = error.messages
        if wrong:
            raise ValidationError(cast("dict[str, Any]", wrong))
        return contacts


class _Blankless(Strict):
    """Nothing, empty text and empty containers are as good as absent: files have columns for all."""

    @pre_load
    def _drop_blanks(self, data: Any, **_: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {key: value for key, value in data.items() if not _blank(value)}


class _WithPhone(_Blankless):
    otherwise = "put it under variables, or leave it out"

    phone_number = PhoneNumber(
        required=True, error_messages=required("write '+', the country code and the number")
    )
    country_code = CountryCode()

    def __init__(self, *, region: str | None = None, phone_check: PhoneCheck = "possible") -> None:
        super().__init__()
        self.region: Final = region
        self.phone_check: Final[PhoneCheck] = phone_check

    @post_load
    def _drop_spent(self, lead: dict[str, Any], **_: Any) -> dict[str, Any]:
        lead.pop("country_code", None)
        return {key: value for key, value in lead.items() if value not in ({}, [])}


class SourceSchema(_Blankless):
    """Where the lead comes from: the system's name, and the record's address in it."""

    system = Text()
    url = Text()


class SecondarySchema(_WithPhone):
    """One more person of a lead."""

    variables = Variables()


class LeadSchema(_WithPhone):
    """Loads a canonical lead: numbers in E.164, fields in a fixed order, blank ones left out.

    ``region`` is the account's default for national numbers; ``phone_check`` as in ``normalise``.
    Build it once for many leads.
    """

    name = Text()
    first_name = Text()
    last_name = Text()
    email = Email()
    priority = Priority()
    active = YesNo()
    source = fields.Nested(SourceSchema)
    context_headers = ContextHeaders()
    variables = Variables()
    secondary_contacts = SecondaryContacts()
    do_not_call = YesNo()
    allow_duplicate = YesNo()
    external_id = Text(numbers=True)

    def __init__(self, *, region: str | None = None, phone_check: PhoneCheck = "possible") -> None:
        super().__init__(region=region, phone_check=phone_check)
        self.secondary: Final = SecondarySchema(region=region, phone_check=phone_check)


def _region(code: object) -> str | None:
    """The country that ``code`` means, or None if it means none."""
    if isinstance(code, bool) or not isinstance(code, (str, int)) or not _fits(code):
        return None
    try:
        return region_of(code)
    except BadPhone:
        return None


def _fits(value: str | int) -> bool:
    """Whether it is short, or an integer that every JSON reader takes."""
    return len(value) <= MAX_TEXT if isinstance(value, str) else value.bit_length() < 64


def _blank(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, (dict, list, tuple)) and not value)


def _kind(value: object) -> str:
    """The JSON word for what ``value`` is."""
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else type(value).__name__


def _check_object(value: object) -> None:
    """Refuse what is no JSON object, or none that a dialer could be sent."""
    if not isinstance(value, Mapping):
        raise ValidationError(f"is not an object but {_kind(value)}; give names with values")
    problem = _json_problem(value, MAX_DEPTH)
    if problem:
        raise ValidationError(problem)
    if len(json.dumps(value, ensure_ascii=False).encode()) > MAX_OBJECT_BYTES:
        raise ValidationError(f"is too large; give at most {MAX_OBJECT_BYTES} bytes of JSON")


def _json_problem(value: object, depth: int) -> str | None:
    """What keeps ``value`` from being sent as JSON, or None."""
    if isinstance(value, str):
        return (
            "holds characters that cannot be sent; remove NUL and half characters"
            if UNSENDABLE.search(value)
            else None
        )
    if value is None or isinstance(value, bool):
        return None
    if isinstance(value, int):
        return None if _fits(value) else "holds too large a number; write it as text"
    if isinstance(value, float):
        return (
            None if math.isfinite(value) else "holds a number that JSON has not (NaN, infinity); leave it out"
        )
    if depth == 0:
        return f"is nested too deeply; use at most {MAX_DEPTH} levels"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return "has a name that is not text; write names as text"
        parts: Iterable[object] = (*value, *value.values())
    elif isinstance(value, (list, tuple)):
        parts = value
    else:
        return f"holds {_kind(value)}, which JSON has not; write it as text"
    return next((said for part in parts if (said := _json_problem(part, depth - 1))), None)
