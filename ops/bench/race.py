"""One rival at one workload: with a Redis, a sandbox and workers of its own, from nothing to the end."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.sandbox.process import SandboxProcess

from .clock import CpuClock
from .figures import figures, imports, window
from .launch import end, launch
from .rivals import Rival, Site, rival
from .workloads import THREADS, WORKERS

if TYPE_CHECKING:
    import subprocess

    from .workloads import Workload

API_KEY = "sandbox-key"
LOOK_S = 0.1
PATIENCE_S = 60.0
RESULTS_WITHIN_S = 20.0


def race(name: str, workload: Workload) -> dict[str, Any]:
    """The figures of one run. A rival that does not get there has an ``error`` beside what it reached."""
    with (
        tempfile.TemporaryDirectory(prefix="leadlane-bench-") as folder,
        EmbeddedRedis() as server,
        SandboxProcess(
            audit_file=Path(folder) / "audit.jsonl",
            call_time_s=workload.call_s,
            gap_s=workload.gap_s,
            rejected_suffix="",
            campaigns=workload.campaigns,
        ) as sandbox,
    ):
        site = Site(server.url, sandbox.url, API_KEY, workload.gap_s, THREADS)
        line = {"workload": workload.name, "rival": name}
        try:
            return line | _run(rival(name), name, workload, site, sandbox, Path(folder))
        except Exception as exc:  # noqa: BLE001 - whatever stops a rival is its result
            return line | _seen(workload, sandbox) | {"error": f"{type(exc).__name__}: {exc}"}


class Failed(Exception):  # noqa: N818 - a result, told in the rival's line
    """The rival did not get there; the text says how far it came."""


def _run(
    runner: Rival, name: str, workload: Workload, site: Site, sandbox: SandboxProcess, folder: Path
) -> dict[str, Any]:
    began = time.monotonic()
    tasks = runner.enqueue(site, workload)
    enqueued_s = time.monotonic() - began
    server = _server_pid(site)
    logs = [folder / f"worker{n}.log" for n in range(WORKERS)]
    workers: list[subprocess.Popen[str]] = []
    try:
        for n, log in enumerate(logs):
            workers.append(launch(name, site, f"{name}{n}", log))
        with CpuClock([worker.pid for worker in workers]) as cpu, CpuClock([server]) as server_cpu:
            _wait(workload, folder / "audit.jsonl", workers, logs)
            time.sleep(2 * LOOK_S)  # so that the clocks have noted the last moment
        results = _results(runner, site, tasks)
    finally:
        end(workers)
    start, stop = window(imports(sandbox.audit()))
    return {
        **_seen(workload, sandbox),
        "worker_cpu_s": _rounded(cpu.between(start, stop)),
        "redis_cpu_s": _rounded(server_cpu.between(start, stop)),
        "batches": workload.campaigns * workload.batches,
        "batches_with_result": results,
        "enqueue_s": round(enqueued_s, 2),
    }


def _seen(workload: Workload, sandbox: SandboxProcess) -> dict[str, Any]:
    return {**figures(workload, sandbox.audit()), "breaches": sandbox.verify()["breaches"]}


def _wait(workload: Workload, audit: Path, workers: list[subprocess.Popen[str]], logs: list[Path]) -> None:
    """Return when the dialer has every lead. Reads the audit's file: asking the sandbox would slow it down.

    Raises Failed if a worker ends, or if no lead arrives for a minute.
    """
    stored, rest = 0, ""
    deadline = time.monotonic() + PATIENCE_S
    with audit.open() as file:
        while stored < workload.total:
            *lines, rest = (rest + file.read()).split("\n")
            arrived = sum(json.loads(line)["stored"] for line in lines)
            stored += arrived
            if arrived:
                deadline = time.monotonic() + PATIENCE_S
            so_far = f"{stored} of {workload.total} leads have arrived"
            if any(worker.poll() is not None for worker in workers):
                raise Failed(f"a worker ended, {so_far}; {_last_words(logs)}")
            if time.monotonic() > deadline:
                raise Failed(f"nothing for {PATIENCE_S:.0f} s, {so_far}; {_last_words(logs)}")
            time.sleep(LOOK_S)


def _results(runner: Rival, site: Site, tasks: list[str]) -> int:
    """How many tasks have their result, as soon as all have, or at last."""
    deadline = time.monotonic() + RESULTS_WITHIN_S
    while (found := runner.finished(site, tasks)) < len(tasks) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return found


def _server_pid(site: Site) -> int:
    with Redis.from_url(site.redis_url) as client:
        return int(client.info("server")["process_id"])


def _last_words(logs: list[Path]) -> str:
    """The end of what each worker said."""
    return " | ".join(log.read_text(errors="replace").strip()[-300:] for log in logs if log.exists())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 2)
