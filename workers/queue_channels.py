"""Queues are read on channels of their own: calls never keep intake from its thread, nor both of them a stop.

A worker takes messages while it has a thread for them. Here that is a bound per channel, each within the next: `turns`
has as many threads as calls may be made at once, all other queues one more, for intake, and `control` all there are.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from types import MethodType
from typing import Any

from celery import bootsteps
from kombu.common import ignore_errors

FOR_INTAKE, FOR_CONTROL = 1, 2
"""Threads of a worker that calls leave to intake, and all but commands to them, if it reads these queues too."""


def added(queues: Collection[str]) -> int:
    """Threads that a worker of these queues needs beside those for its calls."""
    return kept_for_control(queues) + (FOR_INTAKE if {"intake", "turns"} <= set(queues) else 0)


def kept_for_control(queues: Collection[str]) -> int:
    """Threads that only commands may use; a worker that does nothing else keeps none from itself."""
    return FOR_CONTROL if {"control"} < set(queues) else 0


def bounds(threads: int, queues: Collection[str]) -> dict[str, int]:
    """Fewer threads than these must be in use for a worker with so many to take a message from each of its queues."""
    others = threads - kept_for_control(queues) if threads > FOR_CONTROL else threads
    calls = max(others - FOR_INTAKE, 1) if "intake" in queues else others
    return {queue: {"control": threads, "turns": calls}.get(queue, others) for queue in queues}


def but_for_commands(threads: int, queues: Collection[str]) -> int:
    """Threads of such a worker that work on what is no command, or, if it has no other work, all."""
    return max(n for queue, n in bounds(threads, queues).items() if queue != "control" or len(queues) == 1)


def slots(threads: int, queues: Collection[str]) -> dict[str, int]:
    """Calls of `turns` and of `control` that such a worker can work on at once."""
    others = 0 if len(queues) == 1 else but_for_commands(threads, queues)
    return {
        "turns": bounds(threads, queues).get("turns", 0),
        "control": max(threads - others, 1) if "control" in queues else 0,
    }


class QueueChannels(bootsteps.StartStopStep):
    """Moves the queues with other bounds than the rest to channels of their own."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        self.consumers: list[Any] = []

    def start(self, parent: Any) -> None:
        """Called at every connection, before anything is consumed."""
        queues, threads = parent.app.amqp.queues.consume_from, parent.pool.num_processes
        stay = but_for_commands(threads, queues)
        _bound(parent, parent.task_consumer.channel.qos, stay)
        for queue, bound in bounds(threads, queues).items():
            if bound != stay or (queue == "turns" and bound < threads):
                self._move(parent, queues[queue], bound)

    def _move(self, parent: Any, queue: Any, bound: int) -> None:
        channel = parent.connection.channel()
        _bound(parent, channel.qos, bound)
        consumer = parent.app.amqp.TaskConsumer(
            channel, queues=[queue], on_decode_error=parent.on_decode_error
        )
        handle = parent.create_task_handler()
        arrived = partial(parent.app.loopback.arrived, handle=handle)
        consumer.on_message = arrived if queue.name == "turns" else handle
        consumer.consume()
        self.consumers.append(consumer)
        # As if it consumed it too, so that `inspect active_queues` and Flower name the queue.
        parent.task_consumer._active_tags |= consumer._active_tags  # noqa: SLF001

    def stop(self, parent: Any) -> None:
        """Take no more."""
        for consumer in self.consumers:
            ignore_errors(parent, consumer.cancel)

    def shutdown(self, parent: Any) -> None:
        """The connection is given back."""
        self.stop(parent)
        for consumer in self.consumers:
            ignore_errors(parent, consumer.close)
        self.consumers = []


def _bound(parent: Any, qos: Any, threads: int) -> None:
    """Let this channel take messages while fewer threads than these are in use (`worker_disable_prefetch`)."""
    allowed, in_use = qos.can_consume, parent.app.loopback.in_use

    def can_consume(_: Any) -> bool:
        return bool(in_use() < threads and allowed())

    qos.can_consume = MethodType(can_consume, qos)
