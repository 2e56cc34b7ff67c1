"""A file as leads: its header found, its columns understood, its rows read as they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Final

from leadlane.schemas.errors import BadFile, WrongUse, did_you_mean, nearest
from leadlane.schemas.leads import Unreadable

from . import sources
from .columns import Columns, Dialer, Plan, Wishes, place_of, shown_name
from .documents import json_lines, json_values
from .sheets import sheet_names, sheet_rows, workbook
from .sources import Source
from .tables import DELIMITERS, Table

LOOKED_AT: Final = (1, 2, 5, 20, 60, 200)
"""So many lines are looked at for the header, the next number if it is not among them."""
MOST_LOOKED_AT: Final = 4 << 20
"""Characters of them."""
OBJECTS_LOOKED_AT: Final = 100
DELIMITER_NAMES: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
ENCODING_NAMES: Final = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
}
NO_PHONE: Final = "name it with --map COLUMN=phone_number"

Record = tuple[int, Any]
"""Line of the file (row of the sheet, place in the array) and cells, JSON value or Unreadable."""


@dataclass(slots=True)
class Leads:
    """The leads of a file, for one dialer.

    Attributes:
        header: names of the columns; of JSON those of the first objects.
        about: what was understood of the file, for people and programs.
        columns: what becomes of the columns.
    """

    source: Source
    wishes: Wishes
    columns: Columns
    header: list[str]
    about: dict[str, Any]
    _first: Iterator[Record] | None = None
    line: int = field(default=0)

    def records(self) -> Iterator[Record]:
        """The rows as the file has them, from the first. Raises BadFile, and OSError while reading."""
        first, self._first = self._first, None
        return _found(self.source, self.wishes)[1] if first is None else first

    def rows(self) -> Iterator[object]:
        """The rows as leads, for `leadlane.schemas.leads.clean`; ``line`` is where the last one stands."""
        columns, header = self.columns, columns_plan(self.columns, self.header)
        for line, content in self.records():
            self.line = line
            if isinstance(content, list) and header is not None:
                yield columns.lead(header, content)
            elif isinstance(content, dict):
                yield columns.lead(columns.plan(tuple(content)), tuple(content.values()))
            else:
                yield content

    def key(self, *more: object) -> str:
        """What makes two imports the same: content, how it is read, and ``more``; "" if it is not known before."""
        if not self.source.digest:
            return ""
        wishes = self.wishes
        asked = [
            self.source.digest,
            sorted(wishes.places.items()),
            sorted(wishes.constants.items()),
            [self.columns.region, wishes.sheet, self.source.encoding],
            more,
        ]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def columns_plan(columns: Columns, header: Sequence[str]) -> Plan | None:
    """The plan of a header with names; None if there is none."""
    return columns.plan(header) if header else None


def read_leads(source: Source, wishes: Wishes, dialer: Dialer) -> Leads:
    """The leads of a file. Raises BadFile if it has none, WrongUse for a column or sheet that is not there."""
    with sources.reading(source.shown):
        about, records = _found(source, wishes)
        names = about.pop("names")
        try:
            first = next(records)
        except StopIteration:
            raise BadFile(source.shown, "has a header but no leads", "give a line for each lead") from None
    columns = Columns(wishes, dialer)
    told = _told(names, columns)
    about = {"file": source.shown, **about, "region": columns.region, "columns": told}
    return Leads(
        source,
        wishes,
        columns,
        [] if source.form in ("lines", "json") else names,
        about,
        chain([first], records),
    )


def _told(names: Sequence[str], columns: Columns) -> dict[str, str]:
    """For each column that travels its field, as people write it."""
    plan = columns.plan(names)
    told = {shown_name(names[i]): "phone_number" for i in plan.phones[:1]}
    for i in plan.phones[1:]:
        told[shown_name(names[i])] = columns.further
    for name, place in zip(names, plan.places, strict=True):
        if place is not None:
            told.setdefault(shown_name(name), ".".join(part for part in place if part))
    return told


def _found(source: Source, wishes: Wishes) -> tuple[dict[str, Any], Iterator[Record]]:
    """What the file is like, with the ``names`` of its columns, and its records behind the header."""
    match source.form:
        case "workbook":
            return _of_workbook(source, wishes)
        case "table":
            return _of_table(source, wishes)
        case _:
            return _of_json(source, wishes)


# JSON ------------------------------------------------------------------------------------------


def _of_json(source: Source, wishes: Wishes) -> tuple[dict[str, Any], Iterator[Record]]:
    by_line = source.form == "lines"
    if not by_line and source.digest:
        deque(_values(source), maxlen=0)  # a break is told before a row is taken, not in the middle
    records = json_lines(source.lines()) if by_line else _values(source)
    # One object is enough if it has a number; what is read on standard input may come slowly.
    head: list[Record] = []
    names: dict[str, None] = {}
    for record in islice(records, OBJECTS_LOOKED_AT):
        head.append(record)
        if isinstance(record[1], Mapping):
            names |= dict.fromkeys(map(str, record[1]))
            if _phones(names, wishes):
                break
    if not head:
        raise BadFile(source.shown, "has no leads", "give an object with phone_number for each")
    if not _phones(names, wishes):
        raise _no_phone(source.shown, names, "name")
    about = {"form": "JSONL" if by_line else "JSON", "encoding": _encoding(source), "names": list(names)}
    return about, chain(head, records)


def _values(source: Source) -> Iterator[Record]:
    with source.text() as text:
        yield from json_values(text, source.shown)


# Tables ----------------------------------------------------------------------------------------


def _of_table(source: Source, wishes: Wishes) -> tuple[dict[str, Any], Iterator[Record]]:
    lines = source.lines()
    sample: list[str] = []
    best: tuple[int, int, str, int, list[str]] | None = None
    for wanted in LOOKED_AT:
        while len(sample) < wanted and sum(map(len, sample)) < MOST_LOOKED_AT:
            if not (line := next(lines, "")):
                break
            sample.append(line)
        tried = [_header(Table(iter(sample), delimiter).records(), wishes) for delimiter in DELIMITERS]
        found = [
            (known, len(cells), delimiter, line, cells)
            for delimiter, (known, line, cells) in zip(DELIMITERS, tried, strict=True)
            if known
        ]
        best = max(found, key=lambda one: one[:2], default=None)
        # A lone name may be a title; what more lines say is asked once, on standard input not at all.
        if best and (best[0] > 1 or best[1] == 1):
            break
    if best is None:
        raise _no_header(source.shown, sample)
    _, _, delimiter, at, header = best
    _check_map(wishes, header)
    body = _behind(sample, lines, delimiter, at, len(header))
    about = {
        "form": "CSV",
        "encoding": _encoding(source),
        "delimiter": DELIMITER_NAMES[delimiter],
        "header_line": at,
        "names": header,
    }
    return about, body


def _behind(
    sample: Sequence[str], lines: Iterator[str], delimiter: str, at: int, width: int
) -> Iterator[Record]:
    """The records behind the header, which may have line ends in its names."""
    table = Table(chain(sample, lines), delimiter)
    records = table.records()
    for line, _ in records:
        if line >= at:
            break
    table.width = width
    return records


def _header(records: Iterable[Record], wishes: Wishes) -> tuple[int, int, list[str]]:
    """How many names of the header are known, its line and its cells; 0 known if there is none."""
    best: tuple[int, int, list[str]] = (0, 0, [])
    for line, cells in records:
        if isinstance(cells, list) and _phones(cells, wishes):
            known = sum(1 for cell in cells if place_of(cell, wishes) or cell.strip() in wishes.places)
            if known > best[0]:
                best = (known, line, cells)
    return best


def _phones(names: Iterable[str], wishes: Wishes) -> bool:
    return any(place_of(name, wishes) == ("phone_number", "") for name in names)


def _no_header(shown: str, sample: Sequence[str]) -> BadFile:
    """The error of a table without a column for the number, by what looks most like its header."""
    delimiter = max(DELIMITERS, key=lambda one: max(line.count(one) for line in sample))
    records = [cells for _, cells in Table(iter(sample), delimiter).records()]
    if records and isinstance(records[0], Unreadable):
        return BadFile(
            shown, "its header line has a quote that is never closed", "name the columns in line 1"
        )
    tables = [cells for cells in records[:20] if isinstance(cells, list)]
    likely = max(tables, key=lambda cells: sum(map(bool, map(str.strip, cells))), default=[])
    return _no_phone(shown, likely, "column")


def _no_phone(shown: str, names: Iterable[str], what: str) -> BadFile:
    told = [shown_name(name) for name in names if name.strip()]
    close = nearest("phone_number", told)
    like = f"; is it '{close}'?" if close else ""
    return BadFile(
        shown,
        f"has no {what} with the phone number among {', '.join(told[:20]) or 'its ' + what + 's'}",
        NO_PHONE + like,
    )


def _check_map(wishes: Wishes, header: Sequence[str]) -> None:
    names = {name.strip().removeprefix("\ufeff") for name in header}
    for name in wishes.places:
        if name not in names:
            raise WrongUse(
                f"--map: there is no column '{shown_name(name)}'; {did_you_mean(name, map(shown_name, names))}"
            )


def _encoding(source: Source) -> str:
    return ENCODING_NAMES.get(source.encoding, source.encoding)


# Workbooks -------------------------------------------------------------------------------------


def _of_workbook(source: Source, wishes: Wishes) -> tuple[dict[str, Any], Iterator[Record]]:
    book = workbook(source)
    names = sheet_names(book, wishes.sheet)
    first: list[str] = []
    for name in names:
        rows = sheet_rows(book, name)
        head = list(islice(rows, LOOKED_AT[-1]))
        known, at, header = _header(head, wishes)
        if known:
            _check_map(wishes, header)
            others = [other for other in book.sheet_names if other != name]
            about = {
                "form": "workbook",
                "sheet": name,
                "other_sheets": others,
                "header_line": at,
                "names": header,
            }
            return about, (row for row in chain(head, rows) if row[0] > at)
        first = first or max((cells for _, cells in head), key=len, default=[])
    where = f"{source.shown}, sheet '{names[0]}'" if len(names) == 1 else source.shown
    if not first:
        raise BadFile(where, "is empty", "give a header line and a row for each lead")
    raise _no_phone(where, first, "column")
