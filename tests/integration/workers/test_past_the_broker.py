"""A task that came past the broker: Celery stores no result of it, so the finish list must."""

from typing import Any

import pytest
from celery.app.trace import build_tracer
from celery.result import AsyncResult

from leadlane.schemas.settings import load_settings
from leadlane.tasks import make_worker_app
from leadlane.workers.calling import TASK_OF, safe_kwargs
from leadlane.workers.loopback import HERE_HEADER
from leadlane.workers.runtime import build_engine
from tests.integration.workers.test_unsettled import Desk, desk

__all__ = ["desk"]


@pytest.mark.parametrize("here", [True, False])
def test_a_command_that_was_over_when_its_task_came_has_its_result(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, here: bool
) -> None:
    monkeypatch.setenv("NONE", "a-key")
    settings = load_settings()
    app = make_worker_app(settings)
    app.engine, _ = build_engine(app, settings, slots={"turns": 1, "control": 1})
    spring = desk.fleet.campaign("voiso/1")
    older, _newer = spring.start().id, spring.start().id
    result: AsyncResult[Any] = AsyncResult(older, app=app)
    assert result.state == "PENDING"
    assert desk.client.zscore("leadlane:finish", older)

    task = app.tasks[TASK_OF["start"]]
    kwargs = safe_kwargs("voiso", "1", older, older)
    request = {"id": older, "hostname": "w@h", "ignore_result": here, **({HERE_HEADER: 1} if here else {})}
    build_tracer(task.name, task, app=app)(older, (), kwargs, request)

    assert result.state == "SUCCESS"
    assert result.result["outcome"] == "superseded"
    assert desk.client.zscore("leadlane:finish", older) is None
