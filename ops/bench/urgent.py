"""How long an urgent lead takes: from the producer's call to the dialer's socket, by one clock of one machine."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any, Final

from . import ours
from .figures import imports, milliseconds, percentile
from .ground import Ground, ground
from .rivals import rival
from .workloads import leads_from

if TYPE_CHECKING:
    from collections.abc import Iterator

TRIES: Final = 60
CAMPAIGNS: Final = 20
GAP_S: Final = 0.1
CALL_S: Final = 0.02
WAITING: Final = 1000
"""Batches in the full lane. Of 501 leads each, so that no two share a call and each size says what it is."""
WAITING_SIZE: Final = 501
BULK_SIZE: Final = 600
BULK: Final = 5
URGENT: Final = 20
"""Urgent leads that come while the lane is full."""


def on_idle_lanes(name: str) -> dict[str, Any]:
    """A rival brings one lead after another, each to a campaign at rest; the others have no word for urgent."""
    with ground(gap_s=GAP_S, call_s=CALL_S, campaigns=CAMPAIGNS) as place:
        send = _urgently(place) if name == "leadlane" else rival(name).producer(place.site)
        with place.at_work(name) as crew:
            for n in range(CAMPAIGNS):  # everything has been done once
                send(n + 1, leads_from(n, 1))
            place.until_stored(CAMPAIGNS, crew)
            asked: list[float] = []
            returned: list[float] = []
            for n in range(CAMPAIGNS, CAMPAIGNS + TRIES):
                time.sleep(random.uniform(0.05, 0.15))  # noqa: S311 - no secret
                lead = leads_from(n, 1)
                asked.append(time.monotonic())
                send(n % CAMPAIGNS + 1, lead)
                returned.append(time.monotonic())
                place.until_stored(n + 1, crew, look_s=0.005)
            calls = imports(place.sandbox.audit())[CAMPAIGNS:]
    took = [call["started"] - at for call, at in zip(calls, asked, strict=True)]
    return {
        "bench": "urgent",
        "rival": name,
        "tries": len(took),
        "p50_ms": milliseconds(percentile(took, 0.5)),
        "p99_ms": milliseconds(percentile(took, 0.99)),
        "most_ms": milliseconds(max(took)),
        "producer_p50_ms": milliseconds(
            percentile([b - a for a, b in zip(asked, returned, strict=True)], 0.5)
        ),
    }


def _urgently(place: Ground) -> Any:
    fleet = ours.fleet(place.site)
    campaigns = {n: fleet.campaign(ours.address(place.site, n)) for n in range(1, CAMPAIGNS + 1)}
    return lambda campaign, leads: campaigns[campaign].import_leads(leads, priority="urgent")


def on_a_full_lane() -> dict[str, Any]:
    """Urgent leads, and a few bulk batches, come to a lane in which a thousand batches wait."""
    with ground(gap_s=0.1, call_s=0.05, campaigns=1) as place:
        lane = ours.fleet(place.site).campaign(ours.address(place.site, 1))
        batch = leads_from(0, WAITING_SIZE)  # the dialer has them already after the first call: no matter
        for n in range(1, BULK + 1):
            lane.import_leads(leads_from(10_000 * n, BULK_SIZE), priority="bulk")
        for _ in range(WAITING):
            lane.import_leads(batch)
        ahead: list[int] = []
        with place.at_work("leadlane", workers=1) as crew:
            place.until_stored(WAITING_SIZE, crew)
            asked: list[float] = []
            for n in range(URGENT):
                time.sleep(random.uniform(0, 0.15))  # noqa: S311 - no secret
                job = lane.import_leads(leads_from(1000 + n, 1), priority="urgent")
                asked.append(time.monotonic())
                job.wait(timeout=60)
            place.until_stored(WAITING_SIZE + BULK * BULK_SIZE + URGENT, crew)
            calls = imports(place.sandbox.audit())
    urgent = [
        call for call in calls if call["size"] not in (WAITING_SIZE, BULK_SIZE)
    ]  # another one rides with it
    ahead = [
        sum(at < other["started"] < call["started"] for other in calls)
        for call, at in zip(urgent, asked, strict=True)
    ]
    bulk = [n for n, call in enumerate(calls) if call["size"] >= BULK_SIZE]
    return {
        "bench": "urgent-full",
        "rival": "leadlane",
        "waiting": WAITING,
        "urgent": len(urgent),
        "in_the_next_call": ahead.count(0),
        "most_calls_before": max(ahead),
        "calls_between_bulk": max(b - a for a, b in zip([-1, *bulk], bulk, strict=False)),
    }


def measure(rivals: list[str]) -> Iterator[dict[str, Any]]:
    """A line for each rival, and one of the full lane."""
    for name in rivals:
        yield on_idle_lanes(name)
    if "leadlane" in rivals:
        yield on_a_full_lane()
