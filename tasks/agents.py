"""Agents of campaigns: ``leadlane.agents.add``, ``.remove`` and ``.sync``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadlane.schemas.commands import load_agents_command
from leadlane.tasks.commands import bring
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers.commands import asked_of_agents


def _bring(self: LaneTask, operation: str, kwargs: Mapping[str, Any]) -> Mapping[str, object]:
    command = load_agents_command(kwargs)
    return bring(
        self, operation, command, lambda facts: asked_of_agents(facts, operation, command.user_ids or ())
    )


def add(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Put agents on a campaign. One positional value, a chain's, is ignored."""
    return _bring(self, "add_agents", kwargs)


def remove(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Take agents off a campaign. One positional value, a chain's, is ignored."""
    return _bring(self, "remove_agents", kwargs)


def sync(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Make a campaign's agents exactly these. One positional value, a chain's, is ignored."""
    return _bring(self, "sync_agents", kwargs)


TASKS = (
    TaskBody("leadlane.agents.add", add, LaneTask),
    TaskBody("leadlane.agents.remove", remove, LaneTask),
    TaskBody("leadlane.agents.sync", sync, LaneTask),
)
