"""Running a worker process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from celery.utils.nodenames import host_format

from leadlane.schemas.errors import WrongUse, did_you_mean
from leadlane.schemas.settings import Settings
from leadlane.tasks import make_worker_app
from leadlane.workers.celery_app import QUEUES
from leadlane.workers.queue_channels import added


def run(
    settings: Settings,
    *,
    concurrency: int = 20,
    queues: Sequence[str] = QUEUES,
    name: str = "worker",
    loglevel: str = "INFO",
    heartbeat: Path | None = None,
) -> None:
    """Run a worker in this process until it is told to stop (SIGTERM: ends what runs, then goes).

    Args:
        settings: accounts with their keys, URLs.
        concurrency: calls in flight at once, threads; those for intake and for commands come on top.
        queues: what it serves, in the order of ``QUEUES``; ``control`` alone makes a control worker.
        name: first part of its node name, ``NAME@host``.
        loglevel: of Celery and ours.
        heartbeat: a file that is touched every few seconds while the worker does its work.

    Raises WrongUse for a queue that is not ours: nobody would write to it.
    """
    if unknown := [queue for queue in queues if queue not in QUEUES]:
        raise WrongUse(f"queues: '{unknown[0]}' is none of ours; {did_you_mean(unknown[0], QUEUES)}")
    app = make_worker_app(settings)
    app.heartbeat = heartbeat
    threads = concurrency + (added(queues) if concurrency > 1 else 0)
    # What `celery worker` does too, without its command line, which loads all of Celery's commands and Flower.
    # Gossip and mingle cost every worker a message from every other; nothing here needs them.
    worker = app.Worker(
        hostname=host_format(f"{name}@%h"),
        concurrency=threads,
        queues=queues,
        loglevel=loglevel,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    sys.exit(worker.exitcode)
