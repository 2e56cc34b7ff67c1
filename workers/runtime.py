"""A worker process's engine, as a bootstep: it stands when the pool does and leaves when work is done."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from celery import Celery, bootsteps, signals
from celery.worker import state
from kombu.exceptions import ChannelError, OperationalError

from leadlane.schemas.settings import Settings, resolve_key
from leadlane.workers import calling, finishing, leaving, revoking
from leadlane.workers.accounts import publish_facts, take_up
from leadlane.workers.connection import reach_at_once
from leadlane.workers.counting import count_once
from leadlane.workers.dispatcher import Dispatcher
from leadlane.workers.engine import Engine
from leadlane.workers.faults import OUTAGES
from leadlane.workers.hiding import hash_key
from leadlane.workers.jobs import Jobs
from leadlane.workers.keeper import Keeper
from leadlane.workers.lanes import Call, Lanes, Row
from leadlane.workers.lead_ids import LeadIds
from leadlane.workers.loopback import Loopback
from leadlane.workers.memory import settle_down
from leadlane.workers.optouts import OptOuts
from leadlane.workers.pulse import ROUND_S, Pulse, all_stuck, answers
from leadlane.workers.queue_channels import but_for_commands, slots
from leadlane.workers.transport import Transport

log = structlog.get_logger(__name__)
T = TypeVar("T")
START_LOOK_S = 1.0
"""How often a worker that cannot start yet tries again."""


class WorkerApp(Celery):
    """A Celery app of a worker: it knows the settings of its fleet and, once it works, its engine."""

    leadlane: Settings
    engine: Engine
    stopping: threading.Event
    """Set when tasks that wait for Redis shall give up."""
    loopback: Loopback
    heartbeat: Path | None = None
    """The file of its pulse, if it shall have one."""


class LaneStep(bootsteps.StartStopStep):
    """Starts keeper and dispatcher with the pool; at the end stops calling first and keeps leases to the last."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.dispatcher: Dispatcher | None = None
        self.leaving = False
        self.keeper: Keeper | None = None

    def start(self, parent: Any) -> None:
        """Make the engine and give it to the app, where tasks find it."""
        app: WorkerApp = parent.app
        app.stopping = stopping = threading.Event()
        app.loopback = Loopback(slots(*shape(parent)))
        app.engine, self.dispatcher = once_redis_answers(
            lambda: build_engine(
                app,
                app.leadlane,
                slots=slots(*shape(parent)),
                stopping=stopping.is_set,
                hostname=parent.hostname,
                loopback=app.loopback,
            )
        )
        signals.task_postrun.connect(app.loopback.task_ended, weak=False, dispatch_uid=__name__)
        revoking.install()
        self.stopping = stopping
        self.keeper = app.engine.keeper
        once_redis_answers(self.keeper.start)
        self.dispatcher.start()
        if app.heartbeat:
            keeper, broker = self.keeper, reach_at_once(app.leadlane, app.leadlane.broker_url)
            pulse = Pulse(app.heartbeat, keeps=lambda: keeper.lives, broker_answers=lambda: answers(broker))

            def comes_round() -> None:
                if not all_stuck(state.active_requests, but_for_commands(*shape(parent)), time.time()):
                    pulse.came_round()

            # Celery's own timer: its entries run in the consumer's loop, between messages, and nowhere else.
            parent.timer.call_repeatedly(ROUND_S, comes_round)
            pulse.start()
        settle_down()
        signals.worker_shutdown.connect(self._gone, sender=parent)

    def close(self, parent: Any) -> None:
        """Shutdown begins: no calls of ours, none for us; the pool still ends what runs."""
        if self.keeper and self.dispatcher:
            if not self.leaving:
                settings, self.leaving = parent.app.leadlane, True
                leaving.watch(reach_at_once(settings, settings.redis_url))
            self.dispatcher.stop()
            self.keeper.goodbye()

    def stop(self, parent: Any) -> None:
        """Shutdown: a task that waits for Redis gives up; its message stays and comes again."""
        self.close(parent)
        if self.keeper:
            self.stopping.set()

    def _gone(self, **_: Any) -> None:
        """The pool has ended its last task: this process no longer counts as alive."""
        if self.keeper:
            self.keeper.stop()


