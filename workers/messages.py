"""What a message must be before it is taken for a task of ours: bounded, and in the forms that Celery writes.

Anybody who may write to the broker may send anything under our names. Celery reads headers where nobody expects an
error: one of a wrong type would end the worker, one with an ETA would stay in its memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from leadlane.schemas.commands import is_task_id
from leadlane.schemas.phones import masked
from leadlane.schemas.strict import shown_key

MOST_BYTES: Final = 32 << 20
"""Of a message, unpacked: some 150,000 leads. What is larger is read by nobody."""
TOO_LARGE: Final = f"message: is larger than {MOST_BYTES >> 20} MB; send fewer leads in a task"
MOST_HEADERS: Final = 100
MOST_SECONDS: Final = 1e9
MOST_TEXT: Final = 2000
MOST_JSON: Final = 8000

INSIDE: Final = ("args", "kwargs", "callbacks", "errbacks", "chord")
"""What stands beside the headers where both are in the body, as in Celery's first protocol."""

_WRONG_ID = "is not an id; use up to 128 letters, digits and - _ . :"


def wrong(headers: Mapping[str, Any], properties: Mapping[str, Any], size: int) -> str:
    """What is wrong with the outside of a message, as ``header: problem; remedy``; "" if nothing is."""
    if size > MOST_BYTES:
        return TOO_LARGE
    if len(headers) > MOST_HEADERS:
        return f"headers: are more than {MOST_HEADERS}; leave some out"
    for name, (is_right, said) in _RIGHT.items():
        if not is_right(headers.get(name)):
            return f"{name}: {said}"
    for name in ("correlation_id", "reply_to"):
        if not _is_text(properties.get(name)):
            return f"{name}: is no short text; leave it out"
    if not _is_whole(properties.get("priority"), 255):
        return (
            "priority: of a message is a whole number from 0 to 255; leave it out, or give kwargs a priority"
        )
    big = next((key for key, value in headers.items() if _is_big(value)), None)
    return "" if big is None else masked(f"{shown_key(big)}: is too large; leave it out")


def wrong_body(body: object) -> str:
    """What is wrong with the decoded body of a message, as above; it is ``[args, kwargs, embed]``."""
    if not isinstance(body, (list, tuple)) or len(body) != 3:
        return "body: is not [args, kwargs, embed]; send the task with Celery, or write it so"
    args, kwargs, embed = body
    if not isinstance(args, list):
        return "args: is not a list; give []"
    if not isinstance(kwargs, dict):
        return "kwargs: is not an object; give campaign and leads in it"
    if not isinstance(embed or {}, dict):
        return "embed: is not an object; give {}"
    return next(
        (f"{name}: {said}" for name, (fits, said) in _EMBED.items() if not fits((embed or {}).get(name))), ""
    )


def _is_text(value: object) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= MOST_TEXT and value.isprintable())


def _are_texts(value: object) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(one, str) for one in value))


def _is_whole(value: object, most: int) -> bool:
    return value is None or (isinstance(value, int) and 0 <= value <= most)


def _is_moment(value: object) -> bool:
    if value is None:
        return True
    if not isinstance(value, str) or len(value) > MOST_TEXT:
        return False
    try:
        datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        return False
    return True


def _are_limits(value: object) -> bool:
    if value is None:
        return True
    return (
        isinstance(value, (list, tuple))
        and len(value) == 2
        and all(one is None or (isinstance(one, (int, float)) and 0 <= one <= MOST_SECONDS) for one in value)
    )


def _is_big(value: object) -> bool:
    if value is None or isinstance(value, (bool, float)):
        return False
    if isinstance(value, int):
        return value.bit_length() >= 64
    if isinstance(value, str):
        return len(value) > MOST_TEXT
    try:
        return len(json.dumps(value)) > MOST_JSON
    except RecursionError:
        return True


def _is_task(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("task"), str)


def _are_tasks(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(map(_is_task, value)))


_Rule = tuple[Callable[[object], bool], str]
_TEXT: Final[_Rule] = (_is_text, "is no short text; leave it out")
_TASKS: Final[_Rule] = (_are_tasks, "is not a list of tasks; send them with Celery's own chain or link")
_RIGHT: Final[Mapping[str, _Rule]] = {
    "id": (is_task_id, _WRONG_ID),
    "eta": (
        lambda value: value is None,
        "a task of Leadlane has none, its lane waits; leave out eta and countdown",
    ),
    "expires": (_is_moment, "is no moment; write it as 2026-01-31T12:00:00+00:00"),
    "retries": (lambda value: _is_whole(value, 2**31), "is no count; leave it out"),
    "timelimit": (_are_limits, "is not two numbers of seconds; leave it out"),
    "leadlane_call": (
        lambda value: _is_whole(value, 2**53),
        "is no number of a call; it is Leadlane's own, leave it out",
    ),
    "leadlane_links": (lambda value: _is_whole(value, 1), "is Leadlane's own; leave it out"),
    "ignore_result": (
        lambda value: value is None or isinstance(value, bool),
        "is neither true nor false; leave it out",
    ),
    # Celery reads it when the task has its slot already, which would then never be free again.
    "stamped_headers": (_are_texts, "is not a list of names; leave it out"),
    "stamps": (lambda value: isinstance(value or {}, dict), "is not an object; leave it out"),
    **dict.fromkeys(("root_id", "parent_id", "group", "shadow"), _TEXT),
}
_EMBED: Final[Mapping[str, _Rule]] = {
    "callbacks": _TASKS,
    "errbacks": _TASKS,
    "chain": _TASKS,
    "chord": (
        lambda value: value is None or _is_task(value),
        "is not a task; send it with Celery's own chord",
    ),
}
