"""The stored form of a batch: its numbers and its wire leads, compressed.

Version 3: a byte 0x03, then Zstandard of UTF-8 text. Its first line is JSON, ``{"n": rows, "start": index of the first
row in the job, "op": operation its WIREs are made for}``, with ``"links"`` if Celery tasks wait for the batch. The
second has the phone numbers as digits, with a tab between two; then a line per row: the WIRE, the lead as the
provider's JSON. A row that is not sent (told as invalid, or a duplicate inside the job) has an empty WIRE and the
number as it was given. A batch that is sent whole goes from here into the request body as one piece: no lead of it
is touched. Version 1, which is read still, was zlib, and had a line ``NUMBER<TAB>WIRE`` for each row; version 2 is any
of them sealed (``vault.py``).
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

VERSION = b"\x03"
OPTIONS: dict[int, int] = {
    zstd.CompressionParameter.compression_level: 1,  # on leads higher ones take more time and save nothing
    zstd.CompressionParameter.checksum_flag: 1,  # a number that was damaged would ring a stranger
}
MOST_ROWS = 2000
"""Rows of a batch: leads to send, and as many again that are only told of."""


class PayloadUnreadableError(ValueError):
    """The stored batch is not of a version this worker knows."""


@dataclass(frozen=True)
class Batch:
    """Rows of one batch; ``numbers[i]`` and ``wires[i]`` belong to row ``start + i`` of the job.

    ``lines`` are the wires as UTF-8, one a line. ``links`` is JSON of what Celery is to do when the task of the batch
    ends, or ''. It is kept here since it may hold leads: those of the tasks that come next.
    """

    start: int
    operation: str
    numbers: Sequence[str]
    lines: bytes
    links: str = ""

    @classmethod
    def of(
        cls, start: int, operation: str, numbers: Sequence[str], wires: Sequence[str], links: str = ""
    ) -> Batch:
        """The batch of these wires."""
        return cls(start, operation, numbers, "\n".join(wires).encode(), links)

    @cached_property
    def wires(self) -> list[str]:
        """The wire leads, each by itself."""
        return self.lines.decode().split("\n") if self.numbers else []


def pack(batch: Batch) -> bytes:
    """The batch as stored."""
    about: dict[str, object] = {"n": len(batch.numbers), "start": batch.start, "op": batch.operation}
    if batch.links:
        about["links"] = batch.links
    head = "\n".join((json.dumps(about), "\t".join(batch.numbers), "")).encode()
    return VERSION + zstd.compress(head + batch.lines, options=OPTIONS)


def unpack(stored: bytes) -> Batch:
    """The batch that was packed; raises PayloadUnreadableError."""
    try:
        expand, read = _VERSIONS[stored[:1]]
    except KeyError:
        raise PayloadUnreadableError(f"payload version {stored[:1]!r}") from None
    try:
        head, _, rest = expand(stored[1:]).partition(b"\n")
        return read(json.loads(head), rest)
    except (zlib.error, zstd.ZstdError, UnicodeDecodeError, ValueError, KeyError, TypeError) as exc:
        raise PayloadUnreadableError("payload does not unpack") from exc


def _columns(about: dict[str, object], rest: bytes) -> Batch:
    # No NUMBER has a tab or a line's end in it, nor has a WIRE the latter: JSON writes it as \n.
    numbers, _, lines = rest.partition(b"\n")
    found = numbers.decode().split("\t") if about["n"] else []
    if len(found) != about["n"] or lines.count(b"\n") != max(len(found) - 1, 0):
        raise PayloadUnreadableError("payload does not unpack")
    return Batch(int(str(about["start"])), str(about["op"]), found, lines, str(about.get("links", "")))


def _rows(about: dict[str, object], rest: bytes) -> Batch:
    parts = rest.decode().replace("\n", "\t").split("\t") if rest else []
    numbers, wires = parts[::2], parts[1::2]
    if len(numbers) != len(wires):
        raise PayloadUnreadableError("payload does not unpack")
    links = str(about.get("links", ""))
    return Batch.of(int(str(about["start"])), str(about["op"]), numbers, wires, links)


_VERSIONS: dict[bytes, tuple[Callable[[bytes], bytes], Callable[[dict[str, object], bytes], Batch]]] = {
    b"\x01": (zlib.decompress, _rows),
    VERSION: (zstd.decompress, _columns),
}
