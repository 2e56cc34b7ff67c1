"""The stored form of a batch."""

import zlib

import pytest

from leadlane.workers.payloads import Batch, PayloadUnreadableError, pack, unpack

NUMBERS, WIRES = ["491701", "x y", ""], ['{"phone_number":"491701","name":"A\\tB"}', "", ""]


@pytest.mark.parametrize("links", ["", '{"chain": ["\\n"]}'])
def test_a_batch_comes_out_as_it_went_in(links: str) -> None:
    batch = Batch(2000, "import", NUMBERS, WIRES, links)
    assert unpack(pack(batch)) == batch


@pytest.mark.parametrize(
    "stored", [b"", b"\x02" + zlib.compress(b"{}"), b"\x01", b"\x01junk", b"\x01" + zlib.compress(b"{}")]
)
def test_what_is_no_batch_is_told_as_such(stored: bytes) -> None:
    with pytest.raises(PayloadUnreadableError):
        unpack(stored)
