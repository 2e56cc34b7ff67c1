"""A worker that stands still for a minute makes no call without its lease: fifty times, by the sandbox's audit."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_fifty_workers_that_stood_still_for_a_minute_make_no_call_without_a_lease(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "leadlane.ops.chaos", "--freezes", "50", "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=1100,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert re.search(r"freezes +of workers +50\n", ended.stdout), ended.stdout
    for row in ("turns they held", "with a call in the air", "gone on with by others meanwhile"):
        assert re.search(rf"{row} +[1-9]", ended.stdout), ended.stdout
