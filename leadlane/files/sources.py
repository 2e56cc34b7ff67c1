"""Where the rows come from: a file or standard input, its encoding, its form, and a digest of its content.

What cannot be leads at all is refused here, before a row is read: by its first bytes and, for a file on disk, by a
pass over all of it that makes the digest, looks for an endless line and for the first text that is not ASCII.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any, Final, Literal

from leadlane.schemas.errors import BadFile, WrongUse

from .documents import leads_within

Form = Literal["table", "lines", "json", "workbook"]

STDIN: Final = "-"
HEAD: Final = 1 << 20
"""Bytes looked at before anything is read."""
MOST_LINE: Final = 8 << 20
"""Characters of a line; what is longer is no lead."""
ENDINGS: Final[dict[str, Form]] = {
    ".jsonl": "lines",
    ".ndjson": "lines",
    ".csv": "table",
    ".tsv": "table",
}
MARKS: Final = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""What a file begins with that says its encoding."""
NO_LEADS: Final = {
    b"%PDF": "is a PDF",
    b"\x1f\x8b": "is a gzip archive",
    b"\x89PNG": "is a picture",
    b"\xff\xd8\xff": "is a picture",
    b"{\\rtf": "is a text document (RTF)",
}
WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
KINDS: Final = "give CSV, TSV, JSONL, JSON or XLSX"

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ARRAY_BEGINS = re.compile(r"\s*\[\s*(?:\{|\n)")
_JSON_BEGINS = re.compile(r'\s*(?:\{\s*(?:"|\}|$)|\[\s*(?:[\[{"\]]|$))')


@dataclass(slots=True)
class Source:
    """A file whose form is known.

    Attributes:
        shown: its name for people.
        encoding: Python's name of it; "" for a workbook.
        digest: of the whole content, in hex; "" where it cannot be known before, as on standard input.
    """

    path: str
    shown: str
    form: Form
    encoding: str
    digest: str
    _stream: IO[bytes] | None = None  # what was begun to read, where it can be read only once
    _kept: IO[bytes] | None = None
    _spent: bool = field(default=False)

    def binary(self) -> IO[bytes]:
        """The content from its beginning, as bytes. Standard input twice only if `keep` was called before."""
        if self._stream is None:
            return open(self.path, "rb")
        if not self._spent:
            self._spent = True
            return self._stream
        if self._kept is None:
            raise ValueError("standard input is read once")
        self._kept.seek(0)
        return self._kept

    def text(self) -> io.TextIOWrapper:
        """The same as text, its line ends as they are.

        Bytes that the encoding has not become half characters, which no lead may hold: they cost one row.
        """
        errors = "replace" if self.encoding.startswith("utf-16") else "surrogateescape"
        return io.TextIOWrapper(self.binary(), encoding=self.encoding, errors=errors, newline="")

    def lines(self) -> Iterator[str]:
        """Its lines. Raises BadFile at one that does not end."""
        with self.text() as text:
            while line := text.readline(MOST_LINE):
                if len(line) == MOST_LINE:
                    raise endless(self.shown)
                yield line

    def keep(self) -> None:
        """Let what can be read once be read again: a copy of it goes into a file without a name."""
        if self._stream is not None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115  until the program ends
            self._stream = io.BufferedReader(_Copied(self._stream, self._kept), HEAD)


class _Copied(io.RawIOBase):
    """What is read here has been written there."""

    def __init__(self, source: IO[bytes], copy: IO[bytes]) -> None:
        self._source, self._copy = source, copy

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._source.read1(len(buffer))  # type: ignore[attr-defined]
        buffer[: len(part)] = part
        self._copy.write(part)
        return len(part)


def endless(shown: str) -> BadFile:
    """The error of a file with a line that is no lead's."""
    return BadFile(
        shown,
        f"has a line of more than {MOST_LINE >> 20} million characters",
        "no lead is so long: mend that line",
    )


def find(path: str, encoding: str | None = None) -> Source:
    """The file at ``path``, or standard input for ``-``. Raises BadFile, WrongUse for an unknown encoding."""
    if encoding is not None:
        _check_encoding(encoding)
    shown = "standard input" if path == STDIN else path
    with reading(shown):
        stream = _opened(path)
        head = stream.peek(HEAD)[:HEAD]
        on_disk = path != STDIN and stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
        try:
            form, found = _recognised(path, shown, head, encoding)
            digest = ""
            if on_disk:
                digest, sample = _passed(stream, shown, by_lines=form in ("table", "lines"))
                if encoding is None and found == "utf-8" and sample:
                    found = _ascii_like(sample)
        except BaseException:
            stream.close()
            raise
        if not on_disk:
            return Source(path, shown, form, found, "", stream)
        stream.close()
        return Source(path, shown, form, found, digest)


