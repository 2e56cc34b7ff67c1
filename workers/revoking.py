"""Revoking a task cancels its ticket, and the pieces it was cut into.

A ticket that waits in its lane has no message, so Celery's own way, to drop the message when it comes, would
leave it to its turn. Here a worker that hears of a revocation cancels at once: by Celery's remote control
(``app.control.revoke``, ``AsyncResult.revoke``, ``terminate``, Flower's button), and by the signal
``task_revoked`` when a worker has dropped the message of a called ticket. What has left keeps its outcome.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import redis
import structlog
from celery import Celery, signals
from celery.utils.functional import maybe_list
from celery.worker import control as celery_control

from leadlane.workers import finishing

log = structlog.get_logger(__name__)
control: Any = celery_control  # its commands are not in the stubs
_celery_revoke = control.revoke


def install() -> None:
    """From now on, revocations that this worker process hears of cancel tickets. May be called again."""
    register = control.Panel.register
    register(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")(revoke)
    register(
        name="terminate",
        variadic="task_id",
        args=[("signal", str)],
        signature="<signal> [id1 [id2 [... [idN]]]]",
    )(terminate)
    signals.task_revoked.connect(_on_revoked, dispatch_uid=__name__)


def revoke(state: Any, task_id: Any, terminate: bool = False, signal: Any = None, **kwargs: Any) -> Any:  # noqa: ARG001
    """Revoke task by task id (or list of ids). Nothing is killed: calls end at their own deadline."""
    ids = maybe_list(task_id) or []
    answer = _celery_revoke(state, ids, **kwargs)
    cancel(state.app, ids)
    return answer


def terminate(state: Any, signal: Any, task_id: Any, **kwargs: Any) -> Any:
    """Revoke task by task id (or list of ids); the same as revoke."""
    return revoke(state, task_id, signal=signal, **kwargs)


def cancel(app: Celery, tasks: Iterable[str]) -> None:
    """Cancel the tickets of these tasks as far as there are any, and write the results of those that are over."""
    engine = getattr(app, "engine", None)
    if engine is None:
        return
    try:
        over = [task for task in tasks if engine.jobs.cancel_task(str(task)) == "done"]
        finishing.write(app, engine.jobs, over)
    except redis.RedisError as exc:
        log.warning("revoked tasks not cancelled, redis is away", error=type(exc).__name__)


def _on_revoked(sender: Any = None, request: Any = None, expired: bool = False, **_: Any) -> None:
    if not expired:  # a ticket has a time of its own
        cancel(sender.app, [request.id])
