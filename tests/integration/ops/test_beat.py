"""Beat as a process: the sweep comes, once, however many beats there are."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redbeat.schedulers import RedBeatSchedulerEntry, ensure_conf, get_redis
from redis import Redis

from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app

PROGRAM = """
import sys
from leadlane.ops import beat
from leadlane.schemas.settings import Settings
beat.run(Settings(redis_url=sys.argv[1]))
"""


@pytest.fixture
def start_beat(redis_url: str, tmp_path: Path) -> Iterator[Callable[[str], Any]]:
    """Starts a beat under a name; its log is in the file of that name."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        with (tmp_path / name).open("wb") as log:
            command = [sys.executable, "-c", PROGRAM, redis_url]
            started.append(subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log))
        return started[-1]

    yield start
    for beat in started:
        beat.kill()
        beat.wait()


def make_due(redis_url: str, until: Callable[..., None]) -> None:
    """The sweep is overdue, as it is ten minutes after the last one."""
    app = make_app(Settings(redis_url=redis_url))
    ensure_conf(app)
    until(lambda: get_redis(app).exists("leadlane:beat:sweep"))
    entry = RedBeatSchedulerEntry.from_key("leadlane:beat:sweep", app=app)
    entry.reschedule(last_run_at=datetime.now(UTC) - timedelta(minutes=11))


def test_the_sweep_is_sent_once_by_two_beats_and_again_by_none_before_its_time(
    redis_url: str, start_beat: Callable[[str], Any], until: Callable[..., None], tmp_path: Path
) -> None:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        first = start_beat("first")
        make_due(redis_url, until)
        until(lambda: redis.llen("control"), what="no sweep came")
        second = start_beat("second")
        until(lambda: "beat: Starting" in (tmp_path / "second").read_text())
        first.terminate()
        assert first.wait(20) == 0
        until(lambda: "Acquired lock" in (tmp_path / "second").read_text())
        second.terminate()
        assert second.wait(20) == 0
        assert "Releasing lock" in (tmp_path / "second").read_text()
        (message,) = redis.lrange("control", 0, -1)
        assert json.loads(message)["headers"]["task"] == "leadlane.maintenance.sweep"
        assert not redis.exists("leadlane:beat::lock")


def test_it_needs_no_file_of_its_own(
    redis_url: str, start_beat: Callable[[str], Any], until: Callable[..., None], tmp_path: Path
) -> None:
    with Redis.from_url(redis_url) as redis:
        start_beat("log")
        make_due(redis_url, until)
        until(lambda: redis.llen("control"))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
