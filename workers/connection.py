"""Connections to Redis that notice when the server behind them is not the one they knew."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

LUA = files("leadlane.workers") / "lua"
PARTS = (
    "made", "accounts", "jobs", "endings", "outcomes", "optouts", "tickets", "lanes", "calling", "turns", "commands",
    "revival",
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


def connect(url: str, prefix: str, *, retries: int = 3) -> redis.Redis:
    """A client whose every new connection first says to the lanes which server it reached.

    A restarted or promoted server has another ``run_id``. Since each connection runs ``boot.lua``
    before any other command, no script can run on such a server before its quiet time has begun.

    Args:
        url: ``redis://``, ``rediss://`` or ``unix://``.
        prefix: first part of every key.
        retries: how often a command is tried again when the connection breaks. Every lane script may
            be repeated: a turn already granted is granted again to the same token.
    """

    def greet(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("INFO", "server")
        run_id = _run_id(connection.read_response())
        connection.send_command("EVAL", lua("boot"), 1, prefix, run_id)
        connection.read_response()

    return redis.Redis.from_url(
        url,
        socket_timeout=10,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=25,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.05), retries),
        redis_connect_func=greet,
    )


def _run_id(info: bytes | str) -> str:
    text = info.decode() if isinstance(info, bytes) else info
    return next(line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("run_id:"))
