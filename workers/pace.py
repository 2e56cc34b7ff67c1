"""Pace: how long calls take one after another, in one campaign and under what campaigns share. Arithmetic only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from leadlane.schemas.rates import Rate

HEADROOM: Final = 1.06
"""What machines and networks shift calls against each other: some 60 ms in a second of a rate."""
UNKNOWN_CALL_S: Final = 1.0
"""How long a call is taken to last before one was measured."""
BYTES_PER_LEAD: Final = 42
"""Of Redis, for a lead in a batch of 1000; measured with leads of 205 bytes as JSON (65 in batches of 50)."""
CONCURRENCY: Final = 20
"""Calls at once of one worker process, unless it is told otherwise."""

Bound = Literal["campaign", "rate", "workers"]


def burst(rate: Rate) -> int:
    """Calls of a rate that may begin at once: one in 25."""
    return max(rate.count // 25, 1)


def spacing_s(rate: Rate) -> float:
    """Seconds from one call to the next in a steady flow under the rate."""
    return HEADROOM * rate.period_s / max(rate.count - burst(rate) + (burst(rate) == 1), 1)


@dataclass(frozen=True, slots=True)
class Pace:
    """How a dialer is called.

    A call takes ``call_s`` and is followed by ``gap_s`` of rest in its campaign; where it carries one lead, ``lines``
    of a campaign go at once. Calls of the account begin ``spacing_s`` after one another at least.
    """

    call_s: float = UNKNOWN_CALL_S
    gap_s: float = 0.0
    leads_per_call: int = 1000
    lines: int = 1
    spacing_s: float = 0.0

    def calls(self, leads: float) -> int:
        """The fewest calls that hold so many leads of one campaign."""
        return math.ceil(leads / self.leads_per_call)

    def campaign_s(self, calls: int) -> float:
        """Seconds for so many calls in one campaign, if nothing else held them up."""
        if not calls:
            return 0.0
        return calls * self.call_s / min(self.lines, calls) + (calls - 1) * self.gap_s

    def rate_s(self, calls: float) -> float:
        """Seconds for so many calls of the account, from the first request to the last answer."""
        return (calls - 1) * self.spacing_s + self.call_s if calls else 0.0

    def worked_s(self, calls: float) -> float:
        """Seconds that so many calls occupy a worker's slot, one after another."""
        return calls * self.call_s / self.lines


def bound(campaign_s: float, rate_s: float, workers_s: float) -> tuple[float, Bound]:
    """The longest of three times that run beside each other, and which it is."""
    longest: Bound = "campaign"
    seconds = campaign_s
    if rate_s > seconds:
        longest, seconds = "rate", rate_s
    if workers_s > seconds:
        longest, seconds = "workers", workers_s
    return seconds, longest


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job takes: ``seconds`` from the first request to the last answer, and what makes it that long.

    ``slots`` and ``workers`` (of ``concurrency`` calls at once) are the fewest with which it takes no longer than
    campaigns and rate demand, or what was given. ``redis_bytes`` are its leads while they wait.
    """

    leads: int
    campaigns: int
    calls: int
    seconds: float
    bound_by: Bound
    slots: int
    workers: int
    concurrency: int
    redis_bytes: int


def plan(
    pace: Pace, *, leads: int, campaigns: int, workers: int | None = None, concurrency: int = CONCURRENCY
) -> Plan:
    """What it takes to bring so many leads, spread evenly, into so many campaigns of one account."""
    campaigns = min(campaigns, leads)
    more = leads % campaigns
    longest = pace.calls(math.ceil(leads / campaigns))
    calls = more * longest + (campaigns - more) * pace.calls(leads // campaigns)
    campaign_s, rate_s, worked_s = pace.campaign_s(longest), pace.rate_s(calls), pace.worked_s(calls)
    needed = min(math.ceil(worked_s / max(campaign_s, rate_s) - 1e-9), campaigns)
    slots = max(needed, 1) if workers is None else workers * concurrency
    seconds, by = bound(campaign_s, rate_s, worked_s / slots)
    return Plan(
        leads=leads,
        campaigns=campaigns,
        calls=calls,
        seconds=seconds,
        bound_by=by,
        slots=slots,
        workers=math.ceil(slots / concurrency) if workers is None else workers,
        concurrency=concurrency,
        redis_bytes=leads * BYTES_PER_LEAD,
    )
