"""A turn at a dialer that takes one lead a call: several calls at once, under the rate, for some seconds.

What becomes of each lead is written when its call ends, and that it has left is written before it leaves: a
crash costs at most the answers of the calls that were in the air, and each of those is known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import quote

from leadlane.schemas.outcomes import ANSWER_LOST, NOT_SENT
from leadlane.schemas.settings import Account
from leadlane.workers import verdicts
from leadlane.workers.answers import LONGEST_COOL_DOWN_S, Meaning, meaning, retry_after_s
from leadlane.workers.backoff import full_jitter
from leadlane.workers.engine import Engine
from leadlane.workers.keeper import Turn
from leadlane.workers.ledger import LOST_WORDS, Aboard, Manifest
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.providers.contract import CallRefusedError
from leadlane.workers.transport import Answer, CallHandle, NoAnswer, Request
from leadlane.workers.verdicts import Move, Verdict

SLICE_S = 10.0
MOST_FAILURES = 3
"""Failures in a row after which a slice ends and the account's breaker hears of it."""
UNKNOWN_LEAD = "this fleet did not import the lead, or so long ago that its id at the dialer is forgotten"
UNREADABLE_WORDS = "the dialer's answer cannot be read"


@dataclass(slots=True)
class Ended:
    """How the call of one lead ended: its code, and what stops the slice, if anything does."""

    code: str
    why: str = ""
    stop: Verdict | None = None
    failed: bool = False


