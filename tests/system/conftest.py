"""The whole town for system tests: a real Redis, the sandbox, worker processes and the settings that join them.

`town` is small and fast on purpose: gap 0.3 s, deadline of a call 5 s, a lost call is over after 6 s.
Whatever it started ends with the test; its logs are kept in the test's `tmp_path` and shown when it fails.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError

from leadlane import Fleet
from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.connection import connect, reach
from leadlane.workers.lanes import Lanes
from tests.guarded import ROLES, login
from tests.sentinels import MASTER, Watched

KEY = "sandbox-key"
STARTS_WITHIN_S = 60
ENDS_WITHIN_S = 60
SHOWN = 20_000  # characters of each log in the report of a failure
MAIN = ("-m", "leadlane.ops.main")
GUARD = 'read -r _; kill -9 "$1"'  # as in ops/embedded.py: ends the process however this one ends


def until(seen: Callable[[], Any], *, within_s: float = 60.0, every_s: float = 0.05) -> Any:
    """The first true answer of ``seen``; AssertionError if none comes in time."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := seen():
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not seen within {within_s:g} s: {getattr(seen, '__name__', seen)}")
        time.sleep(every_s)


class Program:
    """A process of the command line, `leadlane WORDS...`, whose output goes to `log`; `main` is what Python runs."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        env: dict[str, str],
        log: Path,
        main: Sequence[str] = MAIN,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.name, self.log = name, log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *main, *words],
                env=env,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def logged(self) -> str:
        """What it has said so far."""
        return self.log.read_text(errors="replace")

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self, within_s: float = ENDS_WITHIN_S) -> int:
        """Its exit code."""
        return self.process.wait(within_s)

    def kill(self) -> None:
        """End it as a crash would, kill -9."""
        self.process.kill()
        self._reap()

    def stop(self, within_s: float = ENDS_WITHIN_S) -> int:
        """Tell it to end (SIGTERM) and wait; its exit code. AssertionError if it does not end."""
        self.process.terminate()
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} did not end within {within_s:g} s of SIGTERM") from None
        finally:
            self.kill()

    def _reap(self) -> None:
        self.process.wait()
        self._guard.kill()
        self._guard.wait()
        if self._guard.stdin:
            self._guard.stdin.close()


class Town:
    """One fleet, with the account `voiso` at the sandbox."""

    def __init__(self, redis: EmbeddedRedis | Watched, sandbox: SandboxProcess, folder: Path) -> None:
        self.redis, self.sandbox, self.folder = redis, sandbox, folder
        self.programs: list[Program] = []
        self._fleets: list[Fleet] = []
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("LEADLANE_")} | {
            "SANDBOX_KEY": KEY,
            "COLUMNS": "200",
            **login(redis, "operator"),
            "LEADLANE_VISIBILITY_TIMEOUT_S": "20",
            "LEADLANE_LEASE_S": "6",
        }
        if isinstance(redis, Watched):
            self.env["LEADLANE_SENTINEL_MASTER"] = MASTER
        self.account("voiso")
        self.client: Redis = reach(self.settings(), redis.url, decode_responses=True)

    def account(self, name: str, **settings: str) -> None:
        """Give workers and producers that start from now on an account at the sandbox, or change one."""
        given = {
            "provider": "voiso",
            "base_url": self.sandbox.url,
            "api_key": "env:SANDBOX_KEY",
            "import_gap_s": "0.3",
            "timeout_s": "5",
            "lost_call_s": "6",
        } | settings
        for key, value in given.items():
            self.env[f"LEADLANE_ACCOUNTS__{name.upper().replace('-', '_')}__{key.upper()}"] = value

    def settings(self) -> Settings:
        return load_settings(environ=self.env)

    def fleet(self) -> Fleet:
        """A producer in this process."""
        self._fleets.append(Fleet(settings=load_settings(environ=self.env | login(self.redis, "producer"))))
        return self._fleets[-1]

    def worker(
        self,
        name: str = "w1",
        concurrency: int = 8,
        queues: Sequence[str] | None = None,
        *words: str,
        main: Sequence[str] = MAIN,
    ) -> Program:
        """A worker process, once it lives in the lanes."""
        chosen = ["--queues", ",".join(queues)] if queues else []
        worker = self.start(
            "worker", "--name", name, "--concurrency", str(concurrency), *chosen, *words, name=name, main=main
        )

        def lives() -> bool:
            if not worker.running:
                raise AssertionError(f"worker {name} ended with {worker.wait()}:\n{worker.logged()[-SHOWN:]}")
            try:
                return any(
                    f":{worker.pid}:" in member for member in self.client.zrange("leadlane:workers", 0, -1)
                )
            except RedisError:
                return False

        until(lives, within_s=STARTS_WITHIN_S)
        return worker

    def start(
        self, *words: str, name: str = "", main: Sequence[str] = MAIN, stdin: int = subprocess.DEVNULL
    ) -> Program:
        """`leadlane WORDS...` in the background, not waited for."""
        name = name or words[0]
        env = self.env | login(self.redis, words[0]) if words[0] in ROLES else self.env
        program = Program(name, words, env, self.folder / f"{len(self.programs)}-{name}.log", main, stdin)
        self.programs.append(program)
        return program

    def run(
        self, *words: str, stdin: str | bytes = b"", within_s: float = 90
    ) -> "subprocess.CompletedProcess[str]":
        """`leadlane WORDS...` to its end: exit code, stdout, stderr."""
        ended = subprocess.run(
            [sys.executable, "-m", "leadlane.ops.main", *words],
            env=self.env,
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            timeout=within_s,
        )
        return subprocess.CompletedProcess(
            ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode()
        )

    def close(self) -> None:
        for program in self.programs:
            program.kill()
        for fleet in self._fleets:
            fleet.close()
        self.client.close()


@pytest.fixture
def town(redis_server: EmbeddedRedis, tmp_path: Path) -> Iterator[Town]:
    """An empty Redis, a fresh sandbox and no worker yet."""
    with SandboxProcess(gap_s=0.3, audit_file=tmp_path / "audit.jsonl") as sandbox:
        town = Town(redis_server, sandbox, tmp_path)
        try:
            yield town
        finally:
            town.close()


@pytest.fixture
def lanes(town: Town) -> Lanes:
    """What an operator does with lanes and accounts."""
    return Lanes(connect(Settings(redis_url=town.redis.url)), "leadlane")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what the processes of its town said."""
    report = yield
    town = getattr(item, "funcargs", {}).get("town")
    if report.failed and isinstance(town, Town):
        report.sections += [
            (f"log of {program.log.name}", program.logged()[-SHOWN:]) for program in town.programs
        ]
    return report
