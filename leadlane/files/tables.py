"""CSV in any of its habits: lines become records, one after another.

What is wrong with one line makes one Unreadable, and the next line is read as if nothing had been.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final

from leadlane.schemas.leads import Unreadable

MOST_LINES: Final = 50
"""Of a cell in quotes; a quote that is open for longer was never closed."""
MOST_AHEAD: Final = 1 << 20
"""Characters looked at for the end of such a cell."""
DELIMITERS: Final = ",;\t|"

OPEN_QUOTE: Final = "the line has a quote that is never closed"
TOO_MANY_CELLS: Final = "the line has more cells than the header"


class Table:
    """Lines of CSV as records: the number of the line and its cells, or the row that says why there are none."""

    def __init__(self, lines: Iterator[str], delimiter: str) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._line = 0  # of the last record
        self.width = 0  # cells of the header; 0 while there is none
        self._ahead: deque[str] = deque()  # lines read while the end of a cell was looked for

    def records(self) -> Iterator[tuple[int, list[str] | Unreadable]]:
        """The records that are not blank."""
        while line := self._ahead.popleft() if self._ahead else next(self._lines, ""):
            self._line += 1
            number = self._line
            if not line.strip():
                continue
            cells = self._cells(line)
            if cells is None:
                yield number, Unreadable(OPEN_QUOTE, line.rstrip("\r\n"))
            elif self.width and any(cell.strip() for cell in cells[self.width :]):
                yield number, Unreadable(TOO_MANY_CELLS, line.rstrip("\r\n"))
            elif any(cell.strip() for cell in cells):
                yield number, cells

    def _cells(self, line: str) -> list[str] | None:
        """The record that begins with the line; None if a quote opens in it that is never closed."""
        if '"' not in line:
            return line.rstrip("\r\n").split(self._delimiter)
        try:
            alone = csv.reader((line, "\n"), delimiter=self._delimiter)
            cells = next(alone)
            if alone.line_num == 1:
                return cells
            # A quote is open at the end of the line: of a cell with several lines, or by mistake.
            seen = sum(map(len, self._ahead))
            while len(self._ahead) < MOST_LINES and seen < MOST_AHEAD and (more := next(self._lines, "")):
                self._ahead.append(more)
                seen += len(more)
            several = csv.reader(chain([line], self._ahead), delimiter=self._delimiter, strict=True)
            cells = next(several)
        except csv.Error:
            return None
        if self.width and len(cells) != self.width:
            return None  # it swallowed leads until the next quote
        for _ in range(several.line_num - 1):
            self._ahead.popleft()
        self._line += several.line_num - 1
        return cells
