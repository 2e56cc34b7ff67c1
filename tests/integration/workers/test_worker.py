"""A real worker: what it takes first, which pools it refuses, and how it lives through outages."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import QUEUES, make_app

Starter = Callable[..., Any]
Until = Callable[..., None]


@pytest.fixture
def app(redis_url: str) -> Celery:
    return make_app(Settings(redis_url=redis_url))


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis[str]"]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def running(folder: Path) -> int:
    """How many runs of probe.hold have begun."""
    return len(list(folder.glob("running-*")))


@pytest.mark.parametrize("named", [",".join(QUEUES), ",".join(reversed(QUEUES))])
def test_queues_are_served_in_strict_order(
    app: Celery, redis: "Redis[str]", start_worker: Starter, until: Until, named: str
) -> None:
    for queue in reversed(QUEUES):
        for _ in range(3):
            app.send_task("probe.note", args=("order", queue), queue=queue)
    start_worker("-c", "1", "-Q", named)
    until(lambda: redis.llen("order") == 12)
    assert redis.lrange("order", 0, -1) == [queue for queue in QUEUES for _ in range(3)]


def test_a_worker_takes_no_more_than_it_can_run(
    app: Celery, redis: "Redis[str]", start_worker: Starter, until: Until, tmp_path: Path
) -> None:
    for _ in range(5):
        app.send_task("probe.hold", args=(str(tmp_path),))
    start_worker("-c", "2")
    until(lambda: running(tmp_path) == 2)
    assert redis.llen("celery") == 3
    (tmp_path / "open").touch()
    until(lambda: running(tmp_path) == 5)


@pytest.mark.parametrize("pool", ["processes", "gevent"])
def test_a_pool_that_lanes_cannot_live_in_is_refused(redis_url: str, pool: str) -> None:
    # Without the refusal Celery itself would say no to gevent only where it is not installed.
    program = (
        "import celery.concurrency as c; c.ALIASES['gevent'] = 'celery.concurrency.prefork:TaskPool';"
        f"import probe; probe.app.Worker(pool_cls={pool!r})"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parent,
        env={**os.environ, "LEADLANE_TEST_REDIS": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("leadlane:")]
    assert "pool is refused" in line
    assert "Traceback" not in ended.stderr


def test_the_command_line_refuses_it_too(redis_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "probe", "worker", "-P", "processes"],
        cwd=Path(__file__).parent,
        env={**os.environ, "LEADLANE_TEST_REDIS": redis_url},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "leadlane: the prefork pool is refused" in ended.stderr


def test_a_worker_asked_to_end_ends(app: Celery, start_worker: Starter) -> None:
    worker = start_worker("-c", "2").ready()
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(20) == 0


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_a_busy_worker_lives_on_when_redis_is_killed_and_comes_back(
    app: Celery,
    redis: "Redis[str]",
    redis_server: EmbeddedRedis,
    start_worker: Starter,
    until: Until,
    tmp_path: Path,
    how: str,
) -> None:
    """With LEADLANE_TEST_BARE in its environment, celery 5.7.0 dies here: keep the guard until it does not."""
    worker = start_worker("-c", "6").ready()
    held = [app.send_task("probe.hold", args=(str(tmp_path),)) for _ in range(2)]
    until(lambda: running(tmp_path) == 2)
    getattr(redis_server, how)()
    until(lambda: "Trying again in" in worker.log)
    redis_server.start()
    assert app.send_task("probe.pid").get(timeout=30) == worker.process.pid
    (tmp_path / "open").touch()
    assert [result.get(timeout=30) for result in held] == ["let go", "let go"]
    until(lambda: not redis.hlen("unacked") and not redis.llen("celery"))
    assert worker.alive
    assert "Unrecoverable" not in worker.log


def test_a_result_that_cannot_be_written_is_written_when_redis_is_back(
    app: Celery, redis_server: EmbeddedRedis, start_worker: Starter, until: Until, tmp_path: Path
) -> None:
    with EmbeddedRedis() as results:
        worker = start_worker("-c", "2", LEADLANE_TEST_RESULTS=results.url).ready()
        mine = make_app(Settings(redis_url=redis_server.url, result_url=results.url))
        held = mine.send_task("probe.hold", args=(str(tmp_path),))
        until(lambda: running(tmp_path) == 1)
        results.kill()
        (tmp_path / "open").touch()
        until(lambda: "Failed operation _store_result" in worker.log)
        results.start()
        assert held.get(timeout=30) == "let go"
        assert running(tmp_path) == 1


def test_a_result_that_could_not_be_written_for_long_is_no_failure_its_message_comes_again(
    app: Celery,
    redis: "Redis[str]",
    redis_server: EmbeddedRedis,
    start_worker: Starter,
    until: Until,
    tmp_path: Path,
) -> None:
    with EmbeddedRedis() as results:
        worker = start_worker(
            "-c", "1", LEADLANE_TEST_RESULTS=results.url, LEADLANE_TEST_IMPATIENT="yes"
        ).ready()
        mine = make_app(Settings(redis_url=redis_server.url, result_url=results.url))
        held = mine.send_task("probe.hold", args=(str(tmp_path),))
        until(lambda: running(tmp_path) == 1)
        results.kill()
        (tmp_path / "open").touch()
        until(lambda: running(tmp_path) >= 2 or worker.log.count("Exception raised outside body") >= 2)
        results.start()
        assert held.get(timeout=30) == "let go"
        until(lambda: not redis.hlen("unacked") and not redis.llen("celery"))
        assert mine.send_task("probe.pid").get(timeout=20) == worker.process.pid  # the slot is free
