"""What producers enqueue: thin Celery tasks over the lanes."""

from __future__ import annotations

from leadlane.schemas.settings import Settings
from leadlane.tasks import leads, maintenance
from leadlane.workers.celery_app import make_app
from leadlane.workers.runtime import LaneStep, WorkerApp


def make_worker_app(settings: Settings) -> WorkerApp:
    """The Celery app of a worker: with our tasks, and with the engine they work on."""
    app = make_app(settings, app_cls=WorkerApp)
    app.leadlane = settings
    app.steps["worker"].add(LaneStep)
    for task in (*leads.TASKS, *maintenance.TASKS):
        task.register(app)
    return app
