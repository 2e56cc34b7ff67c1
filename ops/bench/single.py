"""Dialers that take one lead a call: how much of their rate is used."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from . import ours
from .clock import CpuClock
from .figures import imports, window
from .ground import ground
from .workloads import leads_from

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALERS: Final = ("dialnexa", "voicery")
RATE: Final = 40
"""Calls a second that the dialer takes; the one more is answered 429."""
CAMPAIGNS: Final = 4
"""A campaign has a few calls at once; together they can fill the rate."""
LEADS: Final = 320
"""In all."""
CALL_S: Final = 0.1


def measure() -> Iterator[dict[str, Any]]:
    """A line for each dialer: leads of a few campaigns, two workers."""
    for dialer in DIALERS:
        keys = {f"{dialer}_keys": {"sandbox-key": [f"{RATE}/s"]}}
        with ground(
            gap_s=0.0, call_s=CALL_S, dialer=dialer, rate=f"{RATE}/s", campaigns=CAMPAIGNS, **keys
        ) as place:
            send, each = ours.producer(place.site), LEADS // CAMPAIGNS
            for n in range(CAMPAIGNS):
                send(n + 1, leads_from(n * each, each))
            with place.at_work("leadlane") as crew, CpuClock(crew.pids) as cpu:
                place.until_stored(LEADS, crew)
                time.sleep(0.2)
            calls = imports(place.sandbox.audit())
        began, ended = window(calls)
        spent = cpu.between(began, ended)
        yield {
            "bench": "single",
            "dialer": dialer,
            "leads": LEADS,
            "rate_per_s": RATE,
            "ideal_s": round((LEADS - 1) / RATE + CALL_S, 2),
            "time_s": round(ended - began, 2),
            "leads_per_s": round(LEADS / (ended - began), 1),
            "refused": sum(call["status"] == 429 for call in calls),
            "worker_cpu_s": None if spent is None else round(spent, 2),
        }
