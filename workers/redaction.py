"""Nothing about a lead leaves a worker: one choke point for each way out.

```text
SafeTask      what a body raises                  -> results, events, logs
SafeAMQP      arguments, when a task is published -> headers on the broker, event task-sent
SafeRequest   arguments, when it is received      -> events, `celery inspect`, Flower, logs
SafeConsumer  messages that cannot be read        -> logs (`leadlane.workers.consumer`)
```

Results are written by `leadlane.workers.results`, log lines by `leadlane.workers.logs`. A message's body lies
on the broker until its task has run: whoever may read Redis can read the leads of a by-name producer there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from typing import Any, NoReturn

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback  # type: ignore[attr-defined]
from celery.app.amqp import AMQP
from celery.app.task import Task
from celery.exceptions import Reject, Retry
from celery.worker.request import Request
from celery.worker.state import task_ready

from .faults import OUTAGES, tellable, told

# Arguments that are shown, if they look like what they should be.
_SHOWN = {
    "campaign": re.compile(r"[\w.-]{1,64}/[\w.:-]{1,64}"),
    "batch": re.compile(r"(?=.*[A-Za-z])[\w.:-]{1,100}"),  # digits alone might be a phone number
    "job": re.compile(r"(?=.*[A-Za-z])[\w.:-]{1,100}"),
    "priority": re.compile(r"urgent|normal|bulk"),
    "on_duplicate": re.compile(r"keep|update"),
    "seq": re.compile(r"\d{1,19}"),
}
# Arguments of which only the number is shown.
_COUNTED = {"leads": "leads", "numbers": "numbers", "user_ids": "agents"}


def redact(args: object, kwargs: object) -> tuple[str, str]:
    """What may be shown of a task's arguments, as (argsrepr, kwargsrepr).

    ``redact([1], {"campaign": "voiso/3", "leads": [...], "x": 1})`` is
    ``("(<1 hidden>)", "{campaign=voiso/3, leads=<1000 leads>, <1 hidden>}")``.
    """
    shown_args = f"(<{len(args)} hidden>)" if isinstance(args, Sequence) and args else "()"
    if not isinstance(kwargs, Mapping):
        return shown_args, "{<hidden>}"
    parts = [f"{key}={text}" for key, value in kwargs.items() if (text := _show(key, value))]
    if hidden := len(kwargs) - len(parts):
        parts.append(f"<{hidden} hidden>")
    return shown_args, f"{{{', '.join(parts)}}}"


def _show(key: object, value: object) -> str | None:
    if key in _SHOWN and isinstance(value, str | int) and _SHOWN[str(key)].fullmatch(str(value)):
        return str(value)
    if key in _COUNTED and isinstance(value, Sized) and not isinstance(value, str | bytes):
        return f"<{len(value)} {_COUNTED[str(key)]}>"
    return None


class SafeAMQP(AMQP):
    """Publishes tasks with redacted arguments in headers and events, whatever the caller wished to show.

    Retries, chains, chords and links come through here too, and show their raw arguments otherwise.
    """

    def as_task_v2(self, *args: Any, **kwargs: Any) -> Any:
        """The message, with its true body and safe headers. Celery calls this by position."""
        message = super().as_task_v2(*args, **kwargs)
        shown_args, shown_kwargs = redact(*message.body[:2])
        message.headers.update(argsrepr=shown_args, kwargsrepr=shown_kwargs)
        if message.sent_event:
            message.sent_event.update(args=shown_args, kwargs=shown_kwargs)
        return message


class SafeTask(Task[Any, Any]):
    """Base of our tasks: what escapes a body is ours and tellable, or an `InternalError` in its place."""

    abstract = True
    Request = "leadlane.workers.redaction:SafeRequest"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Runs the body.

        Raises:
            LeadlaneError: as the body raised it; InternalError for what nobody foresaw.
            Reject: Redis is away; the message goes back to its queue.
        """
        request = self.request_stack.top
        if request is None or request.called_directly:
            return super().__call__(*args, **kwargs)
        try:
            return self.run(*args, **kwargs)
        except Exception as exc:  # noqa: BLE001  # nothing may pass
            if exc.__traceback__:
                exc.__traceback__ = exc.__traceback__.tb_next  # it did not happen in this frame
            _raise_tellable(exc)


def _raise_tellable(exc: Exception) -> NoReturn:
    match exc:
        case Retry(exc=Exception() as reason):
            raise Retry(exc.message, exc=tellable(reason), when=exc.when) from None
        case Reject(args=(Exception() as reason, bool(requeue))):
            raise Reject(told(reason), requeue=requeue) from None
    if isinstance(exc, OUTAGES):
        raise Reject(told(exc), requeue=True) from None
    raise tellable(exc) from None


class SafeRequest(Request):
    """A received task that shows only what is safe, whatever its producer wrote into the headers."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._argsrepr, self._kwargsrepr = redact(self.args, self.kwargs)
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002  # Flower asks without it
        """What `inspect` shows."""
        return super().info(safe=True)

    def on_failure(
        self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False
    ) -> None:
        """A failure in words that may be shown, or, in an outage, the message back to its queue.

        What SafeTask cannot see ends here: a result that is no JSON, one that could not be written, a chain or
        chord that could not be called.
        """
        raised = exc_info.exception
        exc = raised.exc if isinstance(raised, ExceptionWithTraceback) else raised
        if isinstance(exc, OUTAGES):
            task_ready(self)  # the slot is free
            self.reject(requeue=True)
            return
        if isinstance(exc, Exception):
            exc_info.exception = tellable(exc)
        super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def send_event(self, type: str, **fields: Any) -> None:  # noqa: A002  # Celery's name
        """Sends the event, without traceback: that repeats the texts of exceptions."""
        if "traceback" in fields:
            fields["traceback"] = None
        super().send_event(type, **fields)
