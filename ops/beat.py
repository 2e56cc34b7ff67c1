"""Beat: sends the periodic tasks of the app's ``beat_schedule``, once in the fleet however many beats run.

Schedule and lock are in Redis (RedBeat). A beat without the lock waits for it, and takes over within
``redbeat_lock_timeout`` and a loop when its holder has died. One that loses the lock, or cannot reach Redis for
a minute, ends: run it under a supervisor. Around a take-over a tick may come late, or twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redbeat.schedulers import RetryingConnection  # type: ignore[import-untyped]

from leadlane.schemas.redis_urls import is_sentinels
from leadlane.workers.celery_app import make_app
from leadlane.workers.connection import reach

if TYPE_CHECKING:
    from leadlane.schemas.settings import Settings


def run(settings: Settings, *, loglevel: str = "INFO") -> None:
    """Runs beat in this process until a signal ends it."""
    app: Any = make_app(settings)
    if is_sentinels(settings.redis_url):
        # RedBeat knows sentinels by a URL of its own kind only, but takes the client that it finds here.
        options = dict(app.conf.redbeat_redis_options)
        retry_period = options.pop("retry_period")
        client = reach(settings, settings.redis_url, decode_responses=True, **options)
        app.redbeat_redis = RetryingConnection(retry_period, client)
    app.Beat(loglevel=loglevel, quiet=True).run()
