"""What may be told of an exception: its own words if they are ours, else its type and its place in the code.

The text of an exception nobody foresaw may hold anything: a lead, or a URL with a key in it. What leaves a
worker (results, events, logs) is therefore an error of `leadlane.schemas.errors`, one of Celery's own
bookkeeping, or an `InternalError` such as "KeyError at leadlane.workers.ledger:123".
"""

from __future__ import annotations

import ssl
from traceback import walk_tb
from typing import TYPE_CHECKING, TypeVar

from celery.exceptions import (
    BackendError,
    ChordError,
    InvalidTaskError,
    NotRegistered,
    OperationalError,
    TaskPredicate,
    TaskRevokedError,
    WorkerLostError,
)
from redis import exceptions as redis
from redis.sentinel import MasterNotFoundError

from leadlane.schemas.errors import LeadlaneError

if TYPE_CHECKING:
    from types import TracebackType

T = TypeVar("T", bound=BaseException)

# Redis or the broker is away, full, or failing over. Never the end of a task: it comes again (rule 10).
OUTAGES = (
    redis.ConnectionError,
    redis.TimeoutError,
    redis.ReadOnlyError,
    redis.OutOfMemoryError,
    OperationalError,
    BackendError,
)

# Their texts name tasks, hosts and reasons, never arguments. Not here: MaxRetriesExceededError, which prints
# them, redis.ResponseError, which may quote the command, and Celery's InvalidTaskError.
_TELLABLE = (
    LeadlaneError,
    TaskPredicate,
    TaskRevokedError,
    NotRegistered,
    ChordError,
    WorkerLostError,
    BackendError,
    redis.ConnectionError,
    redis.TimeoutError,
)


class InternalError(LeadlaneError):
    """A bug: an exception nobody foresaw, told by its type and its place in the code."""


class UnreadableTaskError(InvalidTaskError, LeadlaneError):
    """A message that is no task; the text is the type of what went wrong in reading it."""


_NO_RIGHT = ("permission", "user executing the script")  # the second in a script, by Redis 7.0


def why_unreachable(exc: redis.RedisError) -> tuple[str, str]:
    """Why a Redis does not do what it is asked, to be said after its name, and the remedy; no URL, user or password."""
    tls = _cause(exc, ssl.SSLError)
    match exc:
        case MasterNotFoundError():
            return (
                "has no primary, say its sentinels",
                "if that lasts: are they running, and is sentinel_master the name they know it by?",
            )
        case redis.AuthenticationError():
            return "refuses user or password", "mend the URL, or redis_password"
        case redis.OutOfMemoryError():
            return (
                "is out of memory",
                "what was accepted is kept; give it more, or wait until lanes are emptier",
            )
        case redis.ResponseError() if any(words in str(exc) for words in _NO_RIGHT):
            return "gives this user too few rights", "compare them with ops/redis/leadlane.acl"
        case _ if isinstance(tls, ssl.SSLCertVerificationError):
            return (
                f"shows a certificate that is not trusted ({tls.verify_message.rstrip('.')})",
                "name the file of its CA in redis_ca, and the host as its certificate does",
            )
        case _ if tls:
            reason = (tls.reason or type(tls).__name__).replace("_", " ").lower()
            return (
                f"cannot be spoken to in TLS ({reason})",
                "is rediss:// right, and are redis_ca and redis_client_cert?",
            )
        case redis.ConnectionError() | redis.TimeoutError():
            return "does not answer", "is it running, and is the URL right?"
    return f"refuses ({type(exc).__name__})", "is it a primary of version 6.2 or newer?"


def _cause(exc: BaseException, kind: type[T]) -> T | None:
    """The exception of this kind that it came from, if any."""
    at: BaseException | None = exc
    while at:
        if isinstance(at, kind):
            return at
        at = at.__cause__ or at.__context__
    return None


def tellable(exc: BaseException) -> Exception:
    """The exception itself if its words may be shown, else an `InternalError` in its place."""
    if isinstance(exc, _TELLABLE):
        # A cause, explicit or implicit, would be printed with it, words and all.
        exc.__cause__ = exc.__context__ = None
        return exc
    where = place(exc.__traceback__)
    return InternalError(f"{type(exc).__name__} at {where}" if where else type(exc).__name__)


def told(exc: BaseException) -> str:
    """One line about the exception, for a log."""
    shown = tellable(exc)
    return str(shown) if isinstance(shown, InternalError) else f"{type(shown).__name__}: {shown}"


def place(trace: TracebackType | None) -> str:
    """``module:line`` of the innermost frame in our own code, else of the innermost one; "" without frames."""
    frames = [f"{frame.f_globals.get('__name__')}:{line}" for frame, line in walk_tb(trace)]
    ours = [frame for frame in frames if frame.startswith("leadlane.")]
    return (ours or frames or [""])[-1]
