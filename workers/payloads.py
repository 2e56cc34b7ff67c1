"""The stored form of a batch: one line per row, compressed.

Version 1: a byte 0x01, then zlib of UTF-8 text. Its first line is JSON, ``{"start": index of the first row in
the job, "op": operation its WIREs are made for}``, with ``"links"`` if Celery tasks wait for the batch; each
further line is ``NUMBER<TAB>WIRE``: the phone number as digits and the lead as the provider's JSON. A row that is
not sent (told as invalid, or a duplicate inside the job) has an empty WIRE and the number as it was given. The
worker joins WIRE parts into a request body without decoding them. Version 2 is this one sealed (``vault.py``).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

VERSION = b"\x01"
LEVEL = 6
MOST_ROWS = 2000
"""Rows of a batch: leads to send, and as many again that are only told of."""


class PayloadUnreadableError(ValueError):
    """The stored batch is not of a version this worker knows."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one batch; ``numbers[i]`` and ``wires[i]`` belong to row ``start + i`` of the job.

    ``links`` is JSON of what Celery is to do when the task of the batch ends, or ''. It is kept here since it
    may hold leads: those of the tasks that come next.
    """

    start: int
    operation: str
    numbers: Sequence[str]
    wires: Sequence[str]
    links: str = ""


def pack(batch: Batch) -> bytes:
    """The batch as stored."""
    about: dict[str, object] = {"start": batch.start, "op": batch.operation}
    if batch.links:
        about["links"] = batch.links
    head = json.dumps(about)
    lines = [f"{number}\t{wire}" for number, wire in zip(batch.numbers, batch.wires, strict=True)]
    return VERSION + zlib.compress("\n".join([head, *lines]).encode(), LEVEL)


def unpack(stored: bytes) -> Batch:
    """The batch that was packed; raises PayloadUnreadableError."""
    if stored[:1] != VERSION:
        raise PayloadUnreadableError(f"payload version {stored[:1]!r}")
    try:
        head, line_end, lines = zlib.decompress(stored[1:]).decode().partition("\n")
        about = json.loads(head)
        # No NUMBER and no WIRE has a tab or a line's end in it: JSON writes them as \t and \n.
        parts = lines.replace("\n", "\t").split("\t") if line_end else []
        numbers, wires = parts[::2], parts[1::2]
        if len(numbers) != len(wires):
            raise PayloadUnreadableError("payload does not unpack")
        return Batch(int(about["start"]), str(about["op"]), numbers, wires, str(about.get("links", "")))
    except (zlib.error, UnicodeDecodeError, ValueError, KeyError) as exc:
        raise PayloadUnreadableError("payload does not unpack") from exc