@contextmanager
def reading(shown: str) -> Iterator[None]:
    """What the system says of a file that cannot be read becomes BadFile."""
    try:
        yield
    except FileNotFoundError:
        raise BadFile(
            shown, "there is no such file", "look at the path, or write - for standard input"
        ) from None
    except IsADirectoryError:
        raise BadFile(shown, "is a directory", "name one file in it") from None
    except OSError as exc:
        raise BadFile(shown, f"cannot be read ({(exc.strerror or 'no reason given').lower()})") from None
    except ValueError as exc:
        if isinstance(exc, UnicodeError):
            raise
        raise BadFile(shown, f"cannot be read ({exc})") from None  # a path with NUL in it


def _opened(path: str) -> io.BufferedReader:
    if path == STDIN:
        given: Any = sys.stdin.buffer
        return io.BufferedReader(getattr(given, "raw", given), HEAD)
    return io.BufferedReader(open(path, "rb", buffering=0), HEAD)


def _check_encoding(name: str) -> None:
    try:
        if codecs.lookup(name)._is_text_encoding:  # noqa: SLF001  what bytes.decode asks, too
            return
    except LookupError:
        pass
    raise WrongUse(f"--encoding: '{name}' is none; write utf-8, utf-16, cp1252 or another name of Python's")


# The form, by the first bytes -------------------------------------------------------------------


def _recognised(path: str, shown: str, head: bytes, encoding: str | None) -> tuple[Form, str]:
    """Form and encoding. Raises BadFile for what cannot be leads."""
    if not head.removeprefix(b"\xef\xbb\xbf").strip():
        raise BadFile(
            shown, "is empty", "give a header line and a line for each lead, or a JSON object a line"
        )
    if head.startswith(WORKBOOKS):
        return "workbook", ""
    for begin, what in NO_LEADS.items():
        if head.startswith(begin):
            raise BadFile(shown, what, KINDS)
    encoding = encoding or _encoding(head)
    text = head.decode(encoding, "replace")
    if len(_CONTROL.findall(text)) > len(text) // 200 or text.count("\ufffd") > len(text) // 5:
        raise BadFile(shown, "is no text but binary data", KINDS)
    if not text.strip("\ufeff \t\r\n"):
        raise BadFile(
            shown, "is empty", "give a header line and a line for each lead, or a JSON object a line"
        )
    return _form(path, text.removeprefix("\ufeff")), encoding


def _encoding(head: bytes) -> str:
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    sample = head[:2000]
    if b"\0" in sample:
        even, odd = sample[::2].count(0), sample[1::2].count(0)
        if max(even, odd) > len(sample) // 4 and min(even, odd) <= len(sample) // 40:
            return "utf-16-le" if odd > even else "utf-16-be"
    return "utf-8" if head.isascii() else _ascii_like(head)


def _ascii_like(sample: bytes) -> str:
    """UTF-8 or, where that does not fit, Windows-1252.

    One line that is broken among others that are right is a broken line, not another encoding.
    """
    bad = good = 0
    for line in sample.splitlines(keepends=True):
        if not line.isascii():
            try:
                codecs.utf_8_decode(line, "strict", False)  # not final: the sample may cut a character
                good += 1
            except UnicodeDecodeError:
                bad += 1
    return "cp1252" if bad > good else "utf-8"


def _form(path: str, text: str) -> Form:
    ending = re.search(r"\.\w+$", path.casefold())
    by_name = ENDINGS.get(ending.group()) if ending else None
    if by_name and not (by_name == "lines" and _ARRAY_BEGINS.match(text)):
        return by_name
    if not _JSON_BEGINS.match(text):
        return "table"
    first, _, rest = text.lstrip().partition("\n")
    whole = first.startswith("{") and first.rstrip().endswith("}")
    return "lines" if whole and (rest.lstrip().startswith("{") or not leads_within(first)) else "json"


def _passed(stream: io.BufferedReader, shown: str, *, by_lines: bool) -> tuple[str, bytes]:
    """Digest of the content, and a part of it with text that is not ASCII, if there is any. Raises BadFile."""
    digest, sample, tail = hashlib.sha256(), b"", 0
    while part := stream.read(HEAD):
        digest.update(part)
        if by_lines:
            ends = part.rfind(b"\n") if b"\n" in part else part.rfind(b"\r")
            tail = len(part) - ends - 1 if ends >= 0 else tail + len(part)
            if tail > 2 * MOST_LINE:
                raise endless(shown)
        if not sample and not part.isascii():
            sample = part
            while sample and 0x80 <= sample[0] < 0xC0:
                sample = sample[1:]  # the rest of a character that the part before has begun
    return digest.hexdigest(), sample
