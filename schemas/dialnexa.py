"""DialNexa's wire form (API v1): one lead a call, or a file of leads.

Rules: https://dialnexa.mintlify.app/api-reference/campaign-leads (create, update, delete, upload) and
/api-reference/errors.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from .outcomes import Outcome
from .phones import split
from .problems import one_line, told
from .wire import Taken, full_name, lead_id, texts

Operation = Literal["import", "upload", "update", "remove"]
"""``upload`` is an import by file. Update and removal need the lead id that an import's answer gave."""

_FIELDS = frozenset({"phone_number", "name", "first_name", "last_name", "variables"})

CARRIES: Final[dict[Operation, frozenset[str]]] = {
    "import": _FIELDS,
    "upload": _FIELDS,
    "update": _FIELDS,
    "remove": frozenset({"phone_number"}),
}
"""The canonical fields that reach DialNexa, for each operation."""

MAX_NOTES: Final = 15  # of a lead; of a file, the columns beside phone_number
MAX_FILE_BYTES: Final = 10_000_000
CRLF: Final = b"\r\n"

_DONE: Final[dict[Operation, Outcome]] = {"update": Outcome.UPDATED, "remove": Outcome.REMOVED}
_COLUMNS = ("phone_number", "name")
_CAMPAIGN = re.compile(r"cmp_[A-Za-z0-9_-]+")
_BLOCKED = re.compile(r"destination|telephony settings|\bblocked\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class LeadFile:
    """A CSV file to upload, and how many leads are in it."""

    body: bytes
    rows: int

    def __repr__(self) -> str:
        return f"LeadFile({self.rows} rows, {len(self.body)} bytes)"


def to_wire(lead: Mapping[str, Any], operation: Operation) -> dict[str, Any]:
    """A canonical lead as DialNexa takes it, without the campaign (see ``with_campaign``).

    The number is parted into ``countryCode``, always sent because the default is India, and national
    digits. ``variables`` become ``notes``, as texts; an update replaces all that the lead has. What an
    update or removal is about stands in the path, as the lead id: an update is what changes, a removal {}.
    """
    if operation == "remove":
        return {}
    wire: dict[str, Any] = {}
    if operation != "update":
        wire["countryCode"], wire["phoneNumber"] = split(lead["phone_number"])
    if name := full_name(lead):
        wire["name"] = name
    if notes := texts(lead.get("variables") or {}):
        wire["notes"] = notes
    return wire


def refuses(lead: Mapping[str, Any], operation: Operation) -> str:
    """Why a canonical lead cannot be sent, as ``field: problem; remedy`` parted by `` | ``; "" if it can.

    The page requires a name, and an assistant would say whatever stood in for it, so nothing does.
    """
    if operation == "remove":
        return ""
    wire = to_wire(lead, operation)
    return " | ".join(_problems(wire, operation))


def with_campaign(wire: Mapping[str, Any], campaign: str) -> dict[str, Any]:
    """The body of an import: DialNexa wants the campaign in it."""
    return {**wire, "campaignId": campaign}


def canonical_campaign(text: str) -> str:
    """The campaign id; raises ValueError if it is none."""
    if _CAMPAIGN.fullmatch(text):
        return text
    raise ValueError(f"{text!r} is not a DialNexa campaign id; it begins with cmp_, e.g. cmp_xyz789")


def read_answer(body: object, operation: Operation) -> Taken | None:
    """What became of the lead, and its id; None if an import's answer has no id.

    Only the id is read: the samples contradict each other on the rest (``notes`` or ``metadata``, a
    fresh lead that is ``completed``). An update or removal is done if its status was 2xx.
    """
    if operation in _DONE:
        return Taken(_DONE[operation], lead_id(body))
    found = lead_id(body)
    return Taken(Outcome.CREATED, found) if found else None


def blocks_destination(body: object) -> bool:
    """Whether a 403 is about this one number, which the workspace may not call, and not about the key."""
    return _BLOCKED.search(problem_text(body)) is not None


def problem_text(body: object) -> str:
    """The dialer's words about what is wrong, in one line of at most 300 characters, numbers masked.

    The error body is ``{"statusCode": 400, "message": text or [text], "error": "Bad Request"}``.
    """
    return told(body, "message", "errors", "error")


def to_files(wires: Iterable[Mapping[str, Any]], max_bytes: int = MAX_FILE_BYTES) -> Iterator[LeadFile]:
    """The wire leads of uploads as CSV files, in order, each as large as size and columns allow.

    Columns: ``phone_number`` in E.164, ``name`` if any lead of the file has one, then the variables in
    order of their first appearance; what a lead has not is blank. UTF-8, lines as in RFC 4180. At most one
    file is in memory, and one lead alone always makes a file, however small ``max_bytes``.
    """
    rows: list[dict[str, str]] = []
    columns: dict[str, None] = {}
    size = 0
    for wire in wires:
        row = _row(wire)
        wider = columns | dict.fromkeys(row)
        # Further columns widen rows already taken; so each is counted with all the commas it may get.
        grown = size + len(_line(row.values())) + MAX_NOTES
        if rows and (len(wider) > MAX_NOTES + 1 or grown + len(_line(wider)) > max_bytes):
            yield _file(columns, rows)
            rows, wider, grown = [], dict.fromkeys(row), grown - size
        rows.append(row)
        columns, size = wider, grown
    if rows:
        yield _file(columns, rows)


def read_upload(body: object, rows: int) -> Outcome | None:
    """What became of all ``rows`` leads of an uploaded file; None if the answer does not count them.

    ``{"leads_created": 98, "leads_skipped": 2}`` does not say which two, so that all are uncertain.
    """
    if not isinstance(body, Mapping):
        return None
    created, skipped = body.get("leads_created"), body.get("leads_skipped")
    if isinstance(created, bool) or not isinstance(created, int):
        return None
    if created == rows:
        return Outcome.CREATED
    if isinstance(skipped, bool) or not isinstance(skipped, int) or created + skipped != rows:
        return None
    return Outcome.UNCERTAIN if created else Outcome.REJECTED


def upload_words(body: Mapping[str, Any], outcome: Outcome) -> str:
    """What is to be said of the leads of a file that were not all created; "" if they were."""
    if outcome is Outcome.CREATED:
        return ""
    created, rows = body["leads_created"], body["leads_created"] + body["leads_skipped"]
    return f"the dialer took {created} of the {rows} leads of the file and does not say which it skipped"


def bad_rows(body: object, rows: int) -> dict[int, str] | None:
    """The positions of leads that made a file of so many be refused, with the dialer's words; None if untold.

    Assumed, for the page says only that errors are grouped by reason with row numbers:
    ``{"errors": [{"reason": text, "rows": [2, 5]}]}``, counted as a spreadsheet does, the header being row 1.
    """
    groups = body.get("errors") if isinstance(body, Mapping) else None
    found: dict[int, str] = {}
    for group in groups if isinstance(groups, list) else ():
        numbers = group.get("rows") if isinstance(group, Mapping) else None
        if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
            return None
        found.update({number - 2: one_line(group.get("reason")) or "refused" for number in numbers})
    return found if found and all(0 <= position < rows for position in found) else None


def form(file: LeadFile) -> bytes:
    """The file as a form with one field, ``file`` (RFC 7578); ``form_type`` gives its media type."""
    boundary = hashlib.blake2b(file.body, digest_size=20).hexdigest().encode()
    return b"".join(
        (
            b"--" + boundary + CRLF,
            b'Content-Disposition: form-data; name="file"; filename="leads.csv"\r\n',
            b"Content-Type: text/csv; charset=utf-8\r\n\r\n",
            file.body,
            b"\r\n--" + boundary + b"--\r\n",
        )
    )


def form_type(body: bytes) -> str:
    """The media type of what ``form`` made."""
    return f"multipart/form-data; boundary={body[2 : body.index(CRLF)].decode()}"


def read_campaigns(body: object, page: int) -> tuple[list[dict[str, Any]], bool]:
    """The campaigns of a page, from 1, and whether another follows; raises ValueError if it is no page."""
    rows = body.get("data") if isinstance(body, Mapping) else None
    meta = body.get("meta") if isinstance(body, Mapping) else None
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) and "id" in row for row in rows):
        raise ValueError("no list of campaigns in the answer")
    last = meta.get("totalPages") if isinstance(meta, Mapping) else None
    return [dict(row) for row in rows], isinstance(last, int) and page < last


