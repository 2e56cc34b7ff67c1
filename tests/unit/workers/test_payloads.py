"""The stored form of a batch."""

import zlib

import pytest
import zstandard

from leadlane.workers.payloads import Batch, PayloadUnreadableError, pack, unpack

NUMBERS, WIRES = ["491701", "x y", ""], ['{"phone_number":"491701","name":"A\\tB"}', "", ""]


@pytest.mark.parametrize("links", ["", '{"chain": ["\\n"]}'])
def test_a_batch_comes_out_as_it_went_in(links: str) -> None:
    batch = Batch.of(2000, "import", NUMBERS, WIRES, links)
    assert unpack(pack(batch)) == batch
    assert unpack(pack(batch)).wires == WIRES


@pytest.mark.parametrize("rows", [0, 1])
def test_no_row_and_an_empty_one_are_told_apart(rows: int) -> None:
    out = unpack(pack(Batch.of(0, "import", [""] * rows, [""] * rows)))
    assert (out.numbers, out.wires) == ([""] * rows, [""] * rows)


def test_what_an_older_fleet_stored_is_read() -> None:
    lines = [f"{number}\t{wire}" for number, wire in zip(NUMBERS, WIRES, strict=True)]
    stored = b"\x01" + zlib.compress("\n".join(['{"start": 2000, "op": "import"}', *lines]).encode())
    assert unpack(stored) == Batch.of(2000, "import", NUMBERS, WIRES)


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\x09" + zlib.compress(b"{}"),
        b"\x03",
        b"\x03junk",
        b"\x03" + zstandard.compress(b"{}"),
        b"\x03" + zstandard.compress(b'{"n": 2, "start": 0, "op": "import"}\n49\n{}'),
        b"\x03" + zstandard.compress(b'{"n": 1, "start": 0, "op": "import"}\n49'),
        b"\x03" + zstandard.compress(b'{"n": 0, "start": 0, "op": "import"}\n\n') + b"more",
        b"\x03\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + b"\x01\x00\x00",  # says that it has 2**64 bytes
        b"\x01" + zlib.compress(b"{}"),
    ],
)
def test_what_is_no_batch_is_told_as_such(stored: bytes) -> None:
    with pytest.raises(PayloadUnreadableError):
        unpack(stored)
