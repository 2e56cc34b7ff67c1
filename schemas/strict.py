"""Marshmallow as we use it: unknown keys are refused with the nearest known one, errors become lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from marshmallow import Schema, ValidationError
from marshmallow.exceptions import SCHEMA

from .errors import did_you_mean, nearest

if TYPE_CHECKING:
    from marshmallow.types import ErrorMessages

_UNKNOWN = "unknown"
_SHOWN = 60  # characters of a key
_MOST_GUESSED = 20  # unknown keys of one object of which is said what they may have meant


class Strict(Schema):
    """A schema whose every message reads ``problem; remedy``."""

    error_messages = {  # noqa: RUF012 - marshmallow's own declaration
        "unknown": _UNKNOWN,
        "type": "is not an object; give names with values",
    }

    otherwise: ClassVar[str | None] = None
    """The remedy for an unknown key that is like no known one; the known ones are named if it is None."""

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **_: Any) -> None:  # noqa: ARG002
        """Say of each unknown key which known one was meant."""
        if not isinstance(error.messages, dict):
            return
        for messages in error.messages.values() if many else [error.messages]:
            if not isinstance(messages, dict):
                continue
            unknown = [key for key, said in messages.items() if said == [_UNKNOWN]]
            for key in unknown[:_MOST_GUESSED]:
                messages[key] = [f"{_UNKNOWN}; {self._remedy(shown_key(key))}"]

    def _remedy(self, key: str) -> str:
        if self.otherwise and not nearest(key, self.load_fields):
            return self.otherwise
        return did_you_mean(key, self.load_fields)


def required(remedy: str) -> ErrorMessages:
    """Messages of a field that must be there."""
    return {"required": f"missing; {remedy}", "null": f"missing; {remedy}"}


def problems(messages: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Every message of a ValidationError with its full path: ``source.url``, ``contacts[0].name``."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from problems(inner, path if key == SCHEMA else _joined(path, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from problems(inner, path)
    else:
        yield path, str(messages)


def first_problem(messages: object, path: str = "") -> tuple[str, str]:
    """The problem to tell if only one is told: an unknown key, which often is what another lacks."""
    return min(problems(messages, path), key=lambda found: (not found[1].startswith(f"{_UNKNOWN};"), found))


def shown_key(key: object) -> str:
    """A key as it may stand in a message: short, printable, on one line."""
    if isinstance(key, str):
        return "".join(c if c.isprintable() else "?" for c in key[:_SHOWN])
    return f"({type(key).__name__})"


def _joined(path: str, key: object) -> str:
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < 10_000:
        return f"{path}[{key}]"
    return f"{path}.{shown_key(key)}" if path else shown_key(key)
