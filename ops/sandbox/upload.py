"""What is in an uploaded file: the part of a form that holds it, and its rows, out of CSV or XLSX."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from email.message import Message
from itertools import zip_longest
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def file_of(body: bytes, content_type: str, field: str) -> tuple[str, bytes]:
    """Name and content of the file in a field of a multipart form (RFC 7578); ValueError if there is none."""
    boundary = _header("content-type", content_type).get_param("boundary")
    if not content_type.lower().startswith("multipart/form-data") or not isinstance(boundary, str):
        raise ValueError("The body must be multipart/form-data")
    # A line break before each delimiter belongs to it; so that the first has one too, we give it one.
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode("latin-1"))[1:-1]:
        head, found, content = part.partition(b"\r\n\r\n")
        for line in head.decode("utf-8", "replace").split("\r\n"):
            name, _, value = line.partition(":")
            if not found or name.strip().lower() != "content-disposition":
                continue
            disposition = _header("content-disposition", value.strip())
            params = dict(disposition.get_params(header="content-disposition") or ())
            if params.get("name") == field and params.get("filename"):
                return params["filename"], content
    raise ValueError(f"The form has no file in its field {field}")


def rows_of(name: str, content: bytes) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Names of columns, and each row with its number as a person counts, from 2; ValueError if unreadable.

    XLS, which the dialer takes too, is beyond this sandbox.
    """
    kind = name.lower().rpartition(".")[2]
    if kind == "csv":
        lines = _csv(content)
    elif kind == "xlsx":
        lines = _xlsx(content)
    elif kind == "xls":
        raise ValueError("The sandbox cannot read XLS; send CSV or XLSX")
    else:
        raise ValueError("The file must be CSV, XLSX or XLS")
    if not lines:
        raise ValueError("The file is empty")
    columns = [column.strip() for column in lines[0]]
    if len(set(columns)) < len(columns):
        raise ValueError("The file has two columns of one name")
    return columns, [
        (number, dict(zip_longest(columns, line[: len(columns)], fillvalue="")))
        for number, line in enumerate(lines[1:], 2)
        if any(line)
    ]


def _header(name: str, value: str) -> Message:
    message = Message()
    message[name] = value.replace("\r", " ").replace("\n", " ")
    return message


def _csv(content: bytes) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as exc:
        raise ValueError("The file is not CSV in UTF-8") from exc


def _xlsx(content: bytes) -> list[list[str]]:
    """The lines of the first sheet, with empty cells and lines where the file leaves them out."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as book:
            names = book.namelist()
            shared = _shared(book.read("xl/sharedStrings.xml")) if "xl/sharedStrings.xml" in names else []
            sheet = min(name for name in names if name.startswith("xl/worksheets/sheet"))
            return list(_lines(book.read(sheet), shared))
    except (zipfile.BadZipFile, ET.ParseError, ValueError, LookupError) as exc:
        raise ValueError("The file is not XLSX") from exc


def _parsed(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)  # noqa: S314 - a playground on loopback; expat limits what entities may grow to


def _shared(xml: bytes) -> list[str]:
    return ["".join(text.text or "" for text in item.iter(f"{_MAIN}t")) for item in _parsed(xml)]


def _lines(xml: bytes, shared: list[str]) -> Iterator[list[str]]:
    written = 0
    for row in _parsed(xml).iter(f"{_MAIN}row"):
        number = int(row.get("r", written + 1))
        yield from ([] for _ in range(written + 1, number))
        written = number
        line: list[str] = []
        for cell in row.iter(f"{_MAIN}c"):
            column = _column(cell.get("r", "")) or len(line) + 1
            line += [""] * (column - len(line) - 1)
            line.append(_text(cell, shared))
        yield line


def _column(reference: str) -> int:
    """3 for C7; 0 for none."""
    number = 0
    for letter in re.sub(r"[^A-Z]", "", reference):
        number = number * 26 + ord(letter) - 64
    return number


def _text(cell: ET.Element, shared: list[str]) -> str:
    if cell.get("t") == "inlineStr":
        return "".join(text.text or "" for text in cell.iter(f"{_MAIN}t"))
    value = cell.findtext(f"{_MAIN}v") or ""
    return shared[int(value)] if cell.get("t") == "s" else value
