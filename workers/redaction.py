"""Nothing about a lead leaves a worker: one choke point for each way out.

```text
SafeTask      what a body raises                  -> results, events, logs
SafeAMQP      arguments, when a task is published -> headers on the broker, event task-sent
SafeRequest   arguments, when it is received      -> events, `celery inspect`, Flower, logs
SafeConsumer  messages that cannot be read        -> logs
```

Results are written by `leadlane.workers.results`, log lines by `leadlane.workers.logs`. A message's body lies
on the broker until its task has run: whoever may read Redis can read the leads of a by-name producer there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence, Sized
from typing import Any, NoReturn

from billiard.einfo import ExceptionInfo, ExceptionWithTraceback  # type: ignore[attr-defined]
from celery.app.amqp import AMQP
from celery.app.task import Task
from celery.exceptions import Reject, Retry
from celery.worker.consumer import Consumer
from celery.worker.request import Request
from celery.worker.state import task_ready

from .faults import OUTAGES, UnreadableTaskError, tellable, told

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


EVENTS_EVERY_S = 0.25


class SafeConsumer(Consumer):
    """A consumer that outlives messages of no sense and logs them without their contents.

    Celery logs the first 1024 characters of their bodies, and all headers. And a body that is JSON but no task
    would end the process, and then the next one that gets it.
    """

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # the stub is wrong
        """Nothing: events go out together, four times a second, not each in a message of its own."""

    def register_with_event_loop(self, hub: Any) -> None:
        """Celery's own, and the flush of events."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(EVENTS_EVERY_S, self._flush_events)  # type: ignore[attr-defined]  # nor in the stub

    def cancel_active_requests(self) -> None:
        """A cold shutdown (SIGQUIT) lets threads end what they do: celery 5.7.0 would try to kill them, and fail.

        Only who waits for Redis gives up, as in a warm one; what runs ends by the deadline of its call.
        """
        self.app.stopping.set()  # type: ignore[attr-defined]  # the app of a worker has it

    def on_unknown_message(self, body: object, message: Any) -> None:  # noqa: ARG002
        """No task at all: dropped."""
        super().on_unknown_message(None, _Sealed(message))

    def on_unknown_task(self, body: object, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """A task of a name we do not have: fails with NotRegistered."""
        super().on_unknown_task(None, _Sealed(message), exc)

    def on_invalid_task(self, body: object, message: Any, exc: Exception) -> None:  # noqa: ARG002
        """A task of ours, in a form that is wrong: dropped."""
        hidden = UnreadableTaskError(type(exc).__name__)
        self._while_raised(hidden, super().on_invalid_task, None, _Sealed(message), hidden)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that its content type cannot read: dropped."""
        # By its type alone: the repr of a UnicodeDecodeError is the body.
        hidden = UnreadableTaskError(type(exc.__cause__ or exc).__name__)
        self._while_raised(hidden, super().on_decode_error, _Sealed(message), hidden)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is called with each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                handle(message)
            except (TypeError, ValueError, AttributeError, LookupError) as exc:
                self.on_invalid_task(None, message, exc)

        return on_task_received

    @staticmethod
    def _while_raised(exc: Exception, act: Callable[..., object], *args: object) -> None:
        """Calls ``act`` while this exception is the current one, the one that ``exc_info=True`` logs."""
        try:
            raise exc from None
        except type(exc):
            act(*args)


class _Sealed:
    """A message that can be acknowledged and rejected like the real one, but shows only what it is of."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self.body = _Unread(message.body if isinstance(message.body, bytes) else str(message.body).encode())
        headers = message.headers or {}
        self.headers = {key: headers[key] for key in ("task", "id", "root_id") if key in headers}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)


class _Unread(bytes):
    def __repr__(self) -> str:
        return "<not shown>"
