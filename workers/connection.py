"""Connections to Redis that notice when the server behind them is not the one they knew.

Behind sentinels they follow the primary: each new connection asks the sentinels first, and one whose server has become
a replica, or has lost its replicas, is given up.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection

from leadlane.schemas.redis_urls import is_sentinels, sentinels, speaks_tls
from leadlane.schemas.settings import Settings

LUA = files("leadlane.workers") / "lua"
PARTS = (
    "states", "made", "accounts", "jobs", "endings", "outcomes", "optouts", "tickets", "lanes", "calling", "turns",
    "commands", "revival",
)  # fmt: skip
"""What lane scripts share, in the order in which it is put before them: each part may call those before it."""


@cache
def lua(name: str) -> str:
    """The text of one lane script, after ``lane.lua`` and the parts that it needs."""
    script = _text(name)
    needed, more = set[str](), _needs(script)
    while more:
        needed |= more
        more = {part for one in more for part in _needs(_text(f"parts/{one}"))} - needed
    return "".join([_text("lane"), *(_text(f"parts/{part}") for part in PARTS if part in needed), script])


def _text(name: str) -> str:
    return (LUA / f"{name}.lua").read_text()


def _needs(text: str) -> set[str]:
    """What the line ``-- needs: accounts, lanes`` of a script's or part's header says."""
    line = re.search(r"^-- needs: (.*)$", text, re.MULTILINE)
    return set(line[1].split(", ")) if line else set()


SENTINEL_ANSWERS_S: Final = 1.0
"""A sentinel that takes longer is passed over for the next."""


class Following(SentinelManagedConnection):
    """A connection to the primary that the sentinels name; given up when its server is no good as one any more."""

    def connect(self) -> None:
        """Ask the sentinels and connect, once: whoever sends a command tries again, and again is often enough."""
        self._connect_retry()  # type: ignore[no-untyped-call]

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """The answer; a primary that is cut off from its replicas may have been replaced, so it is asked for anew."""
        try:
            return super().read_response(*args, **kwargs)
        except redis.ResponseError as exc:
            if not str(exc).startswith("NOREPLICAS"):
                raise
        self.disconnect()  # type: ignore[no-untyped-call]
        raise redis.ConnectionError("the primary is cut off from its replicas")


def connect(settings: Settings, *, retries: int = 3) -> redis.Redis:
    """A client whose every new connection first says to the lanes which server it reached.

    A restarted or promoted server has another ``run_id``. Since each connection runs ``boot.lua``
    before any other command, no script can run on such a server before its quiet time has begun.

    Args:
        settings: of the fleet: where its Redis is, and the first part of every key.
        retries: how often a command is tried again when the connection breaks. Every lane script may
            be repeated: a turn already granted is granted again to the same token.
    """

    def greet(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("INFO", "server")
        run_id = _run_id(connection.read_response())
        connection.send_command("EVAL", lua("boot"), 1, settings.key_prefix, run_id)
        connection.read_response()

    return reach(
        settings,
        settings.redis_url,
        socket_timeout=10,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
        redis_connect_func=greet,
    )


def reach(settings: Settings, url: str, **options: Any) -> redis.Redis:
    """A client of the Redis at one of the URLs of these settings: the primary, wherever it goes, behind sentinels.

    ``options`` are those of ``redis.Redis.from_url``.
    """
    if not is_sentinels(url):
        return redis.Redis.from_url(url, **tls_options(settings, url), **options)
    at = sentinels(url)
    asked: Any = Sentinel(at.nodes, sentinel_kwargs=sentinel_options(settings))  # type: ignore[no-untyped-call]
    client: redis.Redis = asked.master_for(
        settings.sentinel_master,
        connection_class=Following,
        username=at.username,
        password=at.password,
        db=at.db,
        **options,
    )
    return client


def reach_at_once(settings: Settings, url: str, *, within_s: float = 5.0, **options: Any) -> redis.Redis:
    """The same to look whether it answers: in so many seconds, without trying again and without a greeting."""
    return reach(
        settings,
        url,
        socket_timeout=within_s,
        socket_connect_timeout=within_s,
        retry=Retry(NoBackoff(), 0),
        **options,
    )


def tls_options(settings: Settings, url: str) -> dict[str, Any]:
    """How TLS is spoken at this URL, in redis-py's and Celery's words; empty where it is not.

    The server's certificate is verified, and that it is the host's own; no setting turns that off.
    """
    if not speaks_tls(url):
        return {}
    files = {
        "ssl_ca_certs": settings.redis_ca,
        "ssl_certfile": settings.redis_client_cert,
        "ssl_keyfile": settings.redis_client_key,
    }
    return {"ssl_cert_reqs": "required"} | {name: path for name, path in files.items() if path}


def sentinel_options(settings: Settings) -> dict[str, Any]:
    """How sentinels are spoken to, in redis-py's and Celery's words."""
    patience = {
        "socket_timeout": SENTINEL_ANSWERS_S,
        "socket_connect_timeout": SENTINEL_ANSWERS_S,
        "retry": Retry(NoBackoff(), 0),  # else one that has died is tried eleven times before the next
    }
    return patience | ({"password": settings.sentinel_password} if settings.sentinel_password else {})


def _run_id(info: bytes | str) -> str:
    text = info.decode() if isinstance(info, bytes) else info
    return next(line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("run_id:"))
