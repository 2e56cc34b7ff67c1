"""Campaign states: ``leadlane.campaigns.start``, ``.pause`` and ``.stop``."""

from __future__ import annotations

from collections.abc import Mapping

from leadlane.schemas.commands import load_state_command
from leadlane.tasks.commands import bring
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody


def start(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Start a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "start", load_state_command(kwargs))


def pause(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Pause a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "pause", load_state_command(kwargs))


def stop(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Stop a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "stop", load_state_command(kwargs))


TASKS = (
    TaskBody("leadlane.campaigns.start", start, LaneTask),
    TaskBody("leadlane.campaigns.pause", pause, LaneTask),
    TaskBody("leadlane.campaigns.stop", stop, LaneTask),
)
