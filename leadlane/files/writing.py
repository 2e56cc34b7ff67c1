"""Files that we write: their owner's alone (0600), whole or not there, and harmless in a spreadsheet."""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from leadlane.schemas.errors import BadFile

_NUMBER = re.compile(r"\+\d+")
_STEERS_A_SPREADSHEET = ("=", "+", "-", "@", "\t", "\r", "\n")


def harmless(cell: object) -> object:
    """A cell that no spreadsheet runs as a formula; a plain number with its + stays as it is."""
    if isinstance(cell, str) and cell.startswith(_STEERS_A_SPREADSHEET) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


@contextmanager
def written(path: str, *, encoding: str = "utf-8") -> Iterator[IO[str]]:
    """The file to write into, readable by its owner alone; it takes its place once all is written. Raises BadFile."""
    if path == "-":
        yield sys.stdout
        return
    try:
        check(path)
        if _is_device(path):
            with open(path, "w", encoding=encoding, errors="replace", newline="") as file:
                yield file
            return
        folder, name = os.path.split(os.path.realpath(path))
        with tempfile.NamedTemporaryFile(
            "w", encoding=encoding, errors="replace", newline="", dir=folder, prefix=f".{name}.", delete=False
        ) as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(file.name, os.path.join(folder, name))
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
    except OSError as exc:
        raise _unwritable(path, exc.strerror) from None


def check(path: str) -> None:
    """Raises BadFile if no file can be written there; said before the work, not after it."""
    if _is_device(path):
        return
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise _unwritable(path, "is a directory")
    if not os.path.isdir(folder):
        raise _unwritable(path, "no such file or directory")
    if not os.access(folder, os.W_OK):
        raise _unwritable(path, "permission denied")


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _unwritable(path: str, why: str | None) -> BadFile:
    return BadFile(path, f"cannot be written ({(why or 'no reason given').lower()})")
