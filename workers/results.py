"""Celery results: how a worker writes them, and how tickets that end without a task of their own get theirs.

`finish` is for riders and for cancelled, expired and dead tickets: whoever ends them writes their results and
events, so that ``AsyncResult(ticket).get()`` and Flower show them like any other task.
"""

from __future__ import annotations

from functools import cached_property
from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from celery import states
from celery.app.task import Context
from celery.backends.redis import RedisBackend, SentinelBackend
from celery.exceptions import TaskRevokedError
from celery.utils.nodenames import default_nodename
from celery.utils.saferepr import saferepr
from redis import Connection
from redis.sentinel import SentinelManagedConnection

from .connection import fit_for_celery
from .faults import OUTAGES, tellable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery import Celery

_ROWS_PER_TRIP = 100
_SHOWN_CHARACTERS = 1024  # of a result in an event, as Celery does


class Ended(NamedTuple):
    """One ticket that ended without its own task running.

    Attributes:
        task_id: the ticket's id, which is its task's.
        task: name of the task.
        state: of the task, as Celery calls it.
        result: counts of a SUCCESS, error of a FAILURE, reason of a REVOKED ("cancelled", "expired").
        kwargs: what may be shown of the arguments, as `leadlane.workers.redaction.redact` gives it.
    """

    task_id: str
    task: str
    state: Literal["SUCCESS", "FAILURE", "REVOKED"]
    result: dict[str, Any] | Exception | str
    kwargs: str = "{}"


def finish(app: Celery, rows: Iterable[Ended], *, hostname: str | None = None) -> None:
    """Writes the results of these tickets, wakes whoever waits for one, and sends their events.

    One round trip for a hundred results, one for their events. The same rows again change nothing; their events
    appear twice. Events are for people to look at: they are lost if the broker is away. Any thread may call this.

    Args:
        app: made by `leadlane.workers.celery_app.make_app`.
        rows: read lazily.
        hostname: node name of the worker, ``celery@host``, on whose account Flower books the tasks.

    Raises:
        redis.RedisError: some results may not be written; call again with the same rows.
    """
    pending = iter(rows)
    while batch := list(islice(pending, _ROWS_PER_TRIP)):
        cast("Results", app.backend).store_many(batch)
        if app.conf.worker_send_task_events:
            try:
                _send_events(app, batch, hostname or default_nodename(""))
            except OUTAGES:
                pass


def _send_events(app: Celery, rows: list[Ended], hostname: str) -> None:
    with app.amqp.producer_pool.acquire(block=True) as producer:
        # Not the worker's own dispatcher: a reconnect may replace that one under us. Buffering makes all events
        # of the batch one message.
        dispatcher = app.events.Dispatcher(
            producer.connection,
            hostname=hostname,
            channel=producer.channel,
            buffer_while_offline=False,
            buffer_group={"task"},
            buffer_limit=_ROWS_PER_TRIP * 4,
        )
        with dispatcher:
            for row in rows:
                for kind, fields in _events(row):
                    dispatcher.send(kind, uuid=row.task_id, **fields)
            dispatcher.flush()


def _events(row: Ended) -> Iterator[tuple[str, dict[str, Any]]]:
    about = {"name": row.task, "args": "()", "kwargs": row.kwargs, "root_id": row.task_id, "parent_id": None}
    yield "task-received", {**about, "retries": 0, "eta": None, "expires": None}
    if row.state == states.REVOKED:
        yield "task-revoked", {"terminated": False, "signum": None, "expired": row.result == "expired"}
        return
    yield "task-started", {}  # without it Flower counts the task as prefetched for ever
    if row.state == states.SUCCESS:
        yield "task-succeeded", {"result": saferepr(row.result, _SHOWN_CHARACTERS), "runtime": None}
    else:
        yield "task-failed", {"exception": repr(_raised(row)), "traceback": None}


def _raised(row: Ended) -> Exception:
    return tellable(row.result) if isinstance(row.result, Exception) else TaskRevokedError(row.result)


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
        with self.client.pipeline(transaction=False) as pipe:
            for row in rows:
                result = self.encode_result(
                    row.result if row.state == states.SUCCESS else _raised(row), row.state
                )
                # With a request of its own: else the children of the task that runs here would be its children.
                self._put(row.task_id, result, row.state, Context(id=row.task_id), pipe)
            pipe.execute()

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
        self._put(task_id, result, state, request, self.client)
        return result

    def _put(self, task_id: str, result: Any, state: str, request: Any, client: Any) -> None:
        base: Any = super()
        meta = base._get_result_meta(result, state, traceback=None, request=request)  # noqa: SLF001  # our base's
        kept_s = cast("Any", self).expires or 0
        self._script(
            keys=[self.get_key_for_task(task_id)],
            args=[self.encode({**meta, "task_id": task_id}), kept_s, state],
            client=client,
        )


class SentinelResults(Results, SentinelBackend):
    """The same in the primary that Sentinel names, for sentinel:// URLs."""

    _behind_sentinels = True
