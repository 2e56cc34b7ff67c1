"""A worker's log: one line for each thing that happened, JSON for machines, columns on a terminal.

`Logs` is the app's ``log``: worker and beat set up logging through it, and Celery configures nothing itself.
Records of Celery, kombu and redis go the same way as our own, on which no traceback, no container and no text of
a foreign exception passes (`leadlane.workers.faults`), and what looks like an E.164 number is struck out.
Handlers that somebody else puts on the root logger get records as they were made.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, TextIO

import structlog
from celery._state import get_current_task
from celery.app import log as celery_log
from celery.app import trace
from celery.utils.log import mlevel

from .faults import OUTAGES, told

if TYPE_CHECKING:
    from structlog.typing import EventDict, Processor, WrappedLogger

# Celery's lines about a task: our words for it, and what its ``exc`` is then.
_OF_A_TASK = {
    trace.LOG_RECEIVED: ("task received", "error"),
    trace.LOG_SUCCESS: ("task done", "error"),
    trace.LOG_FAILURE: ("task failed", "error"),
    trace.LOG_IGNORED: ("task ignored", "why"),
    trace.LOG_REJECTED: ("task rejected", "why"),
    trace.LOG_RETRY: ("task parked", "why"),
}
# A warning of Celery's; what follows is an exception's text and traceback.
_OUTSIDE = "Exception raised outside body"
# Another, at every lost connection: advice on a setting that we have set.
_NO_TLS = "specified (rediss) with no ssl options"
_ADVICE = "In Celery 5.1 we introduced an optional breaking change"
# Of these DEBUG would show the dialers' headers, which may quote a lead or a key.
_WIRE = ("httpcore.", "httpx.")
_PHONE = re.compile(r"\+\d{7,15}\b")


class Logs(celery_log.Logging):
    """Celery's set-up of logging, replaced by `configure`."""

    _setup = False

    def setup_logging_subsystem(
        self, loglevel: int | str | None = None, logfile: str | None = None, *_: Any, **__: Any
    ) -> bool:
        """True: it is done, Celery is to leave logging and stdout alone."""
        if self._first():
            configure(loglevel or "INFO", file=logfile)
        return True

    @classmethod
    def _first(cls) -> bool:
        first, cls._setup = not cls._setup, True
        return first


def configure(
    level: int | str = "INFO",
    *,
    json: bool | None = None,
    file: str | None = None,
    stream: TextIO | None = None,
) -> None:
    """Sends the log of this process to one place; called again, to another.

    Args:
        level: what is below it is not written; "task received" is written at DEBUG only.
        json: one JSON object a line; False: columns; None: columns on a terminal, else JSON.
        file: path of a file to append to; it may be moved away while we write.
        stream: where to write without a file; stderr if not given.
    """
    stream = stream or sys.stderr
    terminal = file is None and stream.isatty()
    as_json = not terminal if json is None else json
    colours = terminal and not os.environ.get("NO_COLOR")
    render: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=colours)
    )
    handler = WatchedFileHandler(file, encoding="utf-8") if file else logging.StreamHandler(stream)
    handler.set_name(__name__)
    handler.addFilter(_worth_a_line)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                _head,
                _celery,
                _harmless,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                render,
            ],
            pass_foreign_args=True,
            use_get_message=False,
        )
    )
    root = logging.getLogger()
    for old in [old for old in root.handlers if old.get_name() == __name__]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(mlevel(level))
    # A task has a line when it ends; whoever looks closer sees it come as well.
    received = logging.INFO if mlevel(level) <= logging.DEBUG else logging.WARNING
    logging.getLogger("celery.worker.strategy").setLevel(max(received, mlevel(level)))
    logging.getLogger("celery.pool").setLevel(max(logging.INFO, mlevel(level)))  # at DEBUG: each task's body
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _worth_a_line(record: logging.LogRecord) -> bool:
    if f"{record.name}.".startswith(_WIRE) and record.levelno < logging.WARNING:
        return False
    if record.name == "kombu.connection" and _NO_TLS in record.getMessage():
        return False  # of a connection that is never made, only to show its URL; those that are made verify
    return not (record.name == "py.warnings" and _ADVICE in record.getMessage())


def _head(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """When, how grave, what; who; and the task that runs in this thread, if one does."""
    record = event["_record"]
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {
        "timestamp": when,
        "level": record.levelname.lower(),
        "event": event["event"],
        "logger": record.name,
    }
    if task := get_current_task():
        head |= {"task": task.name, "id": task.request.id}
    return {**head, **event}


def _celery(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A stdlib record: Celery's lines about a task by their fields, any other as one line of text."""
    if event["_from_structlog"]:
        return event
    record, args = event["_record"], event.pop("positional_args", None)
    about = getattr(record, "data", None)
    if isinstance(about, dict) and record.msg in _OF_A_TASK:
        event["event"], reason = _OF_A_TASK[record.msg]
        event.update(task=about.get("name"), id=about.get("id"))
        if "runtime" in about:
            event.update(seconds=round(about["runtime"], 3), result=about["return_value"])
        if "exc" in about:
            raised = event.pop("exc_info", None)
            event[reason] = raised[1] if raised else about["exc"]
            if isinstance(event[reason], OUTAGES):
                event["event"] = "task comes again"  # its message goes back to the queue
        return event
    text = str(event["event"])
    if args:
        try:
            text %= _Named(args) if isinstance(args, dict) else tuple(map(_simple, args))
        except (TypeError, ValueError, KeyError):
            pass  # the bare template still says what happened
    told_, outside, _rest = text.partition(_OUTSIDE)
    event["event"] = " ".join((told_ + outside).split())
    return event


def _simple(value: Any) -> Any:
    """An argument of a log template; one that could carry a payload as what it is."""
    if isinstance(value, BaseException):
        return _Words(told(value))
    if isinstance(value, dict | list | tuple | set | frozenset | bytes | bytearray):
        return _Words(f"<{type(value).__name__} of {len(value)}>")
    return value


class _Words(str):
    """Text that is the same for %s and %r."""

    __slots__ = ()
    __repr__ = str.__str__


class _Named(dict[str, Any]):
    """The one argument that is a dict: for %(name)s, or as a whole."""

    def __getitem__(self, key: str) -> Any:
        return _simple(super().__getitem__(key))

    def __repr__(self) -> str:
        return f"<dict of {len(self)}>"


def _harmless(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Exceptions in words that may be shown; tracebacks and phone numbers not at all."""
    raised = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if raised:
        exc = (
            raised
            if isinstance(raised, BaseException)
            else (raised[1] if isinstance(raised, tuple) else sys.exc_info()[1])
        )
        event.setdefault("error", exc)
    for key, value in event.items():
        if isinstance(value, BaseException):
            event[key] = told(value)
        elif isinstance(value, str):
            event[key] = _PHONE.sub("<number>", value)
    return event
