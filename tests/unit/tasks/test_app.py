"""The app that Celery's own command line finds."""

import subprocess
import sys
from pathlib import Path

import pytest

from leadlane import tasks


def test_the_package_has_the_app_that_celerys_command_line_looks_for(tmp_path: Path) -> None:
    (tmp_path / "leadlane.toml").write_text('redis_url = "redis://elsewhere:1/0"')
    program = (
        "from celery.app.utils import find_app; app = find_app('leadlane.tasks'); "
        "print(app.conf.broker_url, 'leadlane.leads.import' in app.tasks)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "redis://elsewhere:1/0 True"


def test_the_package_has_nothing_else_to_give() -> None:
    with pytest.raises(AttributeError):
        tasks.application  # noqa: B018
