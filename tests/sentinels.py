"""A primary, a replica that stands in for it, and three sentinels that say which is which; on loopback ports."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from leadlane.ops.embedded import EmbeddedRedis, find_server, free_port

MASTER = "mymaster"
DOWN_AFTER_MS = 1500
CLIENTS, COPY, WATCH = "clients", "copy", "watch"
"""Passwords of clients, of the replica and of the sentinels. The latter two are users of their own: locked out of one
server it is to them as if the network to it were cut, while its clients still reach it."""
GUARD = 'read -r _; kill -9 "$1"'  # as in ops/embedded.py: ends the process however this one ends


class Sentinel:
    """One sentinel process."""

    def __init__(self, folder: Path, binary: Path, primary: int, password: str | None) -> None:
        self.port = free_port()
        folder.mkdir(parents=True)
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            f"sentinel monitor {MASTER} 127.0.0.1 {primary} 2",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} 6000",
            f"sentinel auth-user {MASTER} {WATCH}",
            f"sentinel auth-pass {MASTER} {WATCH}",
        ]
        lines += [f"requirepass {password}"] if password else []
        (folder / "sentinel.conf").write_text("\n".join([*lines, ""]))
        with (folder / "sentinel.log").open("wb") as log:
            self.process = subprocess.Popen(
                [binary, "sentinel.conf", "--sentinel"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"LC_ALL": "C"},
                start_new_session=True,
            )
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "guard", str(self.process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.client: Redis = Redis(
            port=self.port,
            password=password,
            decode_responses=True,
            socket_timeout=2,
            retry=Retry(NoBackoff(), 0),
        )

    def knows_of(self) -> tuple[int, int]:
        """Replicas and other sentinels that it has met."""
        try:
            state: Any = self.client.sentinel_master(MASTER)
        except RedisError:
            return 0, 0
        return state["num-slaves"], state["num-other-sentinels"]

    def kill(self) -> None:
        self.client.close()
        for process in (self.process, self._guard):
            process.kill()
            process.wait()
        if self._guard.stdin:
            self._guard.stdin.close()


class Watched:
    """Primary and replica, watched by three sentinels.

    Args:
        folder: for what the sentinels write.
        binary: the server program.
        configuration: more lines for both servers.
        sentinel_password: what the sentinels ask of their clients.
    """

    def __init__(
        self,
        folder: Path,
        *,
        binary: Path | None = None,
        configuration: tuple[str, ...] = (),
        sentinel_password: str | None = None,
    ) -> None:
        binary = (binary or find_server()).absolute()
        quick = (
            "repl-diskless-sync-delay 0",
            "repl-ping-replica-period 1",
            *(f"user {user} on >{user} ~* &* +@all" for user in (COPY, WATCH)),
            f"masteruser {COPY}",
            f"masterauth {COPY}",
            *configuration,
        )
        self.servers = [EmbeddedRedis(binary=binary, configuration=quick, password=CLIENTS)]
        self.sentinels: list[Sentinel] = []
        self._binary, self._folder, self._password = binary, folder, sentinel_password
        self._configuration = quick

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _start(self) -> None:
        primary = self.servers[0]
        primary.start()
        follows = f"replicaof 127.0.0.1 {primary.port}"
        replica = EmbeddedRedis(
            binary=self._binary, configuration=(*self._configuration, follows), password=CLIENTS
        )
        self.servers.append(replica)
        replica.start()
        for i in range(3):
            folder = self._folder / f"sentinel-{i}"
            self.sentinels.append(Sentinel(folder, self._binary, primary.port, self._password))

    def ready(self) -> bool:
        """Whether one follows the other and all sentinels know of that and of each other."""
        up = 0
        for server in self.servers:
            with Redis.from_url(server.url, decode_responses=True) as client:
                up += client.info("replication").get("master_link_status") == "up"  # type: ignore[union-attr]
        return up == 1 and all(sentinel.knows_of() == (1, 2) for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        """The URL of the sentinels."""
        nodes = ";".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"sentinel://:{CLIENTS}@{nodes}/0"

    def stall(self, i: int = 0) -> None:
        """From now on the replica gets nothing of what server ``i`` takes."""
        with Redis.from_url(self.servers[i].url) as server:
            server.acl_deluser(COPY)

    def cut_off(self, i: int = 0) -> None:
        """Neither the replica nor the sentinels reach server ``i`` any more; its clients do."""
        with Redis.from_url(self.servers[i].url) as server:
            server.acl_deluser(COPY, WATCH)

    def mend(self, i: int = 0) -> None:
        """Everybody reaches server ``i`` again."""
        with Redis.from_url(self.servers[i].url) as server:
            for user in (COPY, WATCH):
                server.acl_setuser(
                    user, enabled=True, passwords=f"+{user}", keys=["*"], channels=["*"], commands=["+@all"]
                )

    def primary(self) -> int:
        """The port of the primary as most sentinels see it."""
        ports = [self._seen_by(sentinel) for sentinel in self.sentinels]
        return max(ports, key=ports.count)

    @staticmethod
    def _seen_by(sentinel: Sentinel) -> int:
        try:
            return int(sentinel.client.sentinel_get_master_addr_by_name(MASTER)[1])  # type: ignore[index]
        except RedisError:
            return 0

    def close(self) -> None:
        for sentinel in self.sentinels:
            sentinel.kill()
        for server in self.servers:
            server.close()
