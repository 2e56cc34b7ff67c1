"""Files of leads: CSV and JSONL in UTF-8, read row by row.

What is wrong with the whole file raises BadFile before a row is given. What is wrong with one line makes one
invalid row, told with its index by `leadlane.schemas.leads.clean`, and the next line is read as if nothing had been.

In the header of a CSV file, names of fields are understood in any case and with a few synonyms (`Phone Number`);
`variables.NAME`, `context_headers.X-NAME` and `source.url` fill objects, whose cells may also hold JSON. A column
that is no field of a lead is left out and named in `Leads.left_out`. An unknown key of a JSONL line makes that
lead invalid: a program wrote it, and meant something.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from leadlane.schemas.errors import BadFile, nearest
from leadlane.schemas.leads import Unreadable
from leadlane.schemas.phones import masked

HEAD: Final = 1 << 20
"""Bytes looked at before anything is read."""
MOST_CHARACTERS: Final = 1 << 20
"""Of a line; what is longer is no lead."""
MOST_LINES: Final = 50
"""Of a cell in quotes; a quote that is open for longer was never closed."""

STDIN: Final = "-"
ENDINGS: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".txt": "csv"}
DELIMITERS: Final = ",;\t|"

SYNONYMS: Final[Mapping[str, str]] = {
    name: field
    for field, names in {
        "phone_number": "phone_number phone phonenumber phone_no telephone telephone_number tel mobile mobile_phone "
        "mobile_phone_number mobile_number cell cell_phone msisdn telefon telefonnummer",
        "name": "name full_name fullname contact_name",
        "first_name": "first_name firstname given_name vorname",
        "last_name": "last_name lastname surname family_name nachname",
        "email": "email e_mail mail email_address e_mail_address",
        "country_code": "country_code",
        "priority": "priority",
        "active": "active",
        "do_not_call": "do_not_call donotcall dnc",
        "allow_duplicate": "allow_duplicate",
        "external_id": "external_id externalid",
        "source": "source",
        "context_headers": "context_headers",
        "variables": "variables",
        "secondary_contacts": "secondary_contacts",
    }.items()
    for name in names.split()
}
"""Names as a header may have them, in lower case and with underscores, with the field they mean."""
OBJECTS: Final = ("source", "context_headers", "variables", "secondary_contacts")


OPEN_QUOTE: Final = Unreadable("the line has a quote that is never closed")
TOO_MANY_CELLS: Final = Unreadable("the line has more cells than the header")
NOT_JSON: Final = Unreadable("the line is not JSON")


@dataclass(slots=True)
class Leads:
    """The rows of a file, to be read once, and the columns that are no field of a lead."""

    rows: Iterator[object]
    left_out: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[object]:
        return self.rows


def read_leads(path: str | Path) -> Leads:
    """The leads of the file at ``path``, or of standard input for ``-``, read as they are asked for. Raises BadFile."""
    shown = "standard input" if path == STDIN else str(path)
    try:
        binary = _opened(path)
    except (OSError, ValueError) as exc:
        raise BadFile(shown, *_no_file(exc)) from None
    try:
        head = binary.peek(HEAD)[:HEAD]
        _check(head, shown)
        # Bytes that are no UTF-8 become half characters, which no lead may hold: they cost one row.
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        lines = iter(lambda: text.readline(MOST_CHARACTERS), "")
        leads = Leads(_jsonl(lines)) if _form(str(path), head) == "jsonl" else _csv(lines, shown)
    except OSError as exc:
        binary.close()
        raise BadFile(shown, *_no_file(exc)) from None
    except BadFile:
        binary.close()
        raise
    return Leads(_closing(binary, leads.rows), leads.left_out)


def _closing(binary: io.BufferedReader, rows: Iterator[object]) -> Iterator[object]:
    with binary:
        yield from rows


def _opened(path: str | Path) -> io.BufferedReader:
    if path == STDIN:
        given: Any = sys.stdin.buffer
        return io.BufferedReader(getattr(given, "raw", given), HEAD)
    return io.BufferedReader(open(path, "rb", buffering=0), HEAD)


def _no_file(exc: OSError | ValueError) -> tuple[str, str]:
    if isinstance(exc, FileNotFoundError):
        return "there is no such file", "look at the path, or write - for standard input"
    if isinstance(exc, IsADirectoryError):
        return "is a directory", "name one file in it"
    why = exc.strerror if isinstance(exc, OSError) else str(exc)  # a path with NUL in it
    return f"cannot be read ({(why or 'no reason given').lower()})", ""


# The whole file --------------------------------------------------------------------------------


def _check(head: bytes, shown: str) -> None:
    """Raises BadFile for what cannot be leads in UTF-8, judged by its beginning."""
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise BadFile(
            shown, "is empty", "give a header line and a line for each lead, or a JSON object a line"
        )
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise BadFile(shown, "is UTF-16", "save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')")
    if head.startswith(b"PK\x03\x04"):
        raise BadFile(shown, "is a workbook or another ZIP file", "save the sheet as 'CSV UTF-8'")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
        raise BadFile(shown, "is a JSON array", "write each of its objects as a line (JSONL)")
    if b"\0" in head:
        raise BadFile(shown, "is no text but binary data", "give CSV or JSONL")
    bad, good = [], 0
    for number, line in enumerate(head.splitlines(keepends=True), 1):
        if not line.isascii():
            try:
                codecs.utf_8_decode(line, "strict", False)  # not final: the head may cut a character
                good += 1
            except UnicodeDecodeError:
                bad.append(number)
    # One line that is broken among others that are right is a broken line, not another encoding.
    if len(bad) > good:
        raise BadFile(
            shown, f"is not UTF-8 (line {bad[0]})", "save it as UTF-8 (in a spreadsheet: 'CSV UTF-8')"
        )


def _form(path: str, head: bytes) -> str:
    ending = re.search(r"\.\w+$", path.casefold())
    by_look = "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{") else "csv"
    return ENDINGS.get(ending.group(), by_look) if ending else by_look


# JSONL -----------------------------------------------------------------------------------------


def _jsonl(lines: Iterator[str]) -> Iterator[object]:
    for line in lines:
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            yield NOT_JSON
            continue
        yield _renamed(row) if isinstance(row, dict) else row


def _renamed(row: dict[str, object]) -> dict[str, object]:
    """The object with the names of fields as leads have them, unless that would put two into one."""
    if row.keys() <= SYNONYMS.keys() and all(SYNONYMS[name] == name for name in row):
        return row
    named: dict[str, object] = {}
    for name, value in row.items():
        field = _field(name)
        named[field if field and field not in row and field not in named else name] = value
    return named


# CSV -------------------------------------------------------------------------------------------


def _csv(lines: Iterator[str], shown: str) -> Leads:
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(DELIMITERS, key=first.count)
    table = _Table(chain([first], lines), delimiter)
    header = next(table.records(), [])
    if not isinstance(header, list):
        raise BadFile(shown, "its header line has a quote that is never closed", "name the columns in line 1")
    table.width = len(header)
    places, left_out = _places(header)
    if ("phone_number", "") not in places:
        names = [_shown(name) for name in header if name.strip()]
        close = nearest("phone_number", names)
        like = f"; is it '{close}'?" if close else ""
        raise BadFile(
            shown,
            f"has no column with the phone number among {', '.join(names[:20]) or 'its columns'}",
            f"name one of them phone_number in line 1{like}",
        )
    return Leads(_rows(table.records(), places), tuple(left_out))


def _places(header: Sequence[str]) -> tuple[list[tuple[str, str] | None], list[str]]:
    """For each column its field (and the name within, for an object), and the names of those left out.

    Of two columns for one field the one with the field's own name is taken, else the first.
    """
    own = {name.strip() for name in header}
    places: list[tuple[str, str] | None] = []
    left_out = []
    for name in header:
        outer, _, inner = name.strip().partition(".")
        field = _field(name)
        place = None
        if inner and _field(outer) in OBJECTS[:3]:
            place = (str(_field(outer)), inner)
        elif field and (field == name.strip() or field not in own):
            place = (field, "")
        if place is None or place in places:
            places.append(None)
            left_out += [_shown(name)] if name.strip() else []
        else:
            places.append(place)
    return places, left_out


def _field(name: str) -> str | None:
    return SYNONYMS.get(re.sub(r"[\W_]+", "_", name.strip().casefold()).strip("_"))


def _shown(name: str) -> str:
    """A column's name for people: what stands in the first line may be a lead, and its number is nobody's business."""
    return masked("".join(c if c.isprintable() else "?" for c in name.strip()[:40]))


def _rows(
    records: Iterator[list[str] | object], places: Sequence[tuple[str, str] | None]
) -> Iterator[object]:
    for cells in records:
        if not isinstance(cells, list):
            yield cells
            continue
        row: dict[str, object] = {}
        for place, cell in zip(places, cells, strict=False):
            if place is None or not cell.strip():
                continue
            field, inner = place
            if inner:
                inside = row.setdefault(field, {})
                if isinstance(inside, dict):
                    inside[inner] = cell
            else:
                row[field] = _value(field, cell) if field in OBJECTS else cell
        yield row


def _value(field: str, cell: str) -> object:
    """What the cell of an object holds; text that is no JSON stays text, and the lead's check says so.

    A plain source is the name of a system: many a CRM exports a column of that name.
    """
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        return {"system": cell} if field == "source" else cell


class _Table:
    """Lines of CSV as records: lists of cells, or the row that says why there is none."""

    def __init__(self, lines: Iterator[str], delimiter: str) -> None:
        self.width = 0  # cells of the header, once it is known
        self._lines = lines
        self._delimiter = delimiter
        self._ahead: deque[str] = deque()  # lines read while the end of a cell was looked for

    def records(self) -> Iterator[list[str] | object]:
        while line := self._ahead.popleft() if self._ahead else next(self._lines, ""):
            if not line.strip():
                continue
            cells = self._cells(line)
            if cells is None:
                yield OPEN_QUOTE
            elif self.width and any(cell.strip() for cell in cells[self.width :]):
                yield TOO_MANY_CELLS
            elif any(cell.strip() for cell in cells):
                yield cells

    def _cells(self, line: str) -> list[str] | None:
        """The record that begins with the line; None if a quote opens in it that is never closed."""
        if '"' not in line:
            return line.rstrip("\r\n").split(self._delimiter)
        alone = csv.reader((line, "\n"), delimiter=self._delimiter)
        try:
            cells = next(alone)
            if alone.line_num == 1:
                return cells
            # A quote is open at the end of the line: of a cell with several lines, or by mistake.
            while len(self._ahead) < MOST_LINES and (more := next(self._lines, "")):
                self._ahead.append(more)
            several = csv.reader(chain([line], self._ahead), delimiter=self._delimiter, strict=True)
            cells = next(several)
        except csv.Error:
            return None
        if self.width and len(cells) != self.width:
            return None  # it swallowed leads until the next quote
        for _ in range(several.line_num - 1):
            self._ahead.popleft()
        return cells
