"""Bounds: how many leads of an account wait, in all and in one campaign, and how many may.

What waits is counted by the lane scripts, batch by batch: from when a batch is stored until it is done or dead, in its
turn too. The limits are the account's settings, published with its facts.
"""

from __future__ import annotations

from dataclasses import dataclass

from leadlane.workers.lanes import Lanes

ALL = "all"
"""The field of ``P:load:<account>`` that has the sum of its lanes."""


@dataclass(frozen=True, slots=True)
class Full:
    """A limit that leaves no room, of the ``campaign`` or of the ``account``: leads that wait, and how many may."""

    of: str
    waiting: int
    limit: int


def full(lanes: Lanes, account: str, lane: str, size: int) -> Full | None:
    """The limit that so many leads more would break; None if there is room for them (as in ``submit.lua``)."""
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.hmget(lanes.key("acct", account), "max_waiting", "max_waiting_per_campaign")
        pipe.hmget(lanes.key("load", account), ALL, lane)
        limits, waiting = pipe.execute()
    for of, limit, has in (("campaign", limits[1], waiting[1]), ("account", limits[0], waiting[0])):
        if limit is not None and 0 < int(has or 0) > int(limit) - size:
            return Full(of, int(has), int(limit))
    return None
