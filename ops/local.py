"""Everything on one machine: server, workers, beat and Flower as our children, on free loopback ports."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from leadlane.ops.children import Child
from leadlane.ops.embedded import EmbeddedRedis, free_port
from leadlane.schemas.errors import Unreachable
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes

START_S = 30.0


class LocalFleet:
    """A fleet on this machine; nothing of it is left when the block ends, however it ends.

    Args:
        environ: settings of the fleet as environment variables; LEADLANE_REDIS_URL among them means that
            a server is there, else one is started.
        workers: worker processes, beside one for control.
        concurrency: threads of each.
    """

    def __init__(self, environ: Mapping[str, str], *, workers: int = 2, concurrency: int = 8) -> None:
        self.environ = dict(environ)
        self.redis_url = self.environ.get("LEADLANE_REDIS_URL", "")
        self.flower_url = ""
        self._workers = workers
        self._concurrency = concurrency
        self._stack = ExitStack()
        self._children: list[Child] = []
        self._logs = Path(tempfile.mkdtemp(prefix="leadlane-"))

    def __enter__(self) -> Self:
        try:
            self._stack.callback(shutil.rmtree, self._logs, ignore_errors=True)
            if not self.redis_url:
                self.redis_url = self._stack.enter_context(EmbeddedRedis()).url
            self.environ["LEADLANE_REDIS_URL"] = self.redis_url
            for i in range(1, self._workers + 1):
                self._start(f"worker-{i}", "worker", "--name", f"worker-{i}", *self._threads())
            self._start("control", "worker", "--control", "--name", "control", "--concurrency", "2")
            self._start("beat", "beat")
            port = free_port()
            self._start("flower", "flower", "--port", str(port))
            self.flower_url = f"http://127.0.0.1:{port}"
            self._await_workers(self._workers + 1)
            self._await_flower()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def check(self) -> None:
        """Raise Unreachable, with its last words, if one of the processes has ended."""
        for child in self._children:
            if not child.running:
                raise Unreachable(f"leadlane {' '.join(child.command)}", f"has ended:\n{child.last_words()}")

    def _threads(self) -> tuple[str, str]:
        return "--concurrency", str(self._concurrency)

    def _start(self, name: str, *command: str) -> None:
        child = Child(*command, log=self._logs / f"{name}.log", environ={**os.environ, **self.environ})
        self._children.append(self._stack.enter_context(child))

    def _await_workers(self, wanted: int) -> None:
        prefix = self.environ.get("LEADLANE_KEY_PREFIX", "leadlane")
        with connect(self.redis_url, prefix) as client:
            lanes = Lanes(client, prefix)
            deadline = time.monotonic() + START_S
            while lanes.client.zcard(lanes.key("workers")) < wanted:
                self.check()
                if time.monotonic() > deadline:
                    raise Unreachable(
                        "the workers", f"are not up after {START_S:.0f} s", "is the machine overloaded?"
                    )
                time.sleep(0.05)

    def _await_flower(self) -> None:
        """Flower is nice to have: one that is late is not waited for."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            self.check()
            try:
                with urllib.request.urlopen(f"{self.flower_url}/healthcheck", timeout=2):  # noqa: S310  our own
                    return
            except (urllib.error.URLError, TimeoutError, ConnectionError):
                time.sleep(0.1)
