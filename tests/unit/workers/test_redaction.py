"""Arguments and exceptions of a task, as others get to see them."""

from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from leadlane.schemas.errors import DeadLetter
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.faults import InternalError
from leadlane.workers.redaction import redact

PHONE = "+4917012345678"
LEADS = [{"phone_number": PHONE, "name": "Ada"}] * 3


@pytest.fixture
def app() -> Celery:
    return make_app(Settings())


@pytest.mark.parametrize(
    ("kwargs", "shown"),
    [
        ({}, "{}"),
        ({"campaign": "voiso-emea/3"}, "{campaign=voiso-emea/3}"),
        ({"campaign": "voiso/a-1:b", "priority": "urgent"}, "{campaign=voiso/a-1:b, priority=urgent}"),
        ({"batch": "job-1.2", "job": "job-1", "seq": 1700000000000000}, None),
        ({"leads": LEADS}, "{leads=<3 leads>}"),
        ({"user_ids": [1, 2], "numbers": [PHONE]}, "{user_ids=<2 agents>, numbers=<1 numbers>}"),
        ({"on_duplicate": "update"}, "{on_duplicate=update}"),
        ({"campaign": PHONE}, "{<1 hidden>}"),
        ({"campaign": f"voiso/{PHONE}"}, "{<1 hidden>}"),
        ({"job": "4917012345678", "batch": "4917012345678"}, "{<2 hidden>}"),
        ({"seq": PHONE, "priority": PHONE}, "{<2 hidden>}"),
        ({"leads": PHONE}, "{<1 hidden>}"),
        ({"unheard_of": 1, PHONE: 2}, "{<2 hidden>}"),
        ({7: "x"}, "{<1 hidden>}"),
    ],
)
def test_only_known_arguments_of_the_right_look_are_shown(kwargs: dict[Any, Any], shown: str | None) -> None:
    expected = "{batch=job-1.2, job=job-1, seq=1700000000000000}" if shown is None else shown
    assert redact((), kwargs) == ("()", expected)


@pytest.mark.parametrize(
    ("args", "shown"), [((), "()"), (None, "()"), (LEADS, "(<3 hidden>)"), ([PHONE], "(<1 hidden>)")]
)
def test_positional_arguments_are_counted(args: object, shown: str) -> None:
    assert redact(args, {}) == (shown, "{}")


def test_what_is_no_mapping_is_hidden() -> None:
    assert redact((), PHONE) == ("()", "{<hidden>}")


def test_a_published_message_shows_safe_arguments_whatever_its_caller_wished_to_show(app: Celery) -> None:
    message = app.amqp.as_task_v2(
        "id-1",
        "leadlane.leads.import",
        args=(PHONE,),
        kwargs={"campaign": "voiso/3", "leads": LEADS},
        create_sent_event=True,
        argsrepr=PHONE,
        kwargsrepr=PHONE,
    )
    shown = ("(<1 hidden>)", "{campaign=voiso/3, leads=<3 leads>}")
    assert (message.headers["argsrepr"], message.headers["kwargsrepr"]) == shown
    assert (message.sent_event["args"], message.sent_event["kwargs"]) == shown
    assert message.body[0] == (PHONE,)


def run_as_a_worker_does(app: Celery, error: BaseException) -> None:
    """Calls a task whose body raises, with a request on its stack as Celery's tracer puts it."""

    @app.task(name="probe")
    def body() -> None:
        raise error

    body.push_request(called_directly=False)
    body()


@pytest.mark.parametrize(
    "error", [KeyError(PHONE), ValueError(PHONE), ResponseError(f"SET {PHONE}"), OSError(PHONE)]
)
def test_an_exception_nobody_foresaw_is_told_by_type_and_place(app: Celery, error: Exception) -> None:
    with pytest.raises(InternalError) as caught:
        run_as_a_worker_does(app, error)
    line = run_as_a_worker_does.__code__.co_firstlineno + 5
    assert str(caught.value) == f"{type(error).__name__} at {__name__}:{line}"


def test_an_error_of_ours_keeps_its_words_and_loses_its_cause(app: Celery) -> None:
    error = DeadLetter("poison")
    error.__cause__ = KeyError(PHONE)
    with pytest.raises(DeadLetter, match="poison") as caught:
        run_as_a_worker_does(app, error)
    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize("error", [Ignore(), Retry("parked"), Reject("not now", requeue=True)])
def test_what_directs_celery_passes(app: Celery, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_as_a_worker_does(app, error)
    assert caught.value is error


def test_a_retry_for_a_reason_tells_the_reason_safely(app: Celery) -> None:
    with pytest.raises(Retry) as caught:
        run_as_a_worker_does(app, Retry(exc=KeyError(PHONE), when=3))
    assert repr(caught.value.exc) == "InternalError('KeyError')"
    assert PHONE not in str(caught.value)


def test_a_rejection_for_a_reason_tells_the_reason_safely(app: Celery) -> None:
    with pytest.raises(Reject) as caught:
        run_as_a_worker_does(app, Reject(KeyError(PHONE), requeue=True))
    assert repr(caught.value) == "reject requeue=True: KeyError"


def test_an_outage_puts_the_message_back(app: Celery) -> None:
    with pytest.raises(Reject) as caught:
        run_as_a_worker_does(app, RedisConnectionError("Connection refused"))
    assert caught.value.args == ("ConnectionError: Connection refused", True)


def test_a_task_called_like_a_function_raises_what_it_raises(app: Celery) -> None:
    @app.task(name="probe")
    def body() -> None:
        raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        body()
