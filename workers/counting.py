"""The counts of what waits, put right should they ever be wrong: a look at all lanes, one script for each."""

from __future__ import annotations

from typing import cast

from leadlane.workers.bounds import ALL
from leadlane.workers.lane_view import names_with_work
from leadlane.workers.lanes import Lanes


def recount(lanes: Lanes) -> int:
    """Count anew what waits in every lane that has work or is said to: how many were wrong."""
    accounts: set[bytes] = lanes.client.smembers(lanes.key("names"))  # type: ignore[assignment]
    counted = {
        field.decode()
        for account in accounts
        for field in cast("list[bytes]", lanes.client.hkeys(lanes.key("load", account.decode())))
    }
    found = (counted - {ALL}) | {lane for lane in names_with_work(lanes) if lane.startswith("leads/")}
    return sum(lanes.recount(lane) != 0 for lane in sorted(found))


def count_once(lanes: Lanes) -> None:
    """Count what waits if nobody ever has: it was stored by a version that did not."""
    if not lanes.client.hexists(lanes.key("clock"), "counted"):
        recount(lanes)
        lanes.client.hset(lanes.key("clock"), "counted", 1)
