"""Requests per key over sliding windows, counted strictly."""

from __future__ import annotations

from collections import defaultdict, deque
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
            return wait_s
        admitted.append(now)
        return 0.0

    def forget(self) -> None:
        """Every window is empty again."""
        self._admitted.clear()
