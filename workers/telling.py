"""Events of tasks, for Flower: a worker's go out together, once a second, not each in a message of its own.

Those of tickets that ended without a task of their own (`leadlane.workers.results`) wait with them. Events are for
people to look at: they are lost if the broker is away.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from celery import Celery, bootsteps, states
from celery.exceptions import TaskRevokedError
from celery.utils.text import truncate

from .faults import OUTAGES, tellable

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_S = 1.0
A_MESSAGE = 200
"""Events in one message at most."""
WAITING = 100_000
"""Events that wait at most, the oldest go first: there may be thousands of tickets at once."""
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

    @property
    def raised(self) -> Exception:
        """What its task would have raised."""
        return tellable(self.result) if isinstance(self.result, Exception) else TaskRevokedError(self.result)


class Telling(bootsteps.StartStopStep):
    """Sends what a worker's tasks, and those that ended without one, have to tell."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.entry: Any = None

    def start(self, parent: Any) -> None:
        """Called at every connection, with a dispatcher of its own."""
        if parent.event_dispatcher is None or not parent.hub:
            return
        parent.event_dispatcher.on_send_buffered = None
        parent.event_dispatcher.buffer_limit = A_MESSAGE
        parent.app.waiting_events = deque(getattr(parent.app, "waiting_events", ()), WAITING)
        self.entry = parent.timer.call_repeatedly(EVERY_S, self._send, (parent,))

    def stop(self, parent: Any) -> None:
        """The last ones, if the broker is there."""
        if self.entry:
            self.entry.cancel()
            self.entry = None
            try:
                self._send(parent)
            except OUTAGES:
                pass

    @staticmethod
    def _send(parent: Any) -> None:
        waiting = parent.app.waiting_events
        while waiting and parent.event_dispatcher:
            kind, fields = waiting.popleft()
            parent.event_dispatcher.send(kind, **fields)
        if parent.event_dispatcher:
            parent.event_dispatcher.flush()


def tell(app: Celery, rows: Sequence[Ended], hostname: str) -> None:
    """Send the events of these tickets: in a worker with its own, elsewhere at once."""
    waiting = getattr(app, "waiting_events", None)
    if waiting is not None:
        waiting.extend(_events(rows))
        return
    try:
        _send_now(app, rows, hostname)
    except OUTAGES:
        pass


def _send_now(app: Celery, rows: Sequence[Ended], hostname: str) -> None:
    with app.amqp.producer_pool.acquire(block=True) as producer:
        # Buffering makes all events of the batch one message.
        dispatcher = app.events.Dispatcher(
            producer.connection,
            hostname=hostname,
            channel=producer.channel,
            buffer_while_offline=False,
            buffer_group={"task"},
            buffer_limit=len(rows) * 4,
        )
        with dispatcher:
            for kind, fields in _events(rows):
                dispatcher.send(kind, **fields)
            dispatcher.flush()


def _events(rows: Sequence[Ended]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for row in rows:
        about = {
            "uuid": row.task_id,
            "name": row.task,
            "args": "()",
            "kwargs": row.kwargs,
            "root_id": row.task_id,
        }
        yield "task-received", {**about, "parent_id": None, "retries": 0, "eta": None, "expires": None}
        if row.state == states.REVOKED:
            expired = row.result == "expired"
            yield (
                "task-revoked",
                {"uuid": row.task_id, "terminated": False, "signum": None, "expired": expired},
            )
            continue
        yield (
            "task-started",
            {"uuid": row.task_id},
        )  # without it Flower counts the task as prefetched for ever
        if row.state == states.SUCCESS:
            shown = truncate(repr(row.result), _SHOWN_CHARACTERS)  # counts and ids: nothing deep or long
            yield "task-succeeded", {"uuid": row.task_id, "result": shown, "runtime": None}
        else:
            yield "task-failed", {"uuid": row.task_id, "exception": repr(row.raised), "traceback": None}
