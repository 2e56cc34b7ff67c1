"""Connections to Redis that notice when the server behind them is not the one they knew.

One whose server is fit no more (it has become a replica, say) is given up; behind sentinels each new connection asks
them first for the primary.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any, Final

import redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.connection import parse_url
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


_UNFIT: Final = re.compile(
    r"(?:^|[ -])(READONLY|NOREPLICAS|MISCONF|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|UNBLOCKED|OOM) "
)
_UNFIT_TYPES: Final = {
    redis.ReadOnlyError: "READONLY",
    redis.exceptions.MasterDownError: "MASTERDOWN",
    redis.exceptions.ClusterDownError: "CLUSTERDOWN",
    redis.exceptions.TryAgainError: "TRYAGAIN",
    redis.OutOfMemoryError: "OOM",
}


def unfit(exc: BaseException) -> str:
    """Why the server cannot do now what it should, in its own word; "" if this answer says nothing of the kind.

    redis-py knows some by type. Redis 6.2 has the word of what went wrong in a script in the middle of its text.
    """
    for kind, word in _UNFIT_TYPES.items():
        if isinstance(exc, kind):
            return word
    found = _UNFIT.search(f"{exc} ") if isinstance(exc, redis.ResponseError) else None
    return found[1] if found else ""


class Fit:
    """What a connection is besides: one to a server that is fit.

    One that cannot serve (a replica, a primary without its replicas, one whose disk is full) is as good as away: the
    connection is given up, and the next may reach a better one. Out of memory is another matter for producers, who
    are told so, but not for Celery, which would end its worker.
    """

    when_full: type[redis.RedisError] = redis.OutOfMemoryError

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        """The answer. Raises redis.ConnectionError where the server is not fit."""
        above: Any = super()
        try:
            return above.read_response(*args, **kwargs)
        except redis.ResponseError as exc:
            if not (word := unfit(exc)):
                raise
        if word == "OOM":
            raise self.when_full("the server is out of memory")
        connection: Any = self
        connection.disconnect()
        raise redis.ConnectionError(f"the server cannot serve now ({word})")


class Following(Fit, SentinelManagedConnection):
    """A connection to the primary that the sentinels name."""

    def connect(self) -> None:
        """Ask the sentinels and connect, once: whoever sends a command tries again, and again is often enough."""
        self._connect_retry()  # type: ignore[no-untyped-call]


@cache
def fit(kind: type) -> type:
    """This class of connections, to servers that are fit."""
    if kind is SentinelManagedConnection:
        return Following
    return kind if issubclass(kind, Fit) else type(f"Fit{kind.__name__}", (Fit, kind), {})


@cache
def fit_for_celery(kind: type) -> type:
    """The same, where a full server counts as away too."""
    if issubclass(kind, Fit) and kind.when_full is redis.ConnectionError:
        return kind
    return type(f"Celerys{kind.__name__}", (fit(kind),), {"when_full": redis.ConnectionError})


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
        kind = parse_url(url).get("connection_class", redis.Connection)  # type: ignore[no-untyped-call]
        return redis.Redis.from_url(url, connection_class=fit(kind), **tls_options(settings, url), **options)
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
