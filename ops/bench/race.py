"""One rival at one workload, from nothing to the end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .clock import CpuClock
from .figures import figures, imports, window
from .ground import LOOK_S, Ground, ground
from .rivals import Rival, rival

if TYPE_CHECKING:
    from .workloads import Workload

RESULTS_WITHIN_S = 20.0


def race(name: str, workload: Workload) -> dict[str, Any]:
    """The figures of one run. A rival that does not get there has an ``error`` beside what it reached."""
    with ground(gap_s=workload.gap_s, call_s=workload.call_s, campaigns=workload.campaigns) as place:
        line = {"bench": workload.name, "rival": name}
        try:
            return line | _run(rival(name), name, workload, place)
        except Exception as exc:  # noqa: BLE001 - whatever stops a rival is its result
            return line | _seen(workload, place) | {"error": f"{type(exc).__name__}: {exc}"}


def _run(runner: Rival, name: str, workload: Workload, place: Ground) -> dict[str, Any]:
    send, tasks, enqueue_s = runner.producer(place.site), list[str](), 0.0
    for campaign, leads in workload.work():
        began = time.monotonic()
        tasks += send(campaign, leads)
        enqueue_s += time.monotonic() - began
    with place.at_work(name) as crew:
        with CpuClock(crew.pids) as cpu, CpuClock([place.server_pid]) as server_cpu:
            place.until_stored(workload.total, crew)
            time.sleep(2 * LOOK_S)  # so that the clocks have noted the last moment
        results = _results(runner, place, tasks)
    start, stop = window(imports(place.sandbox.audit()))
    return {
        **_seen(workload, place),
        "worker_cpu_s": _rounded(cpu.between(start, stop)),
        "redis_cpu_s": _rounded(server_cpu.between(start, stop)),
        "batches": workload.campaigns * workload.batches,
        "batches_with_result": results,
        "enqueue_s": round(enqueue_s, 2),
    }


def _seen(workload: Workload, place: Ground) -> dict[str, Any]:
    return {**figures(workload, place.sandbox.audit()), "breaches": place.sandbox.verify()["breaches"]}


def _results(runner: Rival, place: Ground, tasks: list[str]) -> int:
    """How many tasks have their result, as soon as all have, or at last."""
    deadline = time.monotonic() + RESULTS_WITHIN_S
    while (found := runner.finished(place.site, tasks)) < len(tasks) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return found


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
