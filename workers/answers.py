"""What a dialer's answer means: one table, of which an operation of a provider may override rows, as data."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from types import MappingProxyType

LONGEST_COOL_DOWN_S = 3600.0
_LONGEST_DATE = 64


class Meaning(Enum):
    """What is done about an answer."""

    OK = auto()
    """The body says what became of each lead."""
    CONFLICT = auto()
    """The campaign cannot take this now; the lane waits. Costs no attempt."""
    THROTTLED = auto()
    """The account cools down. Costs no attempt."""
    FAILED = auto()
    """The dialer failed; backoff, and the breaker of the account counts it."""
    REFUSED = auto()
    """Something in the body is wrong; the search finds what."""
    UNAUTHORIZED = auto()
    """The key is wrong; the account is held."""
    FORBIDDEN = auto()
    """The key may not do this; the operation of the account is held."""
    MISSING = auto()
    """No such campaign or path: dead with that reason."""
    ODD = auto()
    """Nobody foresaw this: dead with that reason."""


TABLE: Mapping[int, Meaning] = MappingProxyType(
    {
        400: Meaning.REFUSED,
        401: Meaning.UNAUTHORIZED,
        403: Meaning.FORBIDDEN,
        404: Meaning.MISSING,
        405: Meaning.MISSING,
        408: Meaning.FAILED,
        409: Meaning.CONFLICT,
        413: Meaning.REFUSED,
        422: Meaning.REFUSED,
        429: Meaning.THROTTLED,
    }
)
STILL_RUNNING = frozenset({408, 504})
"""A gateway gave up waiting; the call behind it may still run, as if no answer had come."""


def meaning(status: int, overrides: Mapping[int, Meaning] = MappingProxyType({})) -> Meaning:
    """What an HTTP status means for an operation with these overrides."""
    if status in overrides:
        return overrides[status]
    if 200 <= status < 300:
        return Meaning.OK
    if status >= 500:
        return Meaning.FAILED
    return TABLE.get(status, Meaning.ODD)


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, section 10.2.3: seconds or a date), at most an hour.

    None if there is no header or nobody can read it. ``now_s`` is Unix time.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text.lstrip("0")[:9] or 0), LONGEST_COOL_DOWN_S)
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        seconds = moment.timestamp() - now_s
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_COOL_DOWN_S)
