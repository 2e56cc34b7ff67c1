"""Real Celery workers, as processes of their own."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app

PROBE = Path(__file__).parent / "workers"
_QUICKLY = ("--without-mingle", "--without-gossip", "-l", "INFO")


def until(true: Callable[[], object], *, within_s: float = 30.0, what: str = "") -> None:
    """Returns as soon as it is true."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, what or f"never true: {true}"
        time.sleep(0.02)


class Worker:
    """A worker that runs the tasks of `workers/probe.py`."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.log_file, self.screen_file = folder / "worker.log", folder / "worker.screen"
        options = ("-f", str(self.log_file), *options)
        with self.screen_file.open("ab") as screen:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "probe", "worker", *_QUICKLY, *options],
                cwd=PROBE,
                env={**os.environ, **environment},
                stdout=screen,
                stderr=screen,
            )

    @property
    def log(self) -> str:
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def screen(self) -> str:
        return self.screen_file.read_text()

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def ready(self) -> "Worker":
        until(lambda: " ready." in self.log or not self.alive, what="the worker did not come up")
        assert self.alive, self.screen + self.log
        return self

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start_worker(tmp_path: Path, redis_url: str) -> Iterator[Callable[..., Worker]]:
    """Starts a worker on the test's Redis with these options; all are stopped in the end."""
    started: list[Worker] = []

    def start(*options: str, **environment: str) -> Worker:
        folder = tmp_path / f"worker-{len(started)}"
        folder.mkdir()
        started.append(Worker(folder, *options, **{"LEADLANE_TEST_REDIS": redis_url, **environment}))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., None]:
    """Waits until something is true."""
    return until


@pytest.fixture
def events(redis_url: str) -> Iterator[list[dict[str, Any]]]:
    """All events of the fleet from now on."""
    app = make_app(Settings(redis_url=redis_url))
    seen: list[dict[str, Any]] = []
    listening = threading.Event()
    with app.connection_for_read() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": seen.append})
        receiver.on_consume_ready = lambda *_, **__: listening.set()
        thread = threading.Thread(target=receiver.capture)
        thread.start()
        assert listening.wait(10)
        yield seen
        receiver.should_stop = True
        thread.join()
