"""From columns to leads: which field each column is, what of it the dialer can carry, and each row as a lead."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from leadlane.schemas.errors import WrongUse, did_you_mean
from leadlane.schemas.leads import HEADER_NAME, Unreadable
from leadlane.schemas.phones import PhoneCheck, masked

from .names import NAMES, NO, PRIORITIES, YES, field_of, plain

if TYPE_CHECKING:
    from leadlane.workers.accounts import Facts

FIELDS: Final = frozenset(name for name in NAMES if name and "." not in name)
OBJECTS: Final = frozenset({"source", "context_headers", "variables"})
"""Fields that are filled from columns ``FIELD.NAME``."""
NEEDED: Final = frozenset({"phone_number", "country_code", "do_not_call"})
"""Fields that decide about a lead, whether the dialer carries them or not."""
TEXTS: Final = frozenset({"email", "external_id", "source"})
"""Fields that may travel as variables where the dialer does not know them."""
LEAVE_OUT: Final = "-"
MOST_PLANS: Final = 1000

ROUNDED: Final = Unreadable(
    "phone_number: a spreadsheet has rounded it (1.2E+11); format the column as text and export it again"
)
_PREFIX = re.compile(r"\A\s*[A-Za-z]{1,10}\s*:\s*(?=[+(\d]|$)")  # p:+44..., tel:...
_FORMULA = re.compile(r'="(.*)"')  # ="0049..." keeps a spreadsheet from making a number of it
_GUARDED = re.compile(r"\A'(?=[=+\-@\t\r])")  # as reports write what a spreadsheet would run
_SEVERAL = re.compile(r"[;|\n]")
_ROUNDED = re.compile(r"\s*\d[.,]\d+E\+\d+\s*", re.IGNORECASE)

Place = tuple[str, str]
"""A field, and the name within it or ""."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the user says of a file, beyond what it says itself.

    ``places`` are columns by name (``--map``), ``constants`` values of every lead (``--set``).
    """

    places: Mapping[str, Place | None] = field(default_factory=dict)
    constants: Mapping[Place, str] = field(default_factory=dict)
    region: str | None = None
    sheet: str | None = None
    encoding: str | None = None

    @classmethod
    def of(
        cls,
        mapped: Iterable[str] = (),
        constants: Iterable[str] = (),
        *,
        region: str | None = None,
        sheet: str | None = None,
        encoding: str | None = None,
    ) -> Wishes:
        """The options ``--map COLUMN=FIELD`` and ``--set FIELD=VALUE`` as written. Raises WrongUse."""
        places: dict[str, Place | None] = {}
        for text in mapped:
            column, equals, name = (part.strip() for part in text.rpartition("="))
            if not equals or not column or not name:
                raise WrongUse(f"--map: '{masked(text)}' is no COLUMN=FIELD")
            places[column] = None if name == LEAVE_OUT else _place("--map", name)
        values: dict[Place, str] = {}
        for text in constants:
            name, equals, value = text.partition("=")
            if not equals:
                raise WrongUse(f"--set: '{masked(text)}' is no FIELD=VALUE")
            place = _place("--set", name.strip())
            if place[0] == "phone_number":
                raise WrongUse("--set: phone_number cannot be the same for every lead")
            values[place] = value.strip()
        if region is not None:
            region = _region(region)
        return cls(places, values, region, sheet, encoding)


def _place(option: str, name: str) -> Place:
    outer, _, inner = name.partition(".")
    if (outer in OBJECTS) if inner else (outer in FIELDS):
        if outer == "context_headers" and inner and not HEADER_NAME.fullmatch(inner):
            raise WrongUse(f"{option}: '{inner}' is no header name; write X- and then letters or digits")
        return outer, inner
    known = sorted(FIELDS | {f"{one}.NAME" for one in OBJECTS})
    raise WrongUse(f"{option}: '{masked(name)}' is no field of a lead; {did_you_mean(name, known)}")


def _region(text: str) -> str:
    from leadlane.schemas.phones import BadPhone, region_of

    try:
        return region_of(text)
    except BadPhone as bad:
        raise WrongUse(f"--region: '{masked(text)}' {bad.problem}") from None


@dataclass(frozen=True, slots=True)
class Dialer:
    """What the one operation of the dialer can take: its name, fields, and how numbers are read there."""

    name: str
    carries: frozenset[str]
    region: str | None = None
    phone_check: PhoneCheck = "possible"

    @classmethod
    def of(cls, facts: Facts, operation: str) -> Dialer:
        """That of an account. Raises UnsupportedOperation."""
        carries = facts.operation(operation).carries
        return cls(facts.dialer.name, carries, facts.region, facts.phone_check)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with the cells of one header: a place for each, or None; and the columns with numbers."""

    places: tuple[Place | None, ...]
    phones: tuple[int, ...]


