"""What an answer does to the batches aboard, the lane and the account (design of the answer table: ``answers.py``).

Pure: from what was sent and what came back to the document that ``leave.lua`` takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from leadlane.schemas.outcomes import PENDING
from leadlane.workers import search
from leadlane.workers.answers import STILL_RUNNING, Meaning, meaning
from leadlane.workers.backoff import BASE_S, CAP_S, full_jitter
from leadlane.workers.lanes import ADDING
from leadlane.workers.ledger import Aboard, Manifest, settle_all
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.providers.contract import CallRefusedError, Reading

Act = Literal["done", "again", "dead"]
ASK_LATER_S = 5.0
"""After which a lead that the dialer did not know is asked for again."""
LOOK_AFTER = 5
"""Conflicts in a row after which the campaign itself is looked at."""
UNREADABLE_WORDS = "the dialer's answer cannot be read"
LARGE = 1 << 20
"""Bytes of an answer from which on its values are counted before they are read."""
MOST_VALUES = 200_000
"""A megabyte of empty lists takes twenty in memory."""
BREAKER_FAILURES = 5
"""Failures in a row that open the breaker of an account."""


@dataclass(slots=True)
class Move:
    """What becomes of one batch aboard.

    ``cost`` counts towards the limit of attempts; ``unsent`` says that nothing of it was in the turn's calls,
    ``unread`` that nobody looked into it.
    """

    one: Aboard
    act: Act
    reason: str = ""
    cost: int = 0
    wait_s: float = 0.0
    solo: bool = False
    behind: bool = False
    search: search.Search | None = None
    conflicts: int = 0
    operation: str = ""
    unsent: bool = False
    unread: bool = False

    def document(self, *, called: int) -> dict[str, Any]:
        """As ``leave.lua`` takes it; absent keys mean no."""
        out: dict[str, Any] = {
            "id": self.one.row.ticket,
            "act": self.act,
            "codes": self.one.text,
            "reason": self.reason,
            "cost": self.cost,
            "called": 0 if self.unsent else int(called),
            "wait_ms": int(self.wait_s * 1000),
            "conflicts": self.conflicts,
        }
        if self.one.why:
            out["why"] = self.one.why
        if self.solo:
            out["solo"] = 1
        if self.behind:
            out["behind"] = 1
        if self.unread:
            out["unread"] = 1
        if self.search:
            out["search"] = self.search.to_json()
        if self.operation:
            out["op"] = self.operation
        return out


@dataclass(slots=True)
class Verdict:
    """The end of a turn.

    ``signal`` is what the account learns, ``lost`` that the call may still run, ``called`` how many were made.
    """

    moves: list[Move]
    signal: Literal["ok", "throttled", "failed", "hold", "hold_op", "none"] = "ok"
    reason: str = ""
    lost: bool = False
    rest_s: float = 0.0
    retry_after_s: float | None = None
    hold: str = ""
    look: bool = False
    called: int = 1
    log: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answered:
    """The dialer's answer, decoded: ``body`` is None if it is no JSON."""

    status: int
    body: Any
    retry_after_s: float | None = None


def decode(body: bytes) -> Any:
    """The JSON of an answer; None if it is none, or of more values than any answer has."""
    if len(body) > LARGE and sum(body.count(mark) for mark in (b"[", b"{", b",")) > MOST_VALUES:
        return None
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass  # the standard library takes more for JSON
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def silence(
    aboard: Sequence[Aboard], operation: Operation, reason: str, *, left: bool, dice: Callable[[], float]
) -> Verdict:
    """No answer came. ``left`` says that the request, or a part of it, had left."""
    if left:
        for one in aboard:
            one.mark_lost(operation)
    return Verdict(
        [again(one, reason, cost=1, dice=dice) for one in aboard],
        "failed",
        reason,
        lost=left,
        log={"no_answer": reason},
    )


def answered(
    aboard: Sequence[Aboard],
    carried: Manifest,
    provider: Provider,
    operation: Operation,
    answer: Answered,
    *,
    dice: Callable[[], float],
    patient: bool = True,
) -> Verdict:
    """The dialer answered: one row of the table. ``patient`` says that a lead it does not know may still come."""
    means = meaning(answer.status, operation.answers)
    if means is Meaning.OK:
        return _accepted(aboard, carried, provider, operation, answer, patient=patient)
    words = unquoted(provider.problem(answer.body), carried) or f"HTTP {answer.status}"
    if means is Meaning.REFUSED and any(closed in words for closed in provider.closed_words):
        moves = [again(one, words, dice=lambda: 0.0) for one in aboard]
        return Verdict(moves, hold=words)
    if means is Meaning.REFUSED:
        return Verdict(_refused(aboard, carried, provider, answer, words))
    if means is Meaning.CONFLICT:
        conflicts = max(one.row.number("conflicts") for one in aboard)
        moves = [again(one, words, conflicts=conflicts + 1, dice=lambda: 0.0) for one in aboard]
        return Verdict(moves, rest_s=full_jitter(conflicts, dice=dice), look=conflicts + 1 >= LOOK_AFTER)
    if means is Meaning.THROTTLED:
        moves = [again(one, "rate limited by the dialer", dice=lambda: 0.0) for one in aboard]
        return Verdict(moves, "throttled", "rate limited", retry_after_s=answer.retry_after_s)
    if means is Meaning.FAILED:
        for one in aboard:
            # A 503 says that nothing was done; where sending again is harmless, we need not believe it.
            one.mark_lost(operation, believed=answer.status == 503)
        moves = [again(one, words, cost=1, dice=dice) for one in aboard]
        return Verdict(
            moves, "failed", words, lost=answer.status in STILL_RUNNING, retry_after_s=answer.retry_after_s
        )
    if means in (Meaning.UNAUTHORIZED, Meaning.FORBIDDEN):
        moves = [again(one, words, dice=lambda: 0.0) for one in aboard]
        signal: Literal["hold", "hold_op"] = "hold" if means is Meaning.UNAUTHORIZED else "hold_op"
        return Verdict(moves, signal, f"{answer.status}: {words}")
    reason = f"{answer.status}: {words}"
    return Verdict([Move(one, "dead", reason) for one in aboard])


