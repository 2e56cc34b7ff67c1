"""What may be told of an exception: its own words if they are ours, else its type and its place in the code.

The text of an exception nobody foresaw may hold anything: a lead, or a URL with a key in it. What leaves a
worker (results, events, logs) is therefore an error of `leadlane.schemas.errors`, one of Celery's own
bookkeeping, or an `InternalError` such as "KeyError at leadlane.workers.ledger:123".
"""

from __future__ import annotations

from traceback import walk_tb
from typing import TYPE_CHECKING

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

from leadlane.schemas.errors import LeadlaneError

if TYPE_CHECKING:
    from types import TracebackType

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