class Columns:
    """The columns of a file, for one dialer: makes plans of headers, and leads of rows.

    ``left_out`` has the columns that do not travel, with the reason, as they are met.
    """

    def __init__(self, wishes: Wishes, dialer: Dialer) -> None:
        self.wishes = wishes
        self.dialer = dialer
        self.region = wishes.region or dialer.region
        self.left_out: dict[str, str] = {}
        self.constants = {place: _value(place, value) for place, value in wishes.constants.items()}
        for place in wishes.constants:
            if not self._carried(place):
                raise WrongUse(f"--set: {dialer.name} cannot carry {place[0]}; leave it out")
        self._plans: dict[tuple[str, ...], Plan] = {}

    @property
    def further(self) -> str:
        """What becomes of a second column of numbers."""
        spare = "phone_number where the first cannot be used"
        return f"{spare}, else secondary_contacts" if self._carried(("secondary_contacts", "")) else spare

    def plan(self, header: Sequence[str]) -> Plan:
        """What becomes of the columns of this header (or the names of a JSON object)."""
        key = tuple(header)
        found = self._plans.get(key)
        if found is None:
            if len(self._plans) >= MOST_PLANS:
                self._plans.clear()
            found = self._plans[key] = self._planned(key)
        return found

    def _planned(self, header: tuple[str, ...]) -> Plan:
        wanted = [place_of(name, self.wishes) for name in header]
        phones = [i for i, place in enumerate(wanted) if place == ("phone_number", "")]
        # The number to call stands where the user says, else in the column of the field's own name, else first.
        phones.sort(
            key=lambda i: (header[i].strip() not in self.wishes.places, header[i].strip() != "phone_number")
        )
        own = {name.strip() for name in header}
        places: list[Place | None] = []
        for name, place in zip(header, wanted, strict=True):
            places.append(self._settled(name, place, places, own))
        return Plan(tuple(places), tuple(phones))

    def _settled(
        self, name: str, place: Place | None, taken: Sequence[Place | None], own: set[str]
    ) -> Place | None:
        """Where the column goes for this dialer; None, and told, if it does not travel."""
        shown = name.strip()
        if not shown or place in (("", ""), ("phone_number", "")):  # nothing; or as Plan.phones says
            return None
        if place is None and shown in self.wishes.places:
            return None  # the user leaves it out
        if place is not None and not self._carried(place):
            why = f"{self.dialer.name} cannot carry {place[1] or place[0]}"
            place = ("variables", shown) if place[0] in TEXTS and "variables" in self.dialer.carries else None
            if place is None:
                self.left_out.setdefault(shown_name(name), why)
                return None
        twin = place is not None and (
            place in taken or (place[1] == "" and place[0] in own and place[0] != shown)
        )
        if place is None or twin:
            if "variables" in self.dialer.carries and ("variables", shown) not in taken:
                return "variables", shown
            self.left_out.setdefault(
                shown_name(name), "another column has this field" if twin else "no field of a lead"
            )
            return None
        return place

    def _carried(self, place: Place) -> bool:
        if place[0] == "do_not_call" and self.dialer.carries == {"phone_number"}:
            return False  # whom to remove is told by the number alone
        return place[0] in self.dialer.carries or place[0] in NEEDED

    def lead(self, plan: Plan, cells: Sequence[object]) -> object:
        """The row as a lead: a dict with canonical keys, or Unreadable."""
        row: dict[str, Any] = {}
        for place, cell in zip(plan.places, cells, strict=False):
            if place is not None and not _blank(cell):
                _put(row, place, _value(place, cell))
        for place, value in self.constants.items():
            _put(row, place, value)
        if self.region and "country_code" not in row and self.region != self.dialer.region:
            row["country_code"] = self.region
        found = [cells[i] for i in plan.phones if i < len(cells) and not _blank(cells[i])]
        if found:
            problem = self._call(row, found)
            if problem is not None:
                return problem
        return row

    def _call(self, row: dict[str, Any], found: Sequence[object]) -> Unreadable | None:
        """Give the row its number: the first that can be used; the others go along where the dialer takes them."""
        numbers: list[object] = []
        for cell in found:
            numbers += _numbers(cell)
        if len(numbers) > 1:
            usable = [number for number in numbers if self._usable(number, row.get("country_code"))]
            if usable:
                numbers = usable
        row["phone_number"] = numbers[0]
        if isinstance(numbers[0], str) and _ROUNDED.fullmatch(numbers[0]):
            return ROUNDED
        if len(numbers) > 1 and "secondary_contacts" in self.dialer.carries:
            further = row.setdefault("secondary_contacts", [])
            if isinstance(further, list):
                further += [{"phone_number": number} for number in numbers[1:]]
        return None

    def _usable(self, number: object, country: object) -> bool:
        from leadlane.schemas.phones import BadPhone, normalise, region_of

        if isinstance(number, int) and not isinstance(number, bool):
            number = str(number)
        if not isinstance(number, str):
            return False
        try:
            region = region_of(country) if isinstance(country, str | int) else self.region
            normalise(number, region, self.dialer.phone_check)
        except BadPhone:
            return False
        return True


