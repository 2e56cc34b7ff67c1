"""Celery results: how a worker writes them, and how tickets that end without a task of their own get theirs.

`finish` is for riders and for cancelled, expired and dead tickets: whoever ends them writes their results and
events, so that ``AsyncResult(ticket).get()`` and Flower show them like any other task.
"""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

from celery import states
from celery.app.task import Context
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.utils.nodenames import default_nodename
from redis import Connection
from redis.sentinel import SentinelManagedConnection

from .connection import fit_for_celery
from .faults import OUTAGES, tellable
from .telling import Ended, tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

_ROWS_PER_TRIP = 100


def finish(app: Celery, rows: Iterable[Ended], *, hostname: str | None = None, silent: str = "") -> None:
    """Writes the results of these tickets, wakes whoever waits for one, and sends their events.

    One round trip for a hundred results, one for their events. The same rows again change nothing; their events
    appear twice. Events are for people to look at: they are lost if the broker is away. Any thread may call this.

    Args:
        app: made by `leadlane.workers.celery_app.make_app`.
        rows: read lazily.
        silent: a task of these whose events others send.
        hostname: node name of the worker, ``celery@host``, on whose account Flower books the tasks.

    Raises:
        redis.RedisError: some results may not be written; call again with the same rows.
    """
    pending = iter(rows)
    while batch := list(islice(pending, _ROWS_PER_TRIP)):
        cast("Results", app.backend).store_many(batch)
        told = [row for row in batch if row.task_id != silent]
        if told and app.conf.worker_send_task_events:
            tell(app, told, hostname or default_nodename(""))


class Results(RedisBackend):
    """Celery's Redis backend with an order between states.

    Celery reads what is stored, then writes: the RETRY of a slower worker that comes between the two, or after a
    FAILURE, buries the outcome, and whoever waits for it waits for ever. Here one script decides in Redis. Also:
    exceptions are stored in words that may be shown and without traceback, and meeting an outage is no failure. A
    server that cannot serve now is away.
    """

    _behind_sentinels = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plain = SentinelManagedConnection if self._behind_sentinels else Connection
        options: dict[str, Any] = cast("Any", self).connparams
        options["connection_class"] = fit_for_celery(options.get("connection_class", plain))

    @cached_property
    def _script(self) -> Any:
        source = files("leadlane.workers").joinpath("lua", "store_result.lua").read_text()
        return self.client.register_script(source)

    def store_many(self, rows: Iterable[Ended]) -> None:
        """Writes the results of these tickets in one round trip.

        Raises:
            redis.RedisError: some may not be written.
        """
        # With a request of its own: else the children of the task that runs here would be theirs.
        common = self._meta(None, states.SUCCESS, Context())
        self._put((row.task_id, common | self._end_of(row)) for row in rows)

    def _end_of(self, row: Ended) -> dict[str, Any]:
        result = row.result if row.state == states.SUCCESS else row.raised
        return {"status": row.state, "result": self.encode_result(result, row.state)}

    def encode_result(self, result: Any, state: str) -> Any:
        """The result in the form in which it is stored."""
        return super().encode_result(tellable(result) if isinstance(result, Exception) else result, state)

    def mark_as_failure(self, task_id: str, exc: Exception, *args: Any, **kwargs: Any) -> None:
        """Fails the task, what is chained to it and its chord; not if all it met was an outage.

        Then its message goes back to its queue (`leadlane.workers.redaction.SafeRequest.on_failure`).
        """
        if not (isinstance(exc, OUTAGES) and kwargs.get("request")):
            super().mark_as_failure(task_id, tellable(exc), *args, **kwargs)

    def on_task_call(self, producer: object, task_id: str) -> None:
        """Nothing: who waits for a result subscribes to it, not everyone who publishes a task."""

    def _store_result(
        self, task_id: str, result: Any, state: str, _traceback: object = None, request: Any = None, **_: Any
    ) -> Any:
        self._put([(task_id, self._meta(result, state, request))])
        return result

    def _meta(self, result: Any, state: str, request: Any) -> dict[str, Any]:
        base: Any = super()
        meta: dict[str, Any] = base._get_result_meta(result, state, traceback=None, request=request)  # noqa: SLF001  # our base's
        return meta

    def _put(self, rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
        keys: list[Any] = []
        args: list[Any] = [cast("Any", self).expires or 0]
        for task_id, meta in rows:
            keys.append(self.get_key_for_task(task_id))
            args += (self.encode({**meta, "task_id": task_id}), meta["status"])
        self._script(keys=keys, args=args, client=self.client)


class SentinelResults(Results, SentinelBackend):
    """The same in the primary that Sentinel names, for sentinel:// URLs."""

    _behind_sentinels = True
