"""JSON: an object a line, an array of objects, or objects one after another; read as they are asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import IO, Final

from leadlane.schemas.errors import BadFile
from leadlane.schemas.leads import Unreadable

NOT_JSON: Final = "the line is not JSON"
MOST_OBJECT: Final = 8 << 20
"""Characters of one object."""
PART: Final = 1 << 16

_BETWEEN = re.compile(r"[\s,]*")
_WRAPPED = re.compile(
    r'\s*\{\s*(?:"[^"]*"\s*:\s*(?:"[^"]*"|[\w.+-]+)\s*,\s*)*"([^"]*)"\s*:\s*\[(?=\s*[\[{"\]])'
)
"""The beginning of an object whose first list holds the leads: {"total": 3, "leads": [..."""
_OF_A_LEAD = "secondary_contacts"


def json_lines(lines: Iterator[str]) -> Iterator[tuple[int, object]]:
    """Line number and content of each line; Unreadable for one that is no JSON."""
    for number, line in enumerate(lines, 1):
        text = line.strip("\ufeff \t\r\n")
        if not text:
            continue
        try:
            yield number, json.loads(text)
        except (ValueError, RecursionError):
            yield number, Unreadable(NOT_JSON, text)


def json_values(text: IO[str], shown: str) -> Iterator[tuple[int, object]]:
    """Place (from 1) and content of each element of the array, or of each object, in the document.

    Raises BadFile where the JSON breaks: behind that nothing can be told apart.
    """
    values = _Values(text)
    for place in count(1):
        try:
            yield place, values.read()
        except EOFError:
            return
        except (ValueError, RecursionError):
            raise BadFile(
                shown,
                f"its JSON breaks in object {place}",
                "mend it there, or write an object a line (JSONL)",
            ) from None


def leads_within(text: str) -> int:
    """Where the leads begin in the list of an object, such as {"total": 3, "leads": [...; 0 if they do not."""
    wrapped = _WRAPPED.match(text)
    return wrapped.end() if wrapped and wrapped[1] != _OF_A_LEAD else 0


class _Values:
    """JSON values one after another, of which no more is in memory than one and a part of the next."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()
        self._buffer = text.read(PART).lstrip("\ufeff").lstrip()
        self._more = True  # may come
        self._at = leads_within(self._buffer) or int(self._buffer.startswith("["))
        self._listed = self._at > 0

    def read(self) -> object:
        """The next value. Raises EOFError at the end, ValueError or RecursionError where it is broken."""
        while True:
            between = _BETWEEN.match(self._buffer, self._at)
            self._at = between.end() if between else self._at
            if self._listed and self._buffer.startswith("]", self._at):
                raise EOFError  # what stands behind the list tells of no lead
            if self._at == len(self._buffer) and not self._more and not self._listed:
                raise EOFError
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except ValueError:
                if not self._more or len(self._buffer) - self._at > MOST_OBJECT:
                    raise
            else:
                if end < len(self._buffer) or not self._more:  # else a number may go on
                    self._at = end
                    return value
            part = self._text.read(max(PART, len(self._buffer) - self._at))
            self._more = bool(part)
            self._buffer, self._at = self._buffer[self._at :] + part, 0