def _problems(wire: Mapping[str, Any], operation: Operation) -> Iterator[str]:
    notes: Mapping[str, str] = wire.get("notes", {})
    allowed = MAX_NOTES
    if operation == "update" and not wire:
        yield "lead: has nothing to update; give a name or variables"
    if operation == "import" and "name" not in wire:
        yield "name: missing; DialNexa wants one, give name, or first_name or last_name"
    if operation == "upload":
        allowed -= "name" in wire
        if any(name.strip().casefold() in ("", *_COLUMNS) for name in notes):
            yield "variables: a name is blank, name or phone_number; in a file it must be another"
    if len(notes) > allowed:
        yield f"variables: are {len(notes)}; DialNexa takes at most {allowed}, leave some out"


def _row(wire: Mapping[str, Any]) -> dict[str, str]:
    own = {"phone_number": wire["countryCode"] + wire["phoneNumber"]}
    if "name" in wire:
        own["name"] = wire["name"]
    return {**own, **wire.get("notes", {}), **own}


def _file(columns: Iterable[str], rows: list[dict[str, str]]) -> LeadFile:
    ordered = sorted(columns, key=lambda column: column not in _COLUMNS)
    lines = [_line(row.get(column, "") for column in ordered) for row in rows]
    return LeadFile(b"".join([_line(ordered), *lines]), len(rows))


def _line(cells: Iterable[str]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().encode()
