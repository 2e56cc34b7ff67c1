"""Beat: sends the periodic tasks of the app's ``beat_schedule``, once in the fleet however many beats run.

Schedule and lock are in Redis (RedBeat). A beat without the lock waits for it, and takes over within
``redbeat_lock_timeout`` and a loop when its holder has died. One that loses the lock, or cannot reach Redis for
a minute, ends: run it under a supervisor. Around a take-over a tick may come late, or twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from leadlane.workers.celery_app import make_app

if TYPE_CHECKING:
    from leadlane.schemas.settings import Settings


def run(settings: Settings, *, loglevel: str = "INFO") -> None:
    """Runs beat in this process until a signal ends it."""
    make_app(settings).Beat(loglevel=loglevel, quiet=True).run()
