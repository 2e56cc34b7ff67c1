"""Ids that dialers gave to leads, by phone number: some name a lead by nothing else.

Kept for 90 days in one hash per account, campaign and week. The number is stored encrypted: whoever reads
Redis without the key of the workers learns no number from it.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator

from leadlane.workers.hiding import Hider
from leadlane.workers.lanes import Lanes

WEEK_S = 7 * 86_400
WEEKS = 13


class LeadIds:
    """The ids of the leads that this fleet brought to a dialer."""

    def __init__(self, lanes: Lanes, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._lanes = lanes
        self._hidden = Hider(key).hidden
        self._clock = clock

    def keep(self, account: str, campaign: str, number: str, lead_id: str, batch: str = "") -> None:
        """Remember the id of a number, and the batch that brought it, for 90 days."""
        name = next(self._names(account, campaign))
        with self._lanes.client.pipeline(transaction=False) as pipe:
            pipe.hset(name, self._hidden(number), f"{lead_id}\n{_mark(batch)}")
            pipe.expire(name, (WEEKS + 1) * WEEK_S)
            pipe.execute()

    def find(self, account: str, campaign: str, number: str, batch: str = "") -> str:
        """The newest id of a number, or of the one that this batch brought; '' if none is known."""
        with self._lanes.client.pipeline(transaction=False) as pipe:
            for name in self._names(account, campaign):
                pipe.hget(name, self._hidden(number))
            kept = [found.decode().partition("\n") for found in pipe.execute() if found]
        return next((lead_id for lead_id, _, by in kept if not batch or by == _mark(batch)), "")

    def _names(self, account: str, campaign: str) -> Iterator[str]:
        """The hashes to look into, newest first."""
        week = int(self._clock() // WEEK_S)
        for back in range(WEEKS + 1):
            yield self._lanes.key("ids", account, campaign, str(week - back))


def _mark(batch: str) -> str:
    return hashlib.blake2b(batch.encode(), digest_size=4).hexdigest()
