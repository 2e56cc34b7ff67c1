"""Flower as a process, before a server with a password."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app

PASSWORD = "s3cret-of-the-server"
DIGITS = "4917012345678"
PROGRAM = """
import sys
from leadlane.ops import flower
from leadlane.schemas.settings import Settings
flower.run(Settings(redis_url=sys.argv[1]), port=0, on_ready=lambda url: print(url, flush=True))
"""


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A server with a password; workers started by `start_worker` use it too."""
    with EmbeddedRedis(password=PASSWORD) as server:
        yield server.url


@pytest.fixture
def flower(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a running Flower."""
    monkeypatch.setenv("FLOWER_UNAUTHENTICATED_API", "true")
    command = [sys.executable, "-c", PROGRAM, redis_url]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout
    yield process.stdout.readline().strip()
    process.terminate()
    assert process.wait(20) == 0


def get(url: str) -> str:
    with urlopen(url, timeout=20) as answer:
        return answer.read().decode()


def test_it_shows_tasks_with_counts_and_neither_numbers_nor_passwords(
    redis_url: str, flower: str, start_worker: Callable[..., Any], until: Callable[..., None]
) -> None:
    worker = start_worker("-c", "2", "-n", "one@host").ready()
    app = make_app(Settings(redis_url=redis_url))
    with Redis.from_url(redis_url) as redis:
        until(lambda: redis.pubsub_numpat(), what="Flower does not listen")
    leads = [{"phone_number": f"+{DIGITS}"}]
    done = app.send_task("leadlane.leads.import", kwargs={"campaign": "voiso/3", "leads": leads})
    assert done.get(timeout=20) == {"leads": 1}

    def tasks() -> dict[str, Any]:
        return json.loads(get(f"{flower}/api/tasks"))

    until(lambda: tasks().get(done.id, {}).get("state") == "SUCCESS")
    task = tasks()[done.id]
    assert (task["kwargs"], task["result"]) == ("{campaign=voiso/3, leads=<1 leads>}", "{'leads': 1}")

    until(lambda: "redbeat_redis_url" in get(f"{flower}/worker/one@host"))
    pages = [
        get(f"{flower}{page}")
        for page in (
            "/",
            "/tasks",
            f"/task/{done.id}",
            "/broker",
            "/worker/one@host",
            "/api/workers?refresh=1",
            f"/api/task/info/{done.id}",
            f"/api/task/result/{done.id}",
            "/metrics",
        )
    ]
    assert "worker_disable_prefetch" in "".join(pages)
    for page in [*pages, worker.log, worker.screen]:
        assert PASSWORD not in page
        assert DIGITS not in page


def test_it_only_looks_unless_told_otherwise(flower: str) -> None:
    order = Request(f"{flower}/api/task/async-apply/leadlane.leads.import", data=b"{}", method="POST")
    with pytest.raises(HTTPError) as refused:
        urlopen(order, timeout=20)
    assert refused.value.code == 403
    assert get(f"{flower}/healthcheck") == "OK"
