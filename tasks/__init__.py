"""What producers enqueue: thin Celery tasks over the lanes.

``celery -A leadlane.tasks inspect active`` works: ``app`` is made from the settings when it is first asked for.
"""

from __future__ import annotations

from functools import cache

from leadlane.schemas.settings import Settings, load_settings
from leadlane.tasks import agents, campaigns, leads, lookups, maintenance, suppress
from leadlane.workers.celery_app import make_app
from leadlane.workers.loopback import LoopbackStep
from leadlane.workers.queue_channels import QueueChannels
from leadlane.workers.runtime import LaneStep, WorkerApp
from leadlane.workers.telling import Telling


def make_worker_app(settings: Settings) -> WorkerApp:
    """The Celery app of a worker: with our tasks, and with the engine they work on."""
    app = make_app(settings, app_cls=WorkerApp)
    app.leadlane = settings
    app.steps["worker"].add(LaneStep)
    app.steps["consumer"].update((QueueChannels, LoopbackStep, Telling))
    kinds = (leads, campaigns, agents, lookups, suppress, maintenance)
    for task in (task for kind in kinds for task in kind.TASKS):
        task.register(app)
    return app


@cache
def _default_app() -> WorkerApp:
    return make_worker_app(load_settings())


def __getattr__(name: str) -> WorkerApp:
    if name == "app":
        return _default_app()
    raise AttributeError(name)
