"""A worker that starts while Redis goes away (its start is otherwise held by the system tests)."""

import pytest
import redis
from celery.exceptions import WorkerShutdown
from celery.worker import state

from leadlane.schemas.errors import SettingsError
from leadlane.workers.runtime import once_redis_answers


def test_it_waits_until_redis_is_back() -> None:
    answers = iter([redis.ConnectionError(), redis.BusyLoadingError(), None])
    waited: list[float] = []

    def engine() -> str:
        if error := next(answers):
            raise error
        return "engine"

    assert once_redis_answers(engine, sleep=waited.append) == "engine"
    assert len(waited) == 2


def test_it_ends_if_it_is_told_to_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "should_stop", 0)

    def away() -> None:
        raise redis.ConnectionError

    with pytest.raises(WorkerShutdown):
        once_redis_answers(away, sleep=lambda _: pytest.fail("it waits"))


def test_what_waiting_does_not_mend_ends_it_at_once() -> None:
    def wrong() -> None:
        raise SettingsError("accounts.voiso.api_key", "is not there")

    with pytest.raises(SettingsError):
        once_redis_answers(wrong, sleep=lambda _: pytest.fail("it waits"))
