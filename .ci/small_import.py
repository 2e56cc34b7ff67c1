"""A small import from end to end with what an installed wheel brings along, and nothing else of this machine.

Usage: small_import.py, run by the Python of the environment to be tried.
"""
# ruff: noqa: INP001, S603 - a script, not part of a package; it starts the leadlane beside its own Python

import os
import subprocess
import sys
from pathlib import Path

LEADS = 50


def run_import(leads: int) -> int:
    """Exit code of the one command that starts server, sandbox and worker, imports, and reports.

    PATH is the environment's own, so the server can only be the one from the wheel.
    """
    programs = Path(sys.executable).parent
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LEADLANE_")}
    environment["PATH"] = str(programs)
    return subprocess.call([programs / "leadlane", "demo", "--leads", str(leads)], env=environment)


sys.exit(run_import(LEADS))
