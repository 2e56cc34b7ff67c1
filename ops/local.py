"""Everything on one machine: server, workers, beat and Flower as our children, on loopback ports."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from leadlane.ops.children import STOP_S, Child
from leadlane.ops.embedded import EmbeddedRedis, free_port
from leadlane.schemas.errors import Unreachable
from leadlane.schemas.settings import load_settings
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes

START_S = 30.0
LOOK_S = 0.1


def sandbox_account(name: str, url: str, **settings: str) -> dict[str, str]:
    """An account at a sandbox as environment variables, its key among them."""
    account, key = f"LEADLANE_ACCOUNTS__{name.upper()}", f"LEADLANE_{name.upper()}_KEY"
    given = {"provider": "voiso", "base_url": url, "api_key": f"env:{key}", "default_region": "US"} | settings
    return {key: "sandbox-key"} | {f"{account}__{part.upper()}": value for part, value in given.items()}


def usual_port(port: int) -> int:
    """That loopback port if nobody has it, else one that is free."""
    with socket.socket() as probe:
        # As servers do: what a connection left behind by an earlier run is no reason to go elsewhere.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return free_port()
    return port


class LocalFleet:
    """A fleet on this machine; no process of it is left when the block ends, however it ends.

    Args:
        environ: settings of the fleet as environment variables; LEADLANE_REDIS_URL among them means that
            a server is there, else one is started.
        workers: worker processes, beside one for control.
        concurrency: threads of each.
        folder: keeps the server's data and the logs; without one they are gone with the block.
        redis_port: of the server that is started; None takes a free one.
        flower_port: None takes a free one.
        stop_s: how long they may take to end what they do.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        workers: int = 2,
        concurrency: int = 8,
        folder: Path | None = None,
        redis_port: int | None = None,
        flower_port: int | None = None,
        stop_s: float = STOP_S,
    ) -> None:
        self.environ = dict(environ)
        self.redis_url = self.environ.get("LEADLANE_REDIS_URL", "")
        self.server: EmbeddedRedis | None = None
        self.flower_url = ""
        self.children: dict[str, Child] = {}
        self.hurry = False
        self._workers = workers
        self._concurrency = concurrency
        self._folder = folder
        self._redis_port = redis_port
        self._flower_port = flower_port
        self._stop_s = stop_s
        self._stack = ExitStack()
        self._logs = folder / "logs" if folder else Path(tempfile.mkdtemp(prefix="leadlane-"))

    def __enter__(self) -> Self:
        try:
            if self._folder:
                self._logs.mkdir(exist_ok=True)
            else:
                self._stack.callback(shutil.rmtree, self._logs, ignore_errors=True)
            if not self.redis_url:
                directory = self._folder / "redis" if self._folder else None
                self.server = EmbeddedRedis(port=self._redis_port, directory=directory)
                self.redis_url = self._stack.enter_context(self.server).url
            self._stack.callback(self.stop)  # before the server
            self.environ["LEADLANE_REDIS_URL"] = self.redis_url
            for i in range(1, self._workers + 1):
                self._start(f"worker-{i}", "worker", "--name", f"worker-{i}", *self._threads())
            self._start("control", "worker", "--control", "--name", "control", "--concurrency", "2")
            self._start("beat", "beat")
            port = self._flower_port or free_port()
            self._start("flower", "flower", "--port", str(port))
            self.flower_url = f"http://127.0.0.1:{port}"
            self._await_workers()
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
        for child in self.children.values():
            if not child.running:
                raise Unreachable(f"leadlane {' '.join(child.command)}", f"has ended:\n{child.last_words()}")

    def stop(self) -> list[str]:
        """End all but the server, at once, each after what it does: the names of those that had to be killed.

        ``hurry``, set meanwhile, kills those that still run.
        """
        for child in self.children.values():
            child.ask()
        deadline = time.monotonic() + self._stop_s
        while any(child.running for child in self.children.values()):
            if self.hurry or time.monotonic() > deadline:
                break
            time.sleep(LOOK_S)
        killed = [name for name, child in self.children.items() if child.running]
        for child in self.children.values():
            child.kill()
        self.children.clear()
        return killed

    def _threads(self) -> tuple[str, str]:
        return "--concurrency", str(self._concurrency)

    def _start(self, name: str, *command: str) -> None:
        log = self._logs / f"{name}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        self.children[name] = Child(*command, log=log, environ={**os.environ, **self.environ})

    def _await_workers(self) -> None:
        """Wait until all of ours count as alive; an earlier run, if it crashed, may have left others behind."""
        settings = load_settings(environ={**os.environ, **self.environ})
        ours = {child.pid for child in self.children.values() if child.command[0] == "worker"}
        deadline = time.monotonic() + START_S
        with connect(settings) as client:
            lanes = Lanes(client, settings.key_prefix)
            while True:
                members: list[bytes] = lanes.client.zrange(lanes.key("workers"), 0, -1)  # type: ignore[assignment]
                if ours <= {int(member.split(b":")[1]) for member in members}:
                    return
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
