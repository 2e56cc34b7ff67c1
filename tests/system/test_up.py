"""`leadlane up`: everything on one machine, that stays, heals, keeps its data and ends in peace."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis, free_port
from leadlane.schemas.redis_urls import without_password
from tests.guarded import login
from tests.system.conftest import ENDS_WITHIN_S, Program, until


class Up:
    """A running `leadlane up`."""

    def __init__(self, program: Program, folder: Path, env: dict[str, str]) -> None:
        self.program, self.folder, self.env = program, folder, env
        until(self._ready)
        self.addresses: dict[str, Any] = json.loads(
            next(line for line in program.logged().splitlines() if line.startswith("{"))
        )

    def _ready(self) -> bool:
        assert self.program.running, self.program.logged()
        return '"flower"' in self.program.logged()

    def run(self, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        """A command for this fleet, as from another terminal."""
        env = {"LEADLANE_REDIS_URL": self.addresses["redis"]} | self.env
        return subprocess.run(
            [sys.executable, "-m", "leadlane.ops.main", *words],
            env=env,
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=ENDS_WITHIN_S,
        )

    def children(self) -> dict[int, str]:
        """Pids of its processes, and their command lines."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == self.program.pid:
                    words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                    if words:
                        found[int(entry.name)] = words
            except (OSError, ValueError):
                continue
        return found

    def pid(self, words: str) -> int | None:
        return next((pid for pid, line in self.children().items() if words in line), None)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("LEADLANE_")}


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[..., Up]]:
    """Starts it, in a folder of the test's own; all are ended with the test."""
    programs: list[Program] = []

    def started(**more: str) -> Up:
        words = ["up", "--json", "--data", str(tmp_path / "data")]
        for option in ("--redis-port", "--flower-port", "--sandbox-port"):
            words += [option, str(free_port())]
        env = environment | more
        program = Program("up", words, env, tmp_path / f"up-{len(programs)}.log")
        programs.append(program)
        return Up(program, tmp_path, env)

    yield started
    for program in programs:
        if program.running:
            program.signal(signal.SIGTERM)
            try:
                program.wait(30)
            except subprocess.TimeoutExpired:
                pass  # killed below; the test has failed before
        program.kill()


def gone(pids: dict[int, str]) -> bool:
    return not any(living(pid) for pid in pids)


def living(pid: int) -> bool:
    try:
        return (Path(f"/proc/{pid}") / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def imported(up: Up, *numbers: str) -> dict[str, Any]:
    rows = "".join(f'{{"phone_number": "{number}"}}\n' for number in numbers)
    ended = up.run("import", "-", "-c", "demo/3", "--wait", "--json", stdin=rows)
    assert ended.returncode == 0, ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout)
    return told


def test_it_stays_keeps_its_data_and_ends_without_a_trace(start: Callable[..., Up]) -> None:
    up = start()
    job = imported(up, "+12125550101", "+12125550102")["job"]
    with urlopen(f"{up.addresses['flower']}/healthcheck", timeout=10) as answer:
        assert answer.status == 200
    pids = up.children()
    assert len(pids) >= 6  # worker, control, beat, flower, server, sandbox
    assert up.program.stop() == 0
    assert gone(pids)
    assert "were killed" not in up.program.logged()

    again = start()
    assert json.loads(again.run("job", "show", job, "--json").stdout)["created"] == 2
    # The stop was clean: no lane rests for calls that may have been in flight.
    with Redis.from_url(again.addresses["redis"]) as client:
        assert not client.hget("leadlane:clock", "quiet")
    again.program.signal(signal.SIGINT)
    assert again.program.wait() == 0


def test_what_ends_by_itself_is_said_and_started_again(start: Callable[..., Up]) -> None:
    up = start()
    for words in ("worker --control", "flower"):
        pid = up.pid(words)
        assert pid
        os.kill(pid, signal.SIGKILL)
        until(lambda words=words, pid=pid: up.pid(words) not in (None, pid))
    server = up.pid("redis-server") or up.pid("valkey-server")
    assert server
    os.kill(server, signal.SIGKILL)
    until(lambda: (up.pid("redis-server") or up.pid("valkey-server")) not in (None, server))
    said = up.program.logged()
    assert "control has ended with -9; it is started again in 1 s" in said
    assert "flower has ended with -9" in said
    assert "redis has ended" in said
    assert up.program.running
    assert up.program.stop() == 0


def test_a_redis_that_is_named_is_used_and_outlives_it(
    start: Callable[..., Up], redis_server: EmbeddedRedis
) -> None:
    named = login(redis_server, "worker")
    up = start(**named)
    assert (up.addresses["redis"], up.addresses["data"]) == (
        without_password(named["LEADLANE_REDIS_URL"]),
        None,
    )
    imported(up, "+12125550101")
    assert up.program.stop() == 0
    assert redis_server.running


def test_with_an_account_there_is_no_sandbox(start: Callable[..., Up]) -> None:
    account = "LEADLANE_ACCOUNTS__VOISO__"
    up = start(
        **{
            f"{account}PROVIDER": "voiso",
            f"{account}BASE_URL": "http://127.0.0.1:1",
            f"{account}API_KEY": "env:VOISO_KEY",
            "VOISO_KEY": "k",
        }
    )
    assert up.addresses["sandbox"] is None
    listed = json.loads(up.run("account", "list", "--json").stdout)["accounts"]
    assert [account["account"] for account in listed] == ["voiso"]
    assert up.program.stop() == 0


def test_its_folder_is_for_one_at_a_time(start: Callable[..., Up]) -> None:
    up = start()
    ended = up.run("up", "--data", str(up.folder / "data"))
    assert ended.returncode == 2
    assert "another `leadlane up` has it" in ended.stderr
    assert up.program.stop() == 0


def test_a_key_that_is_not_there_is_said_before_anything_starts(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    account = "LEADLANE_ACCOUNTS__VOISO__"
    given = {"PROVIDER": "voiso", "BASE_URL": "https://x.example", "API_KEY": "env:NO_SUCH_KEY"}
    ended = subprocess.run(
        [sys.executable, "-m", "leadlane.ops.main", "up", "--data", str(tmp_path / "data")],
        env=environment | {f"{account}{name}": value for name, value in given.items()},
        capture_output=True,
        text=True,
        timeout=ENDS_WITHIN_S,
        cwd=tmp_path,
    )
    assert ended.returncode == 2
    assert "accounts.voiso.api_key: the variable NO_SUCH_KEY is not set" in ended.stderr
    assert not (tmp_path / "data").exists()


def test_killed_it_takes_all_its_processes_along(start: Callable[..., Up]) -> None:
    up = start()
    pids = up.children()
    up.program.kill()
    until(lambda: gone(pids))