def unquoted(words: str, carried: Manifest) -> str:
    """The dialer's words without what they quote of the leads sent: reasons are seen where no lead may be."""
    quoted = {
        text for wire in carried.lines.split(b"\n") for text in _texts(json.loads(wire)) if text in words
    }
    if not quoted:
        return words
    longest_first = "|".join(map(re.escape, sorted(quoted, key=len, reverse=True)))
    return re.sub(rf"(?<!\w)(?:{longest_first})(?!\w)", "[hidden]", words)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)


def _accepted(
    aboard: Sequence[Aboard],
    carried: Manifest,
    provider: Provider,
    operation: Operation,
    answer: Answered,
    *,
    patient: bool,
) -> Verdict:
    try:
        reading = operation.read(answer.body, carried.numbers)
    except CallRefusedError as refused:
        return Verdict(_refused(aboard, carried, provider, answer, unquoted(str(refused), carried)))
    except ValueError:
        if not operation.unreadable:
            for one in aboard:
                one.mark_lost(operation)
            return Verdict([Move(one, "dead", f"{answer.status}: {UNREADABLE_WORDS}") for one in aboard])
        reading = Reading(all=operation.unreadable, words={"": f"{answer.status}: {UNREADABLE_WORDS}"})
    settle_all(aboard, carried, reading, patient=patient)
    return Verdict([_after_pass(one) for one in aboard])


def _after_pass(one: Aboard) -> Move:
    step = search.after_pass(one.search, one.sent) if one.search else search.Step(None)
    one.reject(step.rejected)
    # Settling some of many is progress, no attempt that failed.
    moved = any(one.codes[p] not in PENDING for p in one.sent)
    return go_on(one, step.search, cost=0 if one.search or (moved and one.pending) else 1)


def _refused(
    aboard: Sequence[Aboard], carried: Manifest, provider: Provider, answer: Answered, words: str
) -> list[Move]:
    if len(aboard) > 1:
        return [Move(one, "again", words, solo=True) for one in aboard]
    one = aboard[0]
    named = provider.bad_leads(answer.body, len(carried.numbers))
    if named:
        rows = [p for _, p in carried.standing.values()] or one.sent
        one.reject({rows[index]: unquoted(problem, carried) for index, problem in named.items()})
        return [go_on(one, one.search)]
    step = search.after_refusal(one.search, one.sent, words)
    one.reject(step.rejected)
    if step.dead:
        return [Move(one, "dead", f"{step.dead}: {words}")]
    return [go_on(one, step.search)]


def go_on(one: Aboard, state: search.Search | None, *, cost: int = 0) -> Move:
    """Done, or once more: with the search, as an update of duplicates, or for numbers left out of the answer."""
    if one.to_updates():
        return Move(one, "again", "duplicates are to be updated", operation="update")
    if not one.pending:
        return Move(one, "done", cost=cost)
    if one.ask_later:
        return Move(
            one,
            "again",
            "the dialer does not know all leads yet",  # no attempt that failed; it ends by its own time
            wait_s=ASK_LATER_S,
            search=state,
        )
    # A search steps behind waiting imports, but nothing steps behind an update or removal.
    behind = state is not None and one.row.fields["op"] in ADDING
    return Move(one, "again", "not all leads have an outcome yet", cost=cost, search=state, behind=behind)


def again(one: Aboard, reason: str, *, dice: Callable[[], float], cost: int = 0, conflicts: int = 0) -> Move:
    """Once more; an attempt that counts as failed waits with backoff first.

    Who travels alone goes on to do so until a call has shown that it may travel with others.
    """
    wait = full_jitter(one.row.number("attempts"), dice=dice) if cost else 0.0
    solo = "solo" in one.row.fields
    return Move(
        one, "again", reason, cost=cost, wait_s=wait, solo=solo, search=one.search, conflicts=conflicts
    )


def document(
    verdict: Verdict,
    *,
    lane: str,
    token: str,
    account: str,
    operation: str,
    rest_ms: int,
    unsure_ms: int = 0,
    began_ms: int,
    dice: Callable[[], float],
) -> dict[str, Any]:
    """The whole of what ``leave.lua`` takes."""
    signal: dict[str, Any] = {
        "acct": account,
        "op": operation,
        "signal": verdict.signal,
        "reason": verdict.reason,
        "began_ms": began_ms,
        "base_ms": int(BASE_S * 1000),
        "cap_ms": int(CAP_S * 1000),
        "dice": dice(),
        "fails": BREAKER_FAILURES,
    }
    if verdict.retry_after_s is not None:
        signal["wait_ms"] = int(verdict.retry_after_s * 1000)
    out: dict[str, Any] = {
        "lane": lane,
        "token": token,
        "rest_ms": rest_ms,
        "account": signal,
        "may_call": True,
        "tickets": [move.document(called=verdict.called) for move in verdict.moves],
    }
    if unsure_ms:
        out["unsure_ms"] = unsure_ms
    if verdict.hold:
        out["hold"] = verdict.hold
    return out
