"""What the dialer's own log says about a run."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .workloads import Workload


def imports(records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The imports that are over, refused ones too, in the order they came."""
    over = [one for one in records if one["operation"] == "import" and one["ended"] is not None]
    return sorted(over, key=lambda one: float(one["started"]))


def window(calls: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """From the first request to the last answer, in the dialer's monotonic seconds."""
    return min(one["started"] for one in calls), max(one["ended"] for one in calls)


def idle_s(calls: Iterable[Mapping[str, Any]], gap_s: float) -> list[float]:
    """For each call but a campaign's first: seconds its campaign stood idle although its gap was over."""
    ends: dict[str, float] = {}
    found: list[float] = []
    for one in calls:
        campaign = one["campaign"]
        if campaign in ends:
            found.append(one["started"] - ends[campaign] - gap_s)
        ends[campaign] = one["ended"]
    return found


def most_at_once(calls: Iterable[Mapping[str, Any]]) -> int:
    """The most calls that ran at the same time in one campaign."""
    steps: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in calls:
        steps[one["campaign"]] += [(one["started"], 1), (one["ended"], -1)]
    most = 0
    for moments in steps.values():
        running = 0
        for _, step in sorted(moments):
            running += step
            most = max(most, running)
    return most


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed; None of nothing."""
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1] if values else None


def figures(workload: Workload, records: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A run's figures, as far as the log has them; times only if there was a call at all.

    Idle times are those between calls that the dialer let in: a refused one does not end the idleness.
    A ``call_p50_ms`` far above the workload's call time says that the machine had other things to do.
    """
    calls = imports(records)
    found: dict[str, Any] = {"ideal_s": round(workload.ideal_s, 3)}
    if calls:
        start, end = window(calls)
        let_in = [one for one in calls if one["status"] == 200]
        idle = idle_s(let_in, workload.gap_s)
        found |= {
            "time_s": round(end - start, 3),
            "ratio": round((end - start) / workload.ideal_s, 3),
            "idle_p50_ms": milliseconds(percentile(idle, 0.5)),
            "idle_p99_ms": milliseconds(percentile(idle, 0.99)),
            "call_p50_ms": milliseconds(percentile([one["ended"] - one["started"] for one in let_in], 0.5)),
        }
    return found | {
        "calls": len(calls),
        "fewest_calls": workload.fewest_calls,
        "leads": sum(one["stored"] for one in calls),
        "largest_call": max((one["size"] for one in calls), default=0),
        "most_at_once": most_at_once(calls),
    }


def milliseconds(seconds: float | None) -> float | None:
    """Rounded for a figure; None of nothing."""
    return None if seconds is None else round(seconds * 1000, 1)
