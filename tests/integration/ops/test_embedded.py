import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import AuthenticationError, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from leadlane.ops.embedded import EmbeddedRedis, find_server, free_port
from leadlane.schemas.errors import Unreachable


@pytest.fixture(params=["first found", "bundled"])
def binary(request: pytest.FixtureRequest) -> Path:
    return find_server(bundled=request.param == "bundled")


@pytest.fixture
def server(binary: Path) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(binary=binary) as running:
        yield running


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port on which somebody else listens."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        yield listener.getsockname()[1]


def client(server: EmbeddedRedis) -> Redis:
    return Redis.from_url(server.url, decode_responses=True)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_silent(port: int) -> None:
    while listens(port):  # the test's own timeout is the bound
        time.sleep(0.01)


def test_it_answers_and_keeps_what_a_broker_must_keep(server: EmbeddedRedis) -> None:
    with client(server) as redis:
        assert redis.ping()
        assert redis.config_get("appendonly", "appendfsync", "maxmemory-policy", "bind") == {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "bind": "127.0.0.1",
        }


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_data_and_port_outlive_a_restart(server: EmbeddedRedis, end: str) -> None:
    url = server.url
    with client(server) as redis:
        redis.set("lead", "kept")
    getattr(server, end)()
    assert not server.running
    assert not listens(server.port)
    server.start()
    assert server.url == url
    with client(server) as redis:
        assert redis.get("lead") == "kept"


def test_starting_and_stopping_twice_is_harmless(server: EmbeddedRedis) -> None:
    with client(server) as redis:
        run_id = redis.info("server")["run_id"]
        server.start()
        assert redis.info("server")["run_id"] == run_id
    server.stop()
    server.stop()
    assert not server.running


def test_a_server_that_died_by_itself_starts_again(server: EmbeddedRedis) -> None:
    with client(server) as redis:
        redis.shutdown(nosave=True)
    while server.running:
        time.sleep(0.01)
    server.start()
    with client(server) as redis:
        assert redis.ping()


def test_an_exception_leaves_nothing_behind(binary: Path) -> None:
    server = EmbeddedRedis(binary=binary)
    with pytest.raises(KeyboardInterrupt), server:
        raise KeyboardInterrupt
    assert not listens(server.port)
    assert not server.directory.exists()


def test_a_given_directory_is_made_and_kept(binary: Path, tmp_path: Path) -> None:
    home = tmp_path / "with a blank" / "data"
    with EmbeddedRedis(binary=binary, directory=home) as server, client(server) as redis:
        redis.set("lead", "kept")
    with EmbeddedRedis(binary=binary, directory=home) as server, client(server) as redis:
        assert redis.get("lead") == "kept"


def test_it_ends_with_a_parent_that_was_killed(binary: Path, tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from leadlane.ops.embedded import EmbeddedRedis\n"
        "server = EmbeddedRedis(binary=Path(sys.argv[1])); server.start(); print(server.port, flush=True)\n"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(binary)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as parent:
        assert parent.stdout
        port = int(parent.stdout.readline())
        assert listens(port)
        parent.send_signal(signal.SIGKILL)
    wait_until_silent(port)


def test_a_port_that_somebody_took_first_is_changed(binary: Path, taken_port: int) -> None:
    server = EmbeddedRedis(binary=binary)
    server.port = taken_port
    with server:
        assert server.port != taken_port
        with client(server) as redis:
            assert redis.ping()


def test_a_given_port_that_stays_taken_is_told(binary: Path, taken_port: int) -> None:
    server = EmbeddedRedis(binary=binary, port=taken_port)
    with pytest.raises(Unreachable, match=f"on port {taken_port}: did not start: .*ddress already in use"):
        server.start(within_s=0.2)
    server.close()


def test_a_program_that_is_no_server_is_told_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "redis-server"
    broken.write_text("#!/bin/sh\necho no such thing here >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(Unreachable, match="no such thing here"), EmbeddedRedis(binary=broken):
        pass


def test_a_password_is_asked_for_and_not_shown(binary: Path) -> None:
    password = 'quo"te s\\ pace/ü'
    with EmbeddedRedis(binary=binary, password=password) as server:
        with client(server) as redis:
            assert redis.ping()
        with (
            Redis(port=server.port, retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(AuthenticationError),
        ):
            stranger.ping()
        assert password not in repr(server)


def test_appendfsync_can_be_always(binary: Path) -> None:
    with EmbeddedRedis(binary=binary, appendfsync="always") as server, client(server) as redis:
        assert redis.config_get("appendfsync") == {"appendfsync": "always"}


def test_the_fixture_is_empty_and_running_again_after_a_kill(
    redis_server: EmbeddedRedis, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as redis:
        assert redis.dbsize() == 0
        redis.set("left", "over")
    redis_server.kill()


def test_the_fixture_is_empty_and_running_again_the_next_time(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        assert redis.dbsize() == 0
