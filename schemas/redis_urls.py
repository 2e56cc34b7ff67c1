"""Where Redis is: its URL checked, in one way of writing, with a password and without.

Behind sentinels there is no address but theirs: ``sentinel://h1:26379;h2:26379;h3:26379/0``, or as Celery has it, with
``sentinel://`` before each. User, password and database are those of the Redis that the sentinels name.
"""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

SENTINEL: Final = "sentinel"
SENTINEL_PORT: Final = 26379


class Sentinels(NamedTuple):
    """The sentinels of a URL, and what is used at the Redis that they name."""

    nodes: list[tuple[str, int]]
    username: str | None
    password: str | None
    db: int


def canonical(text: str) -> str:
    """The URL; one of sentinels has user, password and database with each of them, as Celery wants it.

    Raises ValueError, as ``problem; remedy`` without the URL, which may hold a password.
    """
    if text.partition("://")[0] == SENTINEL:
        return _canonical_sentinels(text)
    wrong = ValueError(
        "is not a Redis URL; write redis://HOST:PORT/DB, or begin with rediss, unix or sentinel"
    )
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises if it is no number
    except ValueError:
        raise wrong from None
    place = parts.path if parts.scheme == "unix" else parts.hostname
    if parts.scheme not in {"redis", "rediss", "unix"} or not place:
        raise wrong
    if "ssl_" in parts.query:
        raise ValueError(
            "has settings of TLS in it; write rediss:// alone, and files in redis_ca, redis_client_cert and "
            "redis_client_key: the server's certificate is always verified"
        )
    return text


def _canonical_sentinels(text: str) -> str:
    wrong = ValueError(
        "is not a list of sentinels; write sentinel://HOST:26379;HOST:26379;HOST:26379/DB, with no more than one "
        "user, password and database, which are those of Redis"
    )
    nodes: list[str] = []
    users: set[str] = set()
    databases: set[str] = set()
    for part in _each(text):
        try:
            url = urlsplit(part)
            port = url.port or SENTINEL_PORT
        except ValueError:
            raise wrong from None
        user, _, host = url.netloc.rpartition("@")
        database = url.path.strip("/")
        if not url.hostname or url.query or url.fragment or not (database.isdecimal() or not database):
            raise wrong
        nodes.append(host if url.port else f"{host.removesuffix(':')}:{port}")
        users |= {user} if user else set()
        databases |= {database} if database else set()
    if len(users) > 1 or len(databases) > 1:
        raise wrong
    before = f"{users.pop()}@" if users else ""
    database = databases.pop() if databases else "0"
    return ";".join(f"{SENTINEL}://{before}{node}/{database}" for node in nodes)


def speaks_tls(url: str) -> bool:
    """Whether the URL is one of TLS."""
    return url.startswith("rediss://")


def is_sentinels(url: str) -> bool:
    """Whether the URL names sentinels."""
    return url.startswith(f"{SENTINEL}://")


def sentinels(url: str) -> Sentinels:
    """What a canonical URL of sentinels says."""
    parts = [urlsplit(part) for part in url.split(";")]
    first = parts[0]
    return Sentinels(
        [(part.hostname or "", part.port or SENTINEL_PORT) for part in parts],
        unquote(first.username) if first.username else None,
        unquote(first.password) if first.password else None,
        int(first.path.strip("/") or 0),
    )


def with_password(url: str, password: str) -> str:
    """The canonical URL with this password of Redis, if it has none of its own."""
    return ";".join(_with_password(part, password) for part in _each(url))


def _with_password(url: str, password: str) -> str:
    scheme, _, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    user, _, host = place.rpartition("@")
    if ":" in user:
        return url
    return f"{scheme}://{user}:{quote(password, safe='')}@{host}{slash}{path}"


def without_password(url: str) -> str:
    """The URL as it may be shown: what stands before the ``@`` and after the ``?`` is taken out."""
    scheme, _, rest = url.partition("://")
    several = rest.split(";") if scheme == SENTINEL else [rest]
    hosts = (host.rpartition("@")[2].partition("?")[0].removeprefix(f"{SENTINEL}://") for host in several)
    return f"{scheme}://{';'.join(hosts)}"


def _each(url: str) -> list[str]:
    """The URL, or that of each sentinel."""
    if not is_sentinels(url):
        return [url]
    return [f"{SENTINEL}://{part.strip().removeprefix(f'{SENTINEL}://')}" for part in url.split(";")]
