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
import threading
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import zstandard

VERSION = b"\x03"
MOST_ROWS = 2000
"""Rows of a batch: leads to send, and as many again that are only told of."""


class _Own(threading.local):
    """What each thread packs and unpacks with: nearly all of the time that a small batch takes is to make one."""

    def __init__(self) -> None:
        # Level 1: on leads higher ones take more time and save nothing.
        # A checksum: a number that was damaged would ring a stranger.
        self.packer = zstandard.ZstdCompressor(level=1, write_checksum=True)
        self.unpacker = zstandard.ZstdDecompressor()


_own = _Own()


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
    return VERSION + _own.packer.compress(head + batch.lines)


def unpack(stored: bytes) -> Batch:
    """The batch that was packed; raises PayloadUnreadableError."""
    try:
        expand, read = _VERSIONS[stored[:1]]
    except KeyError:
        raise PayloadUnreadableError(f"payload version {stored[:1]!r}") from None
    try:
        text = expand(memoryview(stored)[1:])
        end = text.index(b"\n")
        return read(json.loads(text[:end]), text, end + 1)
    except (zlib.error, zstandard.ZstdError, ValueError, KeyError, TypeError, MemoryError) as exc:
        raise PayloadUnreadableError("payload does not unpack") from exc


def _columns(about: dict[str, object], text: bytes, at: int) -> Batch:
    # No NUMBER has a tab or a line's end in it, nor has a WIRE the latter: JSON writes it as \n.
    end = text.find(b"\n", at) if about["n"] else at
    found = text[at:end].decode().split("\t") if about["n"] else []
    if len(found) != about["n"] or end < 0:
        raise PayloadUnreadableError("payload does not unpack")
    return Batch(
        int(str(about["start"])), str(about["op"]), found, text[end + 1 :], str(about.get("links", ""))
    )


def _rows(about: dict[str, object], text: bytes, at: int) -> Batch:
    parts = text[at:].decode().replace("\n", "\t").split("\t") if len(text) > at else []
    numbers, wires = parts[::2], parts[1::2]
    if len(numbers) != len(wires):
        raise PayloadUnreadableError("payload does not unpack")
    links = str(about.get("links", ""))
    return Batch.of(int(str(about["start"])), str(about["op"]), numbers, wires, links)


def _expanded(packed: memoryview) -> bytes:
    return _own.unpacker.decompress(packed, allow_extra_data=False)


_VERSIONS: dict[
    bytes, tuple[Callable[[memoryview], bytes], Callable[[dict[str, object], bytes, int], Batch]]
] = {
    b"\x01": (zlib.decompress, _rows),
    VERSION: (_expanded, _columns),
}
