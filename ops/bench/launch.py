"""A worker process of a rival, which ends with the process that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

from .rivals import Site, rival

if TYPE_CHECKING:
    from pathlib import Path

ENDS_WITHIN_S = 15.0


def launch(name: str, site: Site, worker: str, log: Path) -> subprocess.Popen[str]:
    """Start a worker of the rival ``name``; what it says goes to ``log``."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", "from leadlane.ops.bench.launch import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            text=True,
            start_new_session=True,  # so that Ctrl-C ends the owner, and the owner ends it
        )
    assert process.stdin  # noqa: S101 - a pipe
    process.stdin.write(json.dumps([name, worker, asdict(site)]) + "\n")
    process.stdin.flush()
    return process


def end(processes: list[subprocess.Popen[str]]) -> None:
    """Ask them to end, wait, and kill those that do not, with all they have started."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            pass  # killed below
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # nothing is left of it
        process.wait()
        if process.stdin:
            process.stdin.close()


def serve() -> None:
    """The worker's side."""
    name, worker, site = json.loads(sys.stdin.readline())

    def end_with_owner() -> None:
        sys.stdin.read()
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=end_with_owner, daemon=True).start()
    rival(name).work(Site(**site), worker)
