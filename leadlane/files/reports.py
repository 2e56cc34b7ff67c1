"""The rows of a file that were not delivered, as it has them, with what became of them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, Final

from leadlane.schemas.errors import BadFile
from leadlane.schemas.leads import Unreadable
from leadlane.schemas.outcomes import DELIVERED

from .writing import harmless, written

if TYPE_CHECKING:
    from .reading import Leads

ADDED: Final = ("outcome", "reason")
DELIMITERS: Final = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}


def write_undelivered(path: str, leads: Leads, report: Iterable[Mapping[str, Any]]) -> int:
    """Write the rows of the file that were not delivered; how many they are. ``report`` is the job's.

    A table's rows in its own columns and delimiter, JSON as JSONL, unless ``path`` ends in .csv. Raises BadFile.
    """
    rows = _undelivered(leads, report)
    as_json = not leads.header and not path.casefold().endswith((".csv", ".tsv"))
    with written(path, encoding="utf-8" if as_json else "utf-8-sig") as file:
        if as_json:
            return _write_json(rows, file)
        return _write_table(rows, leads, file)


def _undelivered(leads: Leads, report: Iterable[Mapping[str, Any]]) -> Iterator[tuple[object, str, str]]:
    """Content, outcome and reason of each row that was not delivered."""
    records = enumerate(leads.records())
    for row in report:
        if row["outcome"] in DELIVERED:
            continue
        for index, (_, content) in records:
            if index == row["index"]:
                yield content, row["outcome"], row["reason"]
                break
        else:
            raise BadFile(leads.source.shown, "has fewer rows than the job; it has been changed since")


def _write_json(rows: Iterable[tuple[object, str, str]], file: IO[str]) -> int:
    written_rows = 0
    for content, outcome, reason in rows:
        content = content.text if isinstance(content, Unreadable) else content
        own = content if isinstance(content, dict) else {"row": content}
        file.write(json.dumps({**own, "outcome": outcome, "reason": reason}) + "\n")
        written_rows += 1
    return written_rows


def _write_table(rows: Iterable[tuple[object, str, str]], leads: Leads, file: IO[str]) -> int:
    header = [*leads.header]
    if not header:  # of JSON: all names that its rows have
        kept = list(rows)
        header = list(
            dict.fromkeys(name for content, *_ in kept if isinstance(content, dict) for name in content)
        )
        rows = kept
    if tuple(header[-2:]) == ADDED:  # a report that was imported
        header = header[:-2]
    writer = csv.writer(file, delimiter=DELIMITERS.get(leads.about.get("delimiter", ""), ","))
    writer.writerow([harmless(name) for name in (*header, *ADDED)])
    written_rows = 0
    for content, outcome, reason in rows:
        cells = [*_cells(content, header), *[""] * len(header)][: len(header)]
        writer.writerow([harmless(cell) for cell in (*cells, outcome, reason)])
        written_rows += 1
    return written_rows


def _cells(content: object, header: Sequence[str]) -> list[str]:
    if isinstance(content, dict):
        return [_text(content.get(name)) for name in header]
    if isinstance(content, Unreadable):
        return [content.text]
    return content if header and isinstance(content, list) else [_text(content)]


def _text(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