@dataclass(slots=True)
class Slice:
    """One slice of a batch."""

    engine: Engine
    turn: Turn
    one: Aboard
    account: Account
    provider: Provider
    operation: Operation
    campaign: str
    key: str
    _stop: Verdict | None = None
    _over: bool = False
    _failures: int = 0
    _settled: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Verdict:
        """Send until the slice's time is over, the batch is done, or something stops it."""
        queue = iter(self.one.sent)
        until = time.monotonic() + SLICE_S
        with ThreadPoolExecutor(self.provider.parallel, thread_name_prefix="leadlane-slice") as pool:
            for lane in [pool.submit(self._line, queue, until) for _ in range(self.provider.parallel)]:
                lane.result()
        stop = self._stop or Verdict([], "ok")
        cost = 1 if self._stop and not self._settled else 0
        if not self.one.pending:
            stop.moves = [Move(self.one, "done", cost=1)]
        elif not stop.moves:
            stop.moves = [Move(self.one, "again", stop.reason or "goes on in its next slice", cost=cost)]
        return stop

    def _line(self, queue: Iterator[int], until: float) -> None:
        """One of the lines of calls: each step records the call that ended and lets the next begin."""
        ended, how = -1, Ended("")
        while True:
            position = self._next(queue, until)
            if not self._begins(ended, how, position):
                return
            ended, how = position, self._send(position)
            self._note(position, how)

    def _next(self, queue: Iterator[int], until: float) -> int:
        with self._lock:
            if self._stop or self._over or time.monotonic() > until:
                return -1
            return next(queue, -1)

    def _begins(self, ended: int, how: Ended, position: int) -> bool:
        """Record the call of ``ended`` and wait until that of ``position`` may begin: whether it does."""
        wait_ms = self._step(ended, how, position)
        while wait_ms > 0:
            self.engine.sleep(min(wait_ms / 1000, 1.0))
            if self._stop or not self.turn.may_send():
                return False
            wait_ms = self._step(-1, how, position)
        self._over = self._over or wait_ms < 0
        return wait_ms == 0 and position >= 0

    def _step(self, ended: int, how: Ended, position: int) -> int:
        lanes, turn, ticket = self.engine.lanes, self.turn, self.one.row.ticket
        return self.engine.patiently(
            lambda: lanes.slice(
                turn.lane, ticket, turn.token, ended=ended, code=how.code, why=how.why, begins=position
            )
        )

    def _note(self, position: int, how: Ended) -> None:
        with self._lock:
            self.one.codes[position] = how.code
            if how.why:
                self.one.why[str(position)] = how.why
            self._failures = self._failures + 1 if how.failed else 0
            self._settled += how.code not in (NOT_SENT, ANSWER_LOST)
            if how.stop and (not how.failed or self._failures >= MOST_FAILURES):
                self._stop = self._stop or how.stop

    def _send(self, position: int) -> Ended:
        wire, number = self.one.batch.wires[position], self.one.batch.numbers[position]
        unanswered = ANSWER_LOST if self.operation.resend_safe(wire) else "?"
        try:
            request = self._request(wire, number)
        except LookupError:
            return Ended("r", UNKNOWN_LEAD)
        try:
            answer = self.engine.transport.send(
                request, timeout_s=self.account.timeout_s, may_send=self.turn.may_send, handle=CallHandle()
            )
        except NoAnswer as silent:
            stop = Verdict([], "failed", silent.reason)
            if silent.may_have_left:
                return Ended(unanswered, LOST_WORDS if unanswered == "?" else "", stop, failed=True)
            return Ended(NOT_SENT, "", stop, failed=True)
        ended = self._read(answer, wire, number, unanswered)
        if wait := spent_s(answer.headers, self.provider, time.time()):
            ended.stop = ended.stop or Verdict(
                [], "throttled", "the dialer's budget is used up", retry_after_s=wait
            )
        return ended

    def _request(self, wire: str, number: str) -> Request:
        lead = ""
        if self.operation.by_id:
            known = self.engine.lead_ids
            lead = self.engine.patiently(lambda: known.find(self.account.name, self.campaign, number))
        path = self.operation.path.format(campaign=quote(self.campaign, safe=""), lead=quote(lead, safe=""))
        body = self.operation.body([wire], self.campaign)
        headers = self.provider.headers(self.key)
        if body is not None:
            headers["Content-Type"] = "application/json"
        return Request(self.operation.method, self.account.base_url + path, headers, body)

    def _read(self, answer: Answer, wire: str, number: str, unanswered: str) -> Ended:
        body = verdicts.decode(answer.body.replace(self.key.encode(), b"[key]"))
        carried = Manifest([wire], [], {})
        words = verdicts.unquoted(self.provider.problem(body), carried) or f"HTTP {answer.status}"
        if code := self.operation.judge(answer.status, body):
            lost_before = self.one.codes and code == "d" and self._was_lost(number)
            return Ended("C" if lost_before else code, "" if code in "cdum" else words)
        means = meaning(answer.status, self.operation.answers)
        if means is Meaning.OK:
            return self._taken(body, number, unanswered)
        if means is Meaning.REFUSED:
            return Ended("r", words)
        if means is Meaning.FAILED:
            code = NOT_SENT if answer.status == 503 else unanswered
            return Ended(code, LOST_WORDS if code == "?" else "", Verdict([], "failed", words), failed=True)
        return Ended(NOT_SENT, "", self._stopped(means, answer, words))

    def _was_lost(self, number: str) -> bool:
        position = list(self.one.batch.numbers).index(number)
        return self.one.row.codes[position] == ANSWER_LOST

    def _taken(self, body: object, number: str, unanswered: str) -> Ended:
        try:
            reading = self.operation.read(body, [number])
        except CallRefusedError as refused:
            return Ended("r", str(refused))
        except ValueError:
            return Ended(self.operation.unreadable or unanswered, UNREADABLE_WORDS)
        if reading.lead_id:
            known, lead_id = self.engine.lead_ids, reading.lead_id
            self.engine.patiently(lambda: known.keep(self.account.name, self.campaign, number, lead_id))
        return Ended(reading.all, reading.words.get(number, ""))

    def _stopped(self, means: Meaning, answer: Answer, words: str) -> Verdict:
        """What ends the slice: as for a call of many leads, but nothing else of the batch is touched."""
        if means is Meaning.THROTTLED:
            wait = retry_after_s(answer.headers.get("retry-after"), time.time())
            return Verdict([], "throttled", "rate limited", retry_after_s=wait)
        if means is Meaning.CONFLICT:
            conflicts = self.one.row.number("conflicts")
            moves = [Move(self.one, "again", words, conflicts=conflicts + 1)]
            rest_s = full_jitter(conflicts, dice=self.engine.dice)
            return Verdict(moves, "ok", words, rest_s=rest_s, look=conflicts + 1 >= verdicts.LOOK_AFTER)
        if means in (Meaning.UNAUTHORIZED, Meaning.FORBIDDEN):
            signal = "hold" if means is Meaning.UNAUTHORIZED else "hold_op"
            return Verdict([], signal, f"{answer.status}: {words}")  # type: ignore[arg-type]
        reason = f"{answer.status}: {words}"
        return Verdict([Move(self.one, "dead", reason)], "ok", reason)


def spent_s(headers: Mapping[str, str], provider: Provider, now_s: float) -> float:
    """Seconds until the dialer's own count of calls begins anew, if its headers say that none is left; else 0."""
    if provider.budget is None:
        return 0.0
    left, reset = (headers.get(name, "") for name in provider.budget)
    if left.strip() != "0" or not reset.strip().isdigit():
        return 0.0
    return min(max(int(reset) - now_s, 0.0), LONGEST_COOL_DOWN_S)
