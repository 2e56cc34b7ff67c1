"""Batches aboard a turn, made from a word or two."""

import json

from leadlane.workers import payloads
from leadlane.workers.lanes import Row
from leadlane.workers.ledger import Aboard
from leadlane.workers.providers import PROVIDERS


def aboard(numbers: list[str], codes: str, **fields: str) -> Aboard:
    """An import of these numbers, about to send all that have no outcome."""
    stored = payloads.pack(
        payloads.Batch.of(0, "import", numbers, [json.dumps({"phone_number": number}) for number in numbers])
    )
    known = {"op": "import", "acct": "acme", "campaign": "1", "job": "j", "n": str(len(numbers)), **fields}
    one = Aboard.of(Row("t1", codes, stored, known))
    one.choose(PROVIDERS["voiso"].operations["import"])
    return one
