"""Opt-outs: ``leadlane.suppress.add``, ``.remove`` and ``.lookup``.

Their numbers lie in the lane, no message has them: a producer enters them through ``Fleet``.
"""

from __future__ import annotations

from collections.abc import Mapping

from leadlane.schemas.commands import load_suppress_command
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers.optouts import NOBODY


def add(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Take in the opt-outs of a ticket, and have the campaigns told that have the numbers."""
    return self.take_turn(load_suppress_command(kwargs), account=NOBODY, operation="suppress")


def remove(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Let the numbers of a ticket be called again."""
    return self.take_turn(load_suppress_command(kwargs), account=NOBODY, operation="unsuppress")


def lookup(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Say which of the numbers of a ticket have opted out, by their places."""
    return self.take_turn(load_suppress_command(kwargs), account=NOBODY, operation="lookup")


TASKS = (
    TaskBody("leadlane.suppress.add", add, LaneTask),
    TaskBody("leadlane.suppress.remove", remove, LaneTask),
    TaskBody("leadlane.suppress.lookup", lookup, LaneTask),
)
