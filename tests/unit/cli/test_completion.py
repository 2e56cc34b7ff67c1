"""The shell completes commands and options."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("leadlane la", {"lane"}), ("leadlane lane ho", {"hold"}), ("leadlane import --camp", {"--campaign"})],
)
def test_bash_completes_what_was_begun(typed: str, completed: set[str]) -> None:
    asked = {
        "_LEADLANE_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    ended = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'leadlane'; from leadlane.ops.main import main; main()",
        ],
        env=os.environ | asked,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert set(ended.stdout.split()) == completed
