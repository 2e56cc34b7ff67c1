"""The consumer of a worker: it outlives every message, and what it cannot take for a task fails in clear words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from celery.worker.consumer import Consumer
from kombu.exceptions import DecodeError, KombuError

from leadlane.schemas.commands import is_task_id
from leadlane.schemas.errors import WrongUse

from . import messages
from .faults import UnreadableTaskError, told

log = structlog.get_logger(__name__)
_UNREADABLE = (
    WrongUse, KombuError, TypeError, ValueError, AttributeError, LookupError, RecursionError, ArithmeticError,
)  # fmt: skip
_REMEDY = "send the task with Celery, as JSON"


class SafeConsumer(Consumer):
    """Messages of no sense are logged without their contents, and their tasks fail.

    Celery logs the first 1024 characters of their bodies, and all headers. And a body that is JSON but no task
    would end the process, and then the next one that gets it.
    """

    strategies: dict[str, Any]

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
        """A task of ours, in a form that is wrong: fails."""
        words = str(exc) if isinstance(exc, WrongUse) else f"message: {type(exc).__name__}; {_REMEDY}"
        hidden = UnreadableTaskError(words)
        if message.acknowledged:  # found when it was taken already: to reject it too would end the process
            log.error("task cannot be run", error=told(hidden), id=_Sealed(message).headers.get("id"))
        else:
            self._while_raised(hidden, super().on_invalid_task, None, _Sealed(message), hidden)
        self._fail(message, words)

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that its content type cannot read: fails."""
        words = str(exc) if isinstance(exc, WrongUse) else f"body: cannot be decoded; {_REMEDY}"
        hidden = UnreadableTaskError(words)
        self._while_raised(hidden, super().on_decode_error, _Sealed(message), hidden)
        self._fail(message, words)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What is called with each message."""
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                self._check(message)
                handle(message)
            except DecodeError as exc:
                self.on_decode_error(message, exc)
            except _UNREADABLE as exc:
                self.on_invalid_task(None, message, exc)

        return on_task_received

    def _check(self, message: Any) -> None:
        """Raises WrongUse if the message says it is a task of ours and cannot be one."""
        headers = message.headers
        if not isinstance(headers, Mapping):
            return  # Celery's own look finds that it is no task
        size = len(message.body or b"")
        if "task" not in headers and size <= messages.MOST_BYTES:
            old = message.payload  # Celery's first protocol: all is in the body
            if isinstance(old, Mapping) and old.get("task") in self.strategies:
                outside = {name: value for name, value in old.items() if name not in messages.INSIDE}
                words = messages.wrong(outside, message.properties, size)
                self._raise(words or messages.wrong_body([*map(old.get, ("args", "kwargs")), old]))
        elif headers.get("task") in self.strategies:
            self._raise(messages.wrong(headers, message.properties, size))
            self._raise(messages.wrong_body(message.payload))

    @staticmethod
    def _raise(words: str) -> None:
        if words:
            raise WrongUse(words)

    def _fail(self, message: Any, words: str) -> None:
        """The result of a task that cannot be run, where it has an id under which there may be one."""
        headers: Any = message.headers
        task: Any = headers.get("id") if isinstance(headers, Mapping) else None
        if is_task_id(task):
            self.app.backend.mark_as_failure(task, WrongUse(words))

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
