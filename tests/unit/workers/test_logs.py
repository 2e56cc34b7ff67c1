"""Log lines: one per happening, and nothing in them that should not be."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from celery.app import trace
from celery.exceptions import BackendStoreError
from celery.worker.consumer.consumer import CANCEL_TASKS_BY_DEFAULT

from leadlane.schemas.errors import DeadLetter
from leadlane.workers import logs

PHONE = "+4917012345678"
Written = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written() -> Iterator[Written]:
    """Log lines so far, as a program would read them."""
    stream = io.StringIO()
    root = logging.getLogger()
    level = root.level
    logs.configure("INFO", json=True, stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers = [handler for handler in root.handlers if handler.get_name() != logs.__name__]
    root.setLevel(level)
    structlog.reset_defaults()


def celery_says(template: str, level: int = logging.INFO, **about: object) -> None:
    """A line about a task as Celery writes it."""
    data = {"name": "leadlane.leads.import", "id": "id-1", "args": PHONE, "kwargs": PHONE, **about}
    said_by = "celery.worker.strategy" if template == trace.LOG_RECEIVED else "celery.app.trace"
    logging.getLogger(said_by).log(level, template, data, extra={"data": data})


def test_a_line_of_ours_has_its_fields(written: Written) -> None:
    structlog.get_logger("leadlane.probe").info("lane held", lane="voiso/3", seconds=2)
    (line,) = written()
    assert line.pop("timestamp").endswith("+00:00")
    assert line == {
        "level": "info",
        "event": "lane held",
        "logger": "leadlane.probe",
        "lane": "voiso/3",
        "seconds": 2,
    }


def test_a_task_that_is_done_is_one_line_with_its_counts(written: Written) -> None:
    celery_says(trace.LOG_SUCCESS, runtime=0.41234, return_value="{'created': 3}")
    (line,) = written()
    assert (line["event"], line["task"], line["id"]) == ("task done", "leadlane.leads.import", "id-1")
    assert (line["seconds"], line["result"]) == (0.412, "{'created': 3}")
    assert "args" not in line


def test_a_task_that_met_an_outage_is_not_called_failed(written: Written) -> None:
    error = BackendStoreError("failed to store result on the backend")
    data = {"name": "leadlane.leads.import", "id": "id-1", "description": "raised", "exc": repr(error)}
    logging.getLogger("celery.app.trace").error(
        trace.LOG_FAILURE, data, exc_info=(type(error), error, None), extra={"data": data}
    )
    (line,) = written()
    assert (line["event"], line["error"]) == ("task comes again", "BackendStoreError: " + str(error))


def test_a_parked_task_is_one_quiet_line(written: Written) -> None:
    celery_says(trace.LOG_RECEIVED)
    celery_says(trace.LOG_RETRY, exc="parked")
    (line,) = written()
    assert (line["level"], line["event"], line["why"]) == ("info", "task parked", "parked")


@pytest.mark.usefixtures("written")
def test_who_wants_to_know_more_sees_tasks_arrive() -> None:
    stream = io.StringIO()
    logs.configure("DEBUG", json=True, stream=stream)
    celery_says(trace.LOG_RECEIVED)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["task received"]


def test_an_exception_is_its_type_and_place(written: Written) -> None:
    try:
        raise KeyError(PHONE)
    except KeyError:
        logging.getLogger("somebody").exception("it broke")
        structlog.get_logger("leadlane.probe").exception("it broke")
    for line in written():
        assert line["event"] == "it broke"
        assert line["error"].startswith(f"KeyError at {__name__}:")
        assert "exc_info" not in line


def test_an_error_of_ours_is_told_in_its_words_without_its_cause(written: Written) -> None:
    try:
        try:
            raise KeyError(PHONE)
        except KeyError as exc:
            raise DeadLetter("poison") from exc
    except DeadLetter as exc:
        structlog.get_logger("leadlane.probe").error("dead", why=exc)
    (line,) = written()
    assert line["why"] == "DeadLetter: poison"


@pytest.mark.parametrize("payload", [{"body": PHONE}, [PHONE], (PHONE,), PHONE.encode(), KeyError(PHONE)])
def test_what_others_log_of_a_payload_is_its_size(written: Written, payload: object) -> None:
    logging.getLogger("kombu").error("Could not restore message: %r", payload)
    logging.getLogger("kombu").error("Could not restore %s of %r: %s", "queue", payload, payload)
    first, second = written()
    assert PHONE not in str([first, second])
    assert first["event"].startswith("Could not restore message: ")
    assert second["event"].startswith("Could not restore queue of ")


def test_a_template_that_does_not_fit_its_arguments_still_says_what_happened(written: Written) -> None:
    (handler,) = [handler for handler in logging.getLogger().handlers if handler.get_name() == logs.__name__]
    handler.handle(logging.LogRecord("kombu", logging.ERROR, "", 0, "only %s", (PHONE, PHONE), None))
    (line,) = written()
    assert line["event"] == "only %s"


def test_a_number_that_slipped_through_is_struck_out(written: Written) -> None:
    logging.getLogger("somebody").error("calling %s now", PHONE)
    structlog.get_logger("leadlane.probe").info("calling", number=PHONE)
    assert written()[0]["event"] == "calling <number> now"
    assert written()[1]["number"] == "<number>"


def test_text_of_many_lines_is_one_line(written: Written) -> None:
    logging.getLogger("celery").error("Received unregistered task.\nThe message\n\n  was dropped.")
    assert written()[0]["event"] == "Received unregistered task. The message was dropped."


def test_a_warning_about_an_exception_is_cut_before_its_text(written: Written) -> None:
    logging.captureWarnings(True)
    try:
        warnings.warn(
            RuntimeWarning(f"Exception raised outside body: KeyError('{PHONE}'):\nTrace"), stacklevel=1
        )
    finally:
        logging.captureWarnings(False)
    (line,) = written()
    assert line["event"].endswith("RuntimeWarning: Exception raised outside body")


def test_celerys_advice_on_a_lost_connection_is_not_written(written: Written) -> None:
    logging.getLogger("py.warnings").warning("%s", f"consumer.py:1: Warning: {CANCEL_TASKS_BY_DEFAULT}")
    assert written() == []


def test_the_pool_never_writes_the_bodies_of_tasks(written: Written) -> None:
    logs.configure("DEBUG", json=True)
    assert not logging.getLogger("celery.pool").isEnabledFor(logging.DEBUG)


def test_a_level_below_is_not_written(written: Written) -> None:
    structlog.get_logger("leadlane.probe").debug("detail")
    logging.getLogger("celery").debug("detail")
    assert written() == []


def test_configured_again_it_writes_to_the_new_place_only(written: Written) -> None:
    elsewhere = io.StringIO()
    logs.configure("INFO", json=False, stream=elsewhere)
    structlog.get_logger("leadlane.probe").info("lane held", lane="voiso/3")
    assert written() == []
    assert "lane held" in elsewhere.getvalue()
    assert "\x1b" not in elsewhere.getvalue()
