"""Housekeeping that beat sends."""

from __future__ import annotations

from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers.counting import recount


def sweep(self: LaneTask, *_: object) -> dict[str, int]:
    """Forget what is past its retention: jobs and tickets in the indexes whose record has gone. May run twice.

    Counts anew what waits, too: ``recounted`` is in how many lanes the count was wrong, as after old and new versions
    have worked beside each other.

    Tickets, payloads, reports and job records end by themselves (they expire from their final state on); this
    takes their names off the lists that have no expiry.
    """
    return {**self.engine.jobs.sweep(), "recounted": recount(self.engine.lanes)}


TASKS = (TaskBody("leadlane.maintenance.sweep", sweep, LaneTask),)
