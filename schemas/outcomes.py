"""What became of a lead, and the letter it is stored as.

A batch keeps one ASCII letter per lead, in the order of its leads: its *codes*. A letter is either
pending (the lead is still to be brought to an end) or final.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """The end of one lead. Every lead of a job gets exactly one."""

    CREATED = "created"  # the dialer took it as new
    DUPLICATE = "duplicate"  # the dialer had it already
    ACCEPTED = "accepted"  # the dialer queued it and will say no more
    UPDATED = "updated"
    REMOVED = "removed"
    REJECTED = "rejected"  # the dialer refused it
    INVALID = "invalid"  # we refused it; it was never sent
    SUPPRESSED = "suppressed"  # the person has opted out; it was not sent
    EXPIRED = "expired"  # its time ran out before it was sent
    CANCELLED = "cancelled"  # its job was cancelled before it was sent
    FAILED = "failed"  # given up, and surely not delivered
    UNCERTAIN = "uncertain"  # sent, and nobody can say whether it arrived; a person decides


NOT_SENT: Final = "."
ANSWER_LOST: Final = "~"  # sent, and no answer came
LEFT_OUT: Final = ","  # answered once, without this number in the answer
TO_UPDATE: Final = ":"  # the dialer has it; its update is to come
PENDING: Final = NOT_SENT + ANSWER_LOST + LEFT_OUT + TO_UPDATE

RECONCILED: Final = "C"  # created, as a later answer showed after the first one was lost

CODE_OF: Final[dict[Outcome, str]] = {
    Outcome.CREATED: "c",
    Outcome.DUPLICATE: "d",
    Outcome.ACCEPTED: "a",
    Outcome.UPDATED: "u",
    Outcome.REMOVED: "m",
    Outcome.REJECTED: "r",
    Outcome.INVALID: "i",
    Outcome.SUPPRESSED: "s",
    Outcome.EXPIRED: "e",
    Outcome.CANCELLED: "x",
    Outcome.FAILED: "f",
    Outcome.UNCERTAIN: "?",
}
OUTCOME_OF: Final[dict[str, Outcome]] = {
    **{code: outcome for outcome, code in CODE_OF.items()},
    RECONCILED: Outcome.CREATED,
}


class Fate(StrEnum):
    """The end of one command: what became of a word about a campaign's state or agents."""

    REACHED = "reached"  # it is so
    ACCEPTED = "accepted"  # the dialer will bring it about by itself
    SUPERSEDED = "superseded"  # a newer word came before it was sent, or before it was answered
    REJECTED = "rejected"  # the dialer refused it
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


REACHED: Final = "g"
SUPERSEDED: Final = "o"
FATE_OF: Final[dict[str, Fate]] = {
    REACHED: Fate.REACHED,
    "a": Fate.ACCEPTED,
    SUPERSEDED: Fate.SUPERSEDED,
    "r": Fate.REJECTED,
    "e": Fate.EXPIRED,
    "x": Fate.CANCELLED,
    "f": Fate.FAILED,
    "?": Fate.UNCERTAIN,
}

DELIVERED: Final = frozenset(
    {Outcome.CREATED, Outcome.DUPLICATE, Outcome.ACCEPTED, Outcome.UPDATED, Outcome.REMOVED}
)
"""Outcomes that are as good as asked for: a job that has no others ends with exit code 0."""


def counts(codes: str) -> dict[str, int]:
    """How many leads ended how, by outcome name, without zeros; pending ones are not in it."""
    found: dict[str, int] = {}
    for code, outcome in OUTCOME_OF.items():
        if n := codes.count(code):
            found[outcome.value] = found.get(outcome.value, 0) + n
    return found


def pending(codes: str) -> int:
    """How many leads are still to be brought to an end."""
    return sum(codes.count(code) for code in PENDING)
