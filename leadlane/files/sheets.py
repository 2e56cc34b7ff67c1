"""Workbooks: the cells of one sheet as texts, by python-calamine (XLSX, and XLS and ODS, which it reads too)."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

from leadlane.schemas.errors import BadFile, WrongUse, did_you_mean

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

    from .sources import Source

MOST_BYTES: Final = 2 << 30
"""Of a workbook, unpacked: some are small only as long as they are packed."""


def workbook(source: Source) -> CalamineWorkbook:
    """The workbook, in memory. Raises BadFile."""
    from python_calamine import CalamineError, load_workbook

    with source.binary() as binary:
        content: IO[bytes] = binary if binary.seekable() else io.BytesIO(binary.read(MOST_BYTES))
        try:
            with zipfile.ZipFile(content) as packed:
                if sum(part.file_size for part in packed.infolist()) > MOST_BYTES:
                    raise BadFile(
                        source.shown, "is larger than 2 GB when unpacked", "save the sheet as 'CSV UTF-8'"
                    )
        except zipfile.BadZipFile:
            pass  # an XLS, or broken: calamine says which
        content.seek(0)
        try:
            return load_workbook(content)
        except (CalamineError, OSError):
            raise BadFile(
                source.shown, "is no workbook that can be read", "save the sheet as 'CSV UTF-8'"
            ) from None


def sheet_names(book: CalamineWorkbook, wanted: str | None) -> list[str]:
    """The sheets to look at, visible ones first; only the ``wanted`` one (a name, or a number from 1).

    Raises WrongUse.
    """
    if wanted is None:
        from python_calamine import SheetVisibleEnum

        hidden = {sheet.name for sheet in book.sheets_metadata if sheet.visible != SheetVisibleEnum.Visible}
        return sorted(book.sheet_names, key=lambda name: name in hidden)
    if wanted in book.sheet_names:
        return [wanted]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(book.sheet_names):
        return [book.sheet_names[int(wanted) - 1]]
    raise WrongUse(f"--sheet: there is no '{wanted}'; {did_you_mean(wanted, book.sheet_names)}")


def sheet_rows(book: CalamineWorkbook, name: str) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row that has any."""
    for number, row in enumerate(book.get_sheet_by_name(name).iter_rows(), 1):
        cells = [_text(cell) for cell in row]
        if any(cell.strip() for cell in cells):
            yield number, cells


def _text(cell: object) -> str:
    """A cell as its owner sees it: whole numbers without point and exponent, days without a time."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ")
    return str(cell)
