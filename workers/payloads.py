"""The stored form of a batch: one line per row, compressed.

Version 1: a byte 0x01, then zlib of UTF-8 text. Its first line is JSON, ``{"start": index of the first row in
the job, "op": operation its WIREs are made for}``; each further line is ``NUMBER<TAB>WIRE``: the phone number as
digits and the lead as the provider's JSON. A row that is not sent (told as invalid, or a duplicate inside the
job) has an empty WIRE and the number as it was given. The worker joins WIRE parts into a request body without
decoding them.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

VERSION = b"\x01"
LEVEL = 6


class PayloadUnreadableError(ValueError):
    """The stored batch is not of a version this worker knows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one batch; ``numbers[i]`` and ``wires[i]`` belong to row ``start + i`` of the job."""

    start: int
    operation: str
    numbers: Sequence[str]
    wires: Sequence[str]


def pack(batch: Batch) -> bytes:
    """The batch as stored."""
    head = json.dumps({"start": batch.start, "op": batch.operation})
    lines = [f"{number}\t{wire}" for number, wire in zip(batch.numbers, batch.wires, strict=True)]
    return VERSION + zlib.compress("\n".join([head, *lines]).encode(), LEVEL)


def unpack(stored: bytes) -> Batch:
    """The batch that was packed; raises PayloadUnreadableError."""
    if stored[:1] != VERSION:
        raise PayloadUnreadableError(f"payload version {stored[:1]!r}")
    try:
        head, *lines = zlib.decompress(stored[1:]).decode().split("\n")
        rows = [line.partition("\t") for line in lines]
        about = json.loads(head)
        return Batch(
            int(about["start"]), str(about["op"]), [row[0] for row in rows], [row[2] for row in rows]
        )
    except (zlib.error, UnicodeDecodeError, ValueError, KeyError) as exc:
        raise PayloadUnreadableError("payload does not unpack") from exc
