import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

NOWHERE = "redis://127.0.0.1:1/0"
"""A port on which nobody listens."""


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and no setting but a Redis that does not answer."""
    for name in list(os.environ):
        if name.startswith("LEADLANE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LEADLANE_REDIS_URL", NOWHERE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()
