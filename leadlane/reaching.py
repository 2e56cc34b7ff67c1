"""Redis's own errors in the producer's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import redis
from redis.sentinel import MasterNotFoundError

from leadlane.schemas.errors import Unreachable

T = TypeVar("T")


def reaching_redis(act: Callable[[], T]) -> T:
    """The act's value; Unreachable, without URL or password, if Redis does not do it."""
    try:
        return act()
    except MasterNotFoundError:
        problem, remedy = (
            "has no primary, say its sentinels",
            "if that lasts: are they running, and is sentinel_master the name they know it by?",
        )
    except redis.AuthenticationError:
        problem, remedy = "refuses user or password", "mend redis_url"
    except redis.OutOfMemoryError:
        problem, remedy = (
            "is out of memory",
            "what was accepted is kept; give it more, or wait until lanes are emptier",
        )
    except (redis.ConnectionError, redis.TimeoutError):
        problem, remedy = "does not answer", "is it running, and is redis_url right?"
    except redis.RedisError as exc:
        problem, remedy = f"refuses ({type(exc).__name__})", "is it a primary of version 6.2 or newer?"
    raise Unreachable("Redis", problem, remedy) from None
