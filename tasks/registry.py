"""What a task is before an app has it: its name and body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import Celery

from leadlane.workers.redaction import SafeTask


@dataclass(frozen=True, slots=True)
class TaskBody:
    """A task by its contract name; ``base`` carries what all tasks of its kind do."""

    name: str
    body: Callable[..., Any]
    base: type[SafeTask] = SafeTask

    def register(self, app: Celery) -> None:
        """Make it a task of this app."""
        app.task(name=self.name, bind=True, base=self.base)(self.body)
