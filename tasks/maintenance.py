"""Housekeeping that beat sends."""

from __future__ import annotations

from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody


def sweep(self: LaneTask, *_: object) -> dict[str, int]:
    """Forget what is past its retention: jobs and tickets in the indexes whose record has gone. May run twice.

    Tickets, payloads, reports and job records end by themselves (they expire from their final state on); this
    takes their names off the lists that have no expiry.
    """
    return self.engine.jobs.sweep()


TASKS = (TaskBody("leadlane.maintenance.sweep", sweep, LaneTask),)
