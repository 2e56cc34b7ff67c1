"""What is told of exceptions."""

import pytest
from celery.exceptions import MaxRetriesExceededError, TaskRevokedError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from leadlane.schemas.errors import DeadLetter
from leadlane.workers.faults import InternalError, place, tellable, told

PHONE = "+4917012345678"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DeadLetter("poison"), "DeadLetter: poison"),
        (TaskRevokedError("cancelled"), "TaskRevokedError: cancelled"),
        (RedisConnectionError("Connection refused"), "ConnectionError: Connection refused"),
        (InternalError("KeyError at a:1"), "KeyError at a:1"),
        (KeyError(PHONE), "KeyError"),
        (MaxRetriesExceededError(PHONE), "MaxRetriesExceededError"),
        (ResponseError(f"wrong arguments: SET {PHONE}"), "ResponseError"),
    ],
)
def test_words_are_told_if_they_are_ours(error: Exception, line: str) -> None:
    assert told(error) == line


def test_a_place_is_the_innermost_line() -> None:
    def fall() -> None:
        raise KeyError(PHONE)

    with pytest.raises(KeyError) as caught:
        fall()
    assert place(caught.value.__traceback__) == f"{__name__}:{fall.__code__.co_firstlineno + 1}"


def test_a_place_in_our_own_code_goes_before_those_it_calls() -> None:
    with pytest.raises(AttributeError) as caught:
        tellable(3)  # type: ignore[arg-type]  # fails inside leadlane.workers.faults or what it calls
    assert place(caught.value.__traceback__).startswith("leadlane.workers.faults:")


def test_what_was_never_raised_has_no_place() -> None:
    assert place(None) == ""


def test_a_cause_is_not_told_along() -> None:
    error = DeadLetter("poison")
    error.__cause__ = error.__context__ = KeyError(PHONE)
    shown = tellable(error)
    assert shown is error
    assert (shown.__cause__, shown.__context__) == (None, None)
