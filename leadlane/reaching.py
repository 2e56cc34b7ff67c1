"""Redis's own errors in the producer's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import redis

from leadlane.schemas.errors import Unreachable
from leadlane.workers.faults import why_unreachable

T = TypeVar("T")


def reaching_redis(act: Callable[[], T]) -> T:
    """The act's value; Unreachable, without URL or password, if Redis does not do it."""
    try:
        return act()
    except redis.RedisError as exc:
        problem, remedy = why_unreachable(exc)
    raise Unreachable("Redis", problem, remedy)
