"""Runs a command and ends as it did, but fails if any process it started, however far down, is still alive.

Usage: leaves_nothing.py COMMAND [ARGUMENT...]

The kernel hands orphans to the nearest "subreaper" above them; this script is one, so whatever the command
leaves behind becomes its child (prctl(2), PR_SET_CHILD_SUBREAPER; Linux only, elsewhere nothing is checked).
"""
# ruff: noqa: INP001, S603, T201 - a script, not part of a package; it runs what it is told and says so

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 5.0  # for those that are just ending


def children() -> list[int]:
    """Ids of the processes that are our children now."""
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]


def reap() -> bool:
    """Collect children that have ended; whether any is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def end(pid: int) -> None:
    """Name a process that was left behind, and kill it."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return  # it has just ended by itself
    print(f"left behind: {pid} {line}", file=sys.stderr)


linux = sys.platform == "linux"
if linux:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
code = subprocess.call(sys.argv[1:])
deadline = time.monotonic() + GRACE_S
while linux and reap():
    if time.monotonic() > deadline:
        code = code or 1
        for pid in children():
            end(pid)
    time.sleep(0.05)
sys.exit(code)
