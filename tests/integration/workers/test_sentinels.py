"""Redis behind sentinels: what connects follows the primary, greets each new one, and says what is wrong."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from redbeat.schedulers import RedBeatSchedulerEntry, get_redis
from typer.testing import CliRunner

from leadlane.ops import beat
from leadlane.ops.doctor import Check, examine
from leadlane.ops.flower import FleetFlower
from leadlane.ops.main import app as command_line
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.connection import connect, reach
from tests.sentinels import MASTER, Watched

PASSWORD = "p@ss;word"


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with Watched(tmp_path_factory.mktemp("sentinels"), sentinel_password=PASSWORD) as watched:
        deadline = time.monotonic() + 60
        while not watched.ready():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield watched


@pytest.fixture
def settings(watched: Watched, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", watched.url)
    monkeypatch.setenv("LEADLANE_SENTINEL_MASTER", MASTER)
    monkeypatch.setenv("LEADLANE_SENTINEL_PASSWORD", "env:OF_SENTINELS")
    monkeypatch.setenv("OF_SENTINELS", PASSWORD)
    return load_settings()


def found(checks: list[Check], what: str) -> list[Check]:
    return [check for check in checks if check.check == what]


def test_the_doctor_says_whether_the_primary_can_be_replaced(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = list(examine(calls=False))
    assert [(check.level, check.found) for check in found(checks, "redis: sentinels")] == [
        ("ok", f"3 know {MASTER}")
    ]
    (alone,) = found(checks, "redis: replicas")
    assert (alone.level, alone.remedy.partition(",")[0]) == ("finding", "set min-replicas-to-write 1")
    reach(settings, settings.redis_url).config_set("min-replicas-to-write", 1)
    (followed,) = found(list(examine(calls=False)), "redis: replicas")
    assert (followed.level, followed.found) == ("ok", "1 follow, none is written without")
    reach(settings, settings.redis_url).config_set("min-replicas-to-write", 0)

    monkeypatch.setenv("LEADLANE_SENTINEL_MASTER", "other")
    checks = list(examine(calls=False))
    assert found(checks, "redis")[0].level == "unreachable"
    assert "know no other" in found(checks, "redis: sentinels")[0].found
    monkeypatch.setenv("OF_SENTINELS", "wrong")
    (silent,) = found(list(examine(calls=False)), "redis: sentinels")
    assert silent.level == "unreachable"
    assert "sentinel_password" in silent.remedy
    assert PASSWORD not in repr(checks)


def test_a_wrong_name_of_the_primary_ends_with_3_and_a_word(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADLANE_SENTINEL_MASTER", "other")
    ended = CliRunner().invoke(command_line, ["lane", "list"])
    assert ended.exit_code == 3, ended.output
    assert "sentinel_master" in ended.stderr


def test_celery_publishes_and_stores_there(settings: Settings) -> None:
    app = make_app(settings)
    client = reach(settings, settings.redis_url)
    app.send_task("x", task_id="t", queue="elsewhere")
    assert client.llen("elsewhere") == 1
    app.backend.store_result("t", {"n": 1}, "SUCCESS")
    assert app.AsyncResult("t").result == {"n": 1}


def test_beat_keeps_its_schedule_there(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []

    class Beat:
        def __init__(self, app: Any) -> None:
            self.app = app

        def run(self) -> None:
            begun.append(self.app)

    def made(given: Settings) -> Any:
        app = make_app(given)
        app.Beat = lambda **_: Beat(app)  # type: ignore[method-assign,assignment]
        return app

    monkeypatch.setattr(beat, "make_app", made)
    beat.run(settings)
    entry = RedBeatSchedulerEntry("once", "leadlane.maintenance.sweep", 60.0, app=begun[0])
    entry.save()
    assert get_redis(begun[0]).zscore("leadlane:beat::schedule", "leadlane:beat:once")
    assert reach(settings, settings.redis_url).exists("leadlane:beat:once")


def test_flower_asks_one_sentinel_for_its_queues(settings: Settings, watched: Watched) -> None:
    flower = FleetFlower(capp=make_app(settings))
    assert flower.broker_uri_with_password == watched.url.partition(";")[0] + "/0"


def test_a_primary_without_its_replicas_is_given_up(settings: Settings) -> None:
    """It may have been replaced; the connection asks the sentinels again instead of staying."""
    client = connect(settings)
    client.config_set("min-replicas-to-write", 2)
    (held,) = client.connection_pool._available_connections  # type: ignore[attr-defined]
    with pytest.raises(redis.ConnectionError, match="cannot serve now"):
        client.set("x", 1)
    assert held._sock is None
    client.config_set("min-replicas-to-write", 0)
    assert client.set("x", 1)


def test_a_new_primary_is_followed_and_greeted_before_anything_else(
    settings: Settings, watched: Watched, until: Callable[..., None]
) -> None:
    client = connect(settings)
    client.hset("leadlane:clock", "lost", 1000)
    old = client.info("server")["tcp_port"]

    def follow() -> bool:
        try:
            client.set("who", "me")
        except redis.RedisError:
            return False
        return client.info("server")["tcp_port"] != old

    watched.sentinels[0].client.sentinel_failover(MASTER)  # type: ignore[attr-defined]
    until(follow, within_s=60)
    assert client.hget("leadlane:clock", "run_id").decode() == client.info("server")["run_id"]  # type: ignore[union-attr]
    assert int(client.hget("leadlane:clock", "quiet") or 0) > 0
    assert client.get("who") == b"me"
