"""Requests per key over sliding windows, counted strictly."""

from __future__ import annotations

from collections import defaultdict, deque
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leadlane.schemas.settings import Rate


class SlidingWindows:
    """At most a rate's `count` of requests in any stretch of its `period_s`, for each rate and key.

    Stricter than the usual fixed windows or buckets on purpose: who passes here passes anywhere. Refused
    requests do not count.
    """

    def __init__(self) -> None:
        self._admitted: defaultdict[str, deque[float]] = defaultdict(deque)
        self.refused = 0

    def wait_s(self, key: str, now: float, windows: Sequence[Rate]) -> float:
        """0.0 if the request is admitted, else the seconds until one would be."""
        if not windows:
            return 0.0
        admitted = self._admitted[key]
        longest_s = max(rate.period_s for rate in windows)
        while admitted and admitted[0] <= now - longest_s:
            admitted.popleft()
        # The request that must have left the window before one more fits is the count-th from the end.
        wait_s = max(
            (admitted[-rate.count] + rate.period_s - now for rate in windows if len(admitted) >= rate.count),
            default=0.0,
        )
        if wait_s > 0:
            self.refused += 1
            return wait_s
        admitted.append(now)
        return 0.0

    def room(self, key: str, now: float, windows: Sequence[Rate]) -> tuple[int, int, float] | None:
        """Limit, requests left and seconds until all are left again, of the rate with the least left."""
        admitted = self._admitted[key]
        found = []
        for rate in windows:
            inside = [
                moment for moment in islice(reversed(admitted), rate.count) if moment > now - rate.period_s
            ]
            reset_s = inside[0] + rate.period_s - now if inside else 0.0
            found.append((rate.count - len(inside), rate.count, reset_s))
        if not found:
            return None
        left, limit, reset_s = min(found)
        return limit, left, reset_s

    def forget(self) -> None:
        """Every window is empty again."""
        self._admitted.clear()
        self.refused = 0
