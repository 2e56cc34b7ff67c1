"""The chaos suite in little: `make chaos` for half a minute."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SHORT = ("--timeout", "2", "--lost-call", "3", "--lease", "3", "--workers", "3", "--threads", "4")


@pytest.mark.timeout(400)
def test_half_a_minute_of_chaos_loses_and_doubles_nothing_and_breaks_no_rule(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "leadlane.ops.chaos", "--minutes", "0.5", *SHORT, "--folder", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for row in ("kills +of workers", "of Redis, kill -9", "of producers", "created"):
        assert re.search(rf"{row} +[1-9]", ended.stdout), ended.stdout
