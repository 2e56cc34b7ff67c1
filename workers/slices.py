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
from itertools import islice
from urllib.parse import quote

from leadlane.schemas.outcomes import ANSWER_LOST, NOT_SENT
from leadlane.schemas.settings import Account
from leadlane.workers import verdicts
from leadlane.workers.answers import LONGEST_COOL_DOWN_S, Meaning, meaning, retry_after_s
from leadlane.workers.backoff import full_jitter
from leadlane.workers.blocking import OPT_OUTS
from leadlane.workers.engine import Engine
from leadlane.workers.keeper import Turn
from leadlane.workers.ledger import LOST_WORDS, Aboard, Manifest, spared
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.providers.contract import CallRefusedError, Reading
from leadlane.workers.transport import Answer, CallHandle, NoAnswer, Request
from leadlane.workers.verdicts import Move, Verdict

SLICE_S = 10.0
MOST_FAILURES = 3
"""Failures in a row after which a slice ends."""
UNKNOWN_LEAD = "this fleet did not import the lead, or so long ago that its id at the dialer is forgotten"
UNREADABLE_WORDS = "the dialer's answer cannot be read"


@dataclass(slots=True)
class Ended:
    """How the call of one lead ended: its code, and what stops the slice, if anything does.

    A failure stops it only if others went before; anything else does at once.
    """

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
    _failed: Verdict | None = None
    _failures: int = MOST_FAILURES - 1  # in a row; a slice begins in doubt, its first call alone may end it
    _answered: int = 0
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Verdict:
        """Send until the slice's time is over, the batch is done, or something stops it.

        The first call goes alone: while a dialer is out of order a slice costs one lead its answer, not one a line.
        """
        queue = iter(self.one.sent)
        until = time.monotonic() + SLICE_S
        self._line(islice(queue, 1), until)
        lines = min(self.provider.parallel, len(self.one.sent) - 1)
        if lines > 0 and not self._halted(until):
            with ThreadPoolExecutor(lines, thread_name_prefix="leadlane-slice") as pool:
                for line in [pool.submit(self._line, queue, until) for _ in range(lines)]:
                    line.result()
        return self._end()

    def _end(self) -> Verdict:
        end = self._stop or self._failed or Verdict([], "ok")
        if not self.one.pending:
            end.moves = [verdicts.go_on(self.one, None)]
        elif not end.moves:
            cost = int(end.signal == "failed" and not self._answered)
            reason = end.reason or "goes on in its next slice"
            end.moves = [verdicts.again(self.one, reason, cost=cost, dice=self.engine.dice)]
        return end

    def _halted(self, until: float) -> bool:
        return bool(self._stop) or self._over or time.monotonic() > until or not self.turn.may_send()

    def _line(self, queue: Iterator[int], until: float) -> None:
        """One of the lines of calls: each step records the call that ended and lets the next begin."""
        ended, how = -1, Ended("")
        while True:
            position = self._next(queue, until)
            if not self._begins(ended, how, position, until):
                return
            ended, how = position, self._send(position)
            self._note(position, how)

    def _next(self, queue: Iterator[int], until: float) -> int:
        with self._lock:
            return -1 if self._halted(until) else next(queue, -1)

    def _begins(self, ended: int, how: Ended, position: int, until: float) -> bool:
        """Record the call of ``ended`` and wait until that of ``position`` may begin: whether it does."""
        wait_ms = self._step(ended, how, position)
        while wait_ms > 0 and not self._halted(until):
            self.engine.sleep(min(wait_ms / 1000, 1.0))
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
            self._failed = how.stop if how.failed else None
            self._answered += not how.failed and how.code not in (NOT_SENT, ANSWER_LOST)
            if how.stop and (not how.failed or self._failures >= MOST_FAILURES):
                self._stop = self._stop or how.stop

    def _send(self, position: int) -> Ended:
        if spared := self._spare(position):
            return spared
        # What is not answered now stays what it was: '~' if the answer of an earlier attempt was lost.
        wire, before = self.one.batch.wires[position], self.one.codes[position]
        lost = ANSWER_LOST if self.operation.resend_safe(wire) else "?"
        lead = self._lead_id(position) if self.operation.by_id else ""
        if self.operation.by_id and not lead:
            return Ended("r", UNKNOWN_LEAD)
        try:
            answer = self.engine.transport.send(
                self._request(wire, lead),
                timeout_s=self.account.timeout_s,
                may_send=self.turn.may_send,
                handle=CallHandle(),
            )
        except NoAnswer as silent:
            code = lost if silent.may_have_left else before
            return self._failure(code, silent.reason)
        ended = self._read(answer, position, lost)
        if wait := spent_s(answer.headers, self.provider, time.time()):
            ended.stop = ended.stop or Verdict(
                [], "throttled", "the dialer's budget is used up", retry_after_s=wait
            )
        return ended

    def _spare(self, position: int) -> Ended | None:
        """The end of a lead whose person has opted out; None if it goes, without contacts who have."""
        number, wire = self.one.batch.numbers[position], self.one.batch.wires[position]
        delivers, opt_outs = not self.operation.silences(wire), self.engine.opt_outs
        numbers = [number, *self.operation.others(wire)]
        found = self.engine.patiently(
            lambda: opt_outs.before_call(self.turn.lane, self.account.name, numbers, delivers=delivers)
        )
        if found is None:
            return Ended(self.one.codes[position], stop=Verdict([], "none", OPT_OUTS))
        if number in found and delivers:
            return Ended(*spared(self.one.codes[position]))
        if found:
            with self._lock:
                self.one.replace(position, self.operation.without(wire, found))
        return None

    def _lead_id(self, position: int) -> str:
        ids, number = self.engine.lead_ids, self.one.batch.numbers[position]
        return self.engine.patiently(lambda: ids.find(self.account.name, self.campaign, number))

    def _request(self, wire: str, lead: str) -> Request:
        path = self.operation.path.format(campaign=quote(self.campaign, safe=""), lead=quote(lead, safe=""))
        body = self.operation.body([wire], self.campaign)
        headers = self.provider.headers(self.key)
        if body is not None:
            headers["Content-Type"] = "application/json"
        setting = self.operation.method_setting
        method = getattr(self.account, setting) if setting else self.operation.method
        return Request(method, self.account.base_url + path, headers, body)

    def _read(self, answer: Answer, position: int, lost: str) -> Ended:
        carried = Manifest([self.one.batch.wires[position]], [], {})
        body = verdicts.decode(answer.body.replace(self.key.encode(), b"[key]"))
        words = verdicts.unquoted(self.provider.problem(body), carried) or f"HTTP {answer.status}"
        before = self.one.codes[position]
        if code := self.operation.judge(answer.status, body):
            return self._settled(position, code, words)
        means = meaning(answer.status, self.operation.answers)
        if means is Meaning.OK:
            return self._taken(body, position, lost, f"{answer.status}: {UNREADABLE_WORDS}")
        if means is Meaning.REFUSED:
            return self._settled(position, "r", words)
        wait = retry_after_s(answer.headers.get("retry-after"), time.time())
        if means is Meaning.FAILED:
            # A 503 says that nothing was done; where sending again is harmless, we need not believe it.
            code = before if answer.status == 503 and lost == "?" else lost
            return self._failure(code, words, wait)
        return Ended(before, "", self._stopped(means, f"{answer.status}: {words}", wait))

    def _taken(self, body: object, position: int, lost: str, problem: str) -> Ended:
        number = self.one.batch.numbers[position]
        try:
            reading = self.operation.read(body, [number])
        except CallRefusedError as refused:
            carried = Manifest([self.one.batch.wires[position]], [], {})
            return self._settled(position, "r", verdicts.unquoted(str(refused), carried))
        except ValueError:
            reading = Reading(all=self.operation.unreadable)
        code = reading.all or reading.codes.get(number) or reading.later.get(number, "")
        if not code:
            return Ended(
                lost, problem, Verdict([Move(self.one, "dead", problem)], "ok", problem), failed=True
            )
        if reading.lead_id:
            ids, lead_id = self.engine.lead_ids, reading.lead_id
            self.engine.patiently(lambda: ids.keep(self.account.name, self.campaign, number, lead_id))
        return self._settled(position, code, reading.words.get(number, ""))

    def _settled(self, position: int, code: str, words: str) -> Ended:
        self.one.settle(position, code)
        return Ended(self.one.codes[position], words if code not in "cdum" else "")

    def _failure(self, code: str, words: str, wait_s: float | None = None) -> Ended:
        stop = Verdict([], "failed", words, retry_after_s=wait_s)
        return Ended(code, LOST_WORDS if code == "?" else "", stop, failed=True)

    def _stopped(self, means: Meaning, words: str, wait_s: float | None) -> Verdict:
        """What ends the slice: as for a call of many leads, but nothing else of the batch is touched."""
        if means is Meaning.THROTTLED:
            return Verdict([], "throttled", "rate limited", retry_after_s=wait_s)
        if means is Meaning.CONFLICT:
            conflicts = self.one.row.number("conflicts")
            moves = [verdicts.again(self.one, words, conflicts=conflicts + 1, dice=self.engine.dice)]
            rest_s = full_jitter(conflicts, dice=self.engine.dice)
            return Verdict(moves, "ok", words, rest_s=rest_s, look=conflicts + 1 >= verdicts.LOOK_AFTER)
        if means is Meaning.UNAUTHORIZED:
            return Verdict([], "hold", words)
        if means is Meaning.FORBIDDEN:
            return Verdict([], "hold_op", words)
        return Verdict([Move(self.one, "dead", words)], "ok", words)


def spent_s(headers: Mapping[str, str], provider: Provider, now_s: float) -> float:
    """Seconds until the dialer's own count of calls begins anew, if its headers say that none is left; else 0."""
    if provider.budget is None:
        return 0.0
    left, reset = (headers.get(name, "") for name in provider.budget)
    if left.strip() != "0" or not reset.strip().isdigit():
        return 0.0
    return min(max(int(reset) - now_s, 0.0), LONGEST_COOL_DOWN_S)
