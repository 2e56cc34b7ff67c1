"""Commands come on a line of their own: imports on all threads of a worker never delay a stop.

A worker takes messages while it has a thread for them, from all its queues. The queue `control` is read on a second
channel, which may use all threads; the first one, with all other queues, leaves `RESERVED` of them free.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from celery import bootsteps
from celery.worker import state
from kombu.common import ignore_errors

RESERVED = 2
"""Threads of a worker that only commands may use; `leadlane worker` adds them to its concurrency."""


class ControlLine(bootsteps.StartStopStep):
    """Moves the queue `control` of a worker that reads others too to a channel of its own."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.consumer: Any = None

    def start(self, parent: Any) -> None:
        """Called at every connection, before anything is consumed."""
        queues, threads = parent.app.amqp.queues.consume_from, parent.pool.num_processes
        if "control" not in queues or len(queues) == 1 or threads <= RESERVED:
            return
        _limit(parent.task_consumer.channel.qos, threads - RESERVED)
        channel = parent.connection.channel()
        _limit(channel.qos, threads)
        self.consumer = parent.app.amqp.TaskConsumer(
            channel, queues=[queues["control"]], on_decode_error=parent.on_decode_error
        )
        self.consumer.on_message = parent.create_task_handler()
        self.consumer.consume()
        # As if it consumed it too, so that `inspect active_queues` and Flower name the queue.
        parent.task_consumer._active_tags |= self.consumer._active_tags  # noqa: SLF001

    def stop(self, parent: Any) -> None:
        """Take no more."""
        if self.consumer:
            ignore_errors(parent, self.consumer.cancel)

    def shutdown(self, parent: Any) -> None:
        """The connection is given back."""
        self.stop(parent)
        if self.consumer:
            ignore_errors(parent, self.consumer.close)
            self.consumer = None


def _limit(qos: Any, threads: int) -> None:
    """Let this channel take messages while fewer threads than these are in use (`worker_disable_prefetch`)."""
    allowed = qos.can_consume

    def can_consume(_: Any) -> bool:
        return len(state.reserved_requests) < threads and bool(allowed())

    qos.can_consume = MethodType(can_consume, qos)