def place_of(name: str, wishes: Wishes) -> Place | None:
    """The place that a column's name means; None if it is no name we know."""
    bare = name.strip().removeprefix("\ufeff")
    if bare in wishes.places:
        return wishes.places[bare]
    outer, _, inner = bare.partition(".")
    if inner and field_of(outer) in OBJECTS:
        return str(field_of(outer)), inner
    found = field_of(bare)
    if found is None:
        return None
    outer, _, inner = found.partition(".")
    return outer, inner


def shown_name(name: str) -> str:
    """A column's name for people: what stands in the first line may be a lead, and its number is nobody's business."""
    return masked("".join(c if c.isprintable() else "?" for c in name.strip()[:40]))


def _put(row: dict[str, Any], place: Place, value: object) -> None:
    outer, inner = place
    if not inner:
        if outer in OBJECTS and isinstance(value, dict) and isinstance(row.get(outer), dict):
            row[outer].update(value)
        elif value is not None:
            row[outer] = value
        return
    inside = row.setdefault(outer, {})
    if isinstance(inside, dict):
        inside[inner] = value


def _blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _numbers(cell: object) -> list[object]:
    """The numbers of one cell: ad exports write ``p:`` before it, some systems put several into one."""
    if isinstance(cell, float) and cell.is_integer():
        return [int(cell)]
    if not isinstance(cell, str):
        return [cell]
    bare = _bare(cell)
    parts = [part for part in _SEVERAL.split(bare) if sum(map(str.isdigit, part)) > 4]
    return [_PREFIX.sub("", part) for part in (parts if len(parts) > 1 else [bare])]


def _bare(cell: str) -> str:
    formula = _FORMULA.fullmatch(cell.strip())
    return _GUARDED.sub("", formula[1] if formula else cell)


def _value(place: Place, cell: object) -> object:
    """What the cell means in this place. A word that means nothing there stays: the lead's check says so."""
    outer, inner = place
    if not isinstance(cell, str):
        return {"system": cell} if outer == "source" and not inner and not isinstance(cell, dict) else cell
    cell = _bare(cell)
    if inner:
        return cell
    if outer in ("active", "do_not_call", "allow_duplicate"):
        word = plain(cell)
        return True if word in YES else False if word in NO else cell
    if outer == "priority":
        return PRIORITIES.get(plain(cell), cell)
    if outer == "country_code":
        return _country(cell)
    if outer in OBJECTS or outer == "secondary_contacts":
        # A plain source is the name of a system: many a CRM exports a column of that name.
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return {"system": cell} if outer == "source" else cell
    return cell


def _country(cell: str) -> str | None:
    """The country's code; None for its name in words, which says nothing about the number for sure."""
    from leadlane.schemas.phones import BadPhone, region_of

    try:
        return region_of(cell)
    except BadPhone:
        return None if len(cell.strip()) > 3 and not any(map(str.isdigit, cell)) else cell