def once_redis_answers(act: Callable[[], T], *, sleep: Callable[[float], None] = time.sleep) -> T:
    """The act's value; a worker that starts while Redis goes away waits for it, as Celery does for the broker.

    Raises WorkerShutdown if the worker is told to stop meanwhile.
    """
    while True:
        try:
            return act()
        except OUTAGES as exc:
            log.warning("redis is away, the worker starts when it is back", error=type(exc).__name__)
        state.maybe_shutdown()
        sleep(START_LOOK_S)


def shape(parent: Any) -> tuple[int, Collection[str]]:
    """Threads of a worker and the queues that it reads."""
    return max(parent.concurrency or 1, 1), parent.app.amqp.queues.consume_from


def build_engine(
    app: Celery,
    settings: Settings,
    *,
    slots: dict[str, int],
    stopping: Callable[[], bool] = lambda: False,
    hostname: str | None = None,
    loopback: Loopback | None = None,
) -> tuple[Engine, Dispatcher]:
    """The engine of a process and its dispatcher, not started. Reads the keys of all accounts.

    Raises SettingsError if a key cannot be read, or numbers are hidden with another.
    """
    lanes = Lanes.of(settings, kept=True)
    key = hash_key(settings, lanes)
    lanes.vault.take_part(lanes.client, lanes.key("clock"))
    keys = {name: resolve_key(account, os.environ) for name, account in settings.accounts.items()}
    publish_facts(lanes, settings)
    take_up(lanes, settings)
    count_once(lanes)
    jobs = Jobs(lanes)
    keeper = Keeper(
        lanes,
        worker=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:6]}",
        slots=slots,
        lease_s=settings.lease_s,
    )
    publish = publisher(app, loopback)
    dispatcher = Dispatcher(
        lanes,
        publish=publish,
        finish=lambda tickets: finishing.finish_claimed(app, jobs, tickets, hostname=hostname),
        queue_is_empty=lambda queue: _depth(app, queue) == 0,
        threads=lambda: loopback.free("turns") if loopback and slots["turns"] else -1,
    )

    def finish_riders(rows: Sequence[tuple[Row, Mapping[str, object] | None]], holder: str) -> None:
        try:
            finishing.finish_riders(
                app, jobs, rows, written=dispatcher.written, holder=holder, hostname=hostname
            )
        except OUTAGES as exc:
            log.warning("riders' results not written, a dispatcher will", error=type(exc).__name__)

    engine = Engine(
        settings=settings,
        lanes=lanes,
        jobs=jobs,
        transport=Transport(),
        keeper=keeper,
        lead_ids=LeadIds(lanes, key),
        opt_outs=OptOuts(lanes, key),
        keys=keys,
        publish=publish,
        finish=finish_riders,
        wake=dispatcher.wake,
        has_place=loopback.has_place if loopback and slots["turns"] else lambda: True,
        turn_left=loopback.turn_left if loopback else lambda _next: False,
        stopping=stopping,
    )
    return engine, dispatcher


def publisher(app: Celery, loopback: Loopback | None = None) -> Callable[[Call], None]:
    """Publishes calls, those that no thread of ours can take.

    A call that cannot be published is overdue in the lane and repeated from there.
    """

    def publish(call: Call) -> None:
        if loopback and loopback.take(call):
            return
        try:
            calling.publish(app, call)
        except OperationalError as exc:
            log.warning("call not published, its lane repeats it", error=type(exc).__name__)

    return publish


def _depth(app: Celery, queue: str) -> int:
    """Messages in a queue, by a passive declare."""
    with app.connection_for_read() as connection, connection.channel() as channel:
        try:
            declared = channel.queue_declare(queue=queue, passive=True)  # type: ignore[attr-defined]  # not in the stubs
        except ChannelError:
            return 0  # Redis has no empty lists: a queue without messages is "not found"
        return int(declared.message_count)
