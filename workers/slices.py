"""A turn at a dialer that takes one lead a call: several calls at once, under the rate, for some seconds.

The leads of all batches aboard go as one line, in their order; each batch has its own outcomes, attempts and end.

What becomes of each lead is written when its call ends, and that it has left is written before it leaves: a
crash costs at most the answers of the calls that were in the air, and each of those is known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any
from urllib.parse import quote

from leadlane.schemas.outcomes import ANSWER_LOST, NOT_SENT
from leadlane.schemas.settings import Account
from leadlane.workers import verdicts
from leadlane.workers.answers import LONGEST_COOL_DOWN_S, Meaning, meaning, retry_after_s
from leadlane.workers.backoff import full_jitter
from leadlane.workers.blocking import OPT_OUTS
from leadlane.workers.calls_made import Made, call
from leadlane.workers.conduct import request_of, without_key
from leadlane.workers.engine import Engine
from leadlane.workers.keeper import Turn
from leadlane.workers.lanes import TICKET_CANCELLED, TURN_OVER
from leadlane.workers.ledger import LOST_WORDS, Aboard, Manifest, spared
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.providers.contract import CallRefusedError, Reading
from leadlane.workers.transport import Answer, NoAnswer, Request
from leadlane.workers.verdicts import Move, Verdict

SLICE_S = 10.0
STALE_S = 0.05
"""How long after it was taken a slot of the account's rate is used."""
MOST_FAILURES = 3
"""Failures in a row after which a slice ends."""
UNKNOWN_LEAD = (
    "the dialer's id of the lead is not known: this fleet did not import it, imported it as a file, whose answer "
    "has no ids, or so long ago that the id is forgotten"
)
UNKNOWN_LEAD_OF_BATCH = (
    "the dialer's id of the lead that was brought is not known: its answer was lost, it came in a file, the number was "
    "brought again since, or so long ago that the id is forgotten"
)


Lead = tuple[Aboard, int]
"""A lead aboard: its batch, and its position there."""


@dataclass(slots=True)
class Ended:
    """How the call of one lead ended: its code, and what stops the slice, if anything does.

    A failure stops it only if others went before; anything else does at once. ``made`` is the call, with its number in
    the slice, if one was made.
    """

    code: str
    why: str = ""
    stop: Verdict | None = None
    failed: bool = False
    made: tuple[int, Made] | None = None


@dataclass(slots=True)
class Slice:
    """One slice of the batches aboard."""

    engine: Engine
    turn: Turn
    aboard: Sequence[Aboard]
    account: Account
    provider: Provider
    operation: Operation
    campaign: str
    key: str
    _stop: Verdict | None = None
    _failed: Verdict | None = None
    _failures: int = MOST_FAILURES - 1  # in a row; a slice begins in doubt, its first call alone may end it
    _begun: dict[str, list[int]] = field(default_factory=dict)  # positions by ticket, as the next three
    _answered: set[str] = field(default_factory=set)
    _unanswered: dict[str, str] = field(default_factory=dict)  # and why
    _cancelled: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))  # of calls
    _over: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> Verdict:
        """Send until the slice's time is over, all leads are done, or something stops it.

        The first call goes alone: while a dialer is out of order a slice costs one lead its answer, not one a line.
        """
        leads = self._leads()
        queue = iter(leads)
        until = time.monotonic() + SLICE_S
        self._line(islice(queue, 1), until)
        lines = min(self.provider.parallel, len(leads) - 1)
        if lines > 0 and not self._halted(until):
            with ThreadPoolExecutor(lines, thread_name_prefix="leadlane-slice") as pool:
                for line in [pool.submit(self._line, queue, until) for _ in range(lines)]:
                    line.result()
        return self._end()

    def _leads(self) -> list[Lead]:
        """What this slice sends. A number that comes again waits for the next one: its calls keep their order."""
        numbers: dict[str, Lead] = {}
        for one in self.aboard:
            for position in one.sent:
                numbers.setdefault(one.batch.numbers[position], (one, position))
        return list(numbers.values())

    def _end(self) -> Verdict:
        end = self._stop or self._failed or Verdict([], "ok")
        given = {move.one.row.ticket: move for move in end.moves}
        end.moves = []
        for one in self.aboard:
            one.sent = tuple(self._begun.get(one.row.ticket, ()))
            if not one.pending:
                move = verdicts.go_on(one, None)
            else:
                move = given.get(one.row.ticket) or self._goes_on(one, end.reason)
            move.unsent = not one.sent
            end.moves.append(move)
        return end

    def _goes_on(self, one: Aboard, reason: str) -> Move:
        """Some of the batch is left; it has used an attempt if calls of it failed and none was answered."""
        ticket, dice = one.row.ticket, self.engine.dice
        if ticket in self._unanswered and ticket not in self._answered:
            move = verdicts.again(one, self._unanswered[ticket], cost=1, dice=dice)
            if self._answered:  # the dialer is in order: nobody else waits for this one
                move.behind = one.row.fields["op"] == "import"
                move.wait_s = move.wait_s if move.behind else 0.0
            return move
        return verdicts.again(one, reason or "goes on in its next slice", dice=dice)

    def _halted(self, until: float) -> bool:
        return bool(self._stop) or self._over or time.monotonic() > until or not self.turn.may_send()

    def _line(self, queue: Iterator[Lead], until: float) -> None:
        """One of the lines of calls: each step records the call that ended and lets the next begin."""
        ended: Lead | None = None
        how = Ended("")
        while True:
            lead = self._next(queue, until)
            wait_ms, asked = self._begins(ended, how, lead, until)
            ended = None
            if lead is None or wait_ms not in (0, TICKET_CANCELLED):
                return
            if wait_ms == 0:
                ended, how = lead, self._send(lead, asked, until)
                self._note(*lead, how)

    def _next(self, queue: Iterator[Lead], until: float) -> Lead | None:
        with self._lock:
            if self._halted(until):
                return None
            return next((lead for lead in queue if lead[0].row.ticket not in self._cancelled), None)

    def _begins(self, ended: Lead | None, how: Ended, lead: Lead | None, until: float) -> tuple[int, float]:
        """Record the call that ended; wait until that of ``lead`` may begin: 0 if it does (`Lanes.slice`), and when."""
        asked = time.monotonic()
        wait_ms = self._step(ended, how, lead)
        while wait_ms > 0 and not self._halted(until):
            self.engine.sleep(min(wait_ms / 1000, 1.0))
            asked = time.monotonic()
            wait_ms = self._step(None, how, lead)
        if wait_ms == TURN_OVER:
            self._over = True
        elif wait_ms == TICKET_CANCELLED and lead:
            self._cancelled.add(lead[0].row.ticket)
        return wait_ms, asked

    def _step(self, ended: Lead | None, how: Ended, lead: Lead | None) -> int:
        lanes, turn = self.engine.lanes, self.turn
        return self.engine.patiently(
            lambda: lanes.slice(
                turn.lane,
                turn.token,
                ended=_named(ended),
                code=how.code,
                why=how.why,
                begins=_named(lead),
                made=self._made(how) if ended else None,
            )
        )

    def _made(self, how: Ended) -> Mapping[str, Any] | None:
        if how.made is None:
            return None
        n, made = how.made
        worker = self.engine.keeper.worker
        return {"acct": self.account.name, "worker": worker, "call": made.document(n, time.monotonic())}

    def _note(self, one: Aboard, position: int, how: Ended) -> None:
        with self._lock:
            self._begun.setdefault(one.row.ticket, []).append(position)
            one.codes[position] = how.code
            if how.why:
                one.why[str(position)] = how.why
            self._failures = self._failures + 1 if how.failed else 0
            self._failed = how.stop if how.failed else None
            if how.failed and how.stop:
                self._unanswered[one.row.ticket] = how.stop.reason
            elif how.code not in (NOT_SENT, ANSWER_LOST):
                self._answered.add(one.row.ticket)
            if how.stop and (not how.failed or self._failures >= MOST_FAILURES):
                self._stop = self._stop or how.stop

    def _send(self, this: Lead, asked: float, until: float) -> Ended:
        """The call of this lead; ``asked`` is when its slot of the rate was asked for."""
        one, position = this
        if spared := self._spare(one, position):
            return spared
        # What is not answered now stays what it was: '~' if the answer of an earlier attempt was lost.
        wire, before = one.batch.wires[position], one.codes[position]
        lost = ANSWER_LOST if self.operation.resend_safe(wire) else "?"
        lead = self._lead_id(one, position) if self.operation.by_id else ""
        if self.operation.by_id and not lead:
            return Ended("r", UNKNOWN_LEAD_OF_BATCH if "undoes" in one.row.fields else UNKNOWN_LEAD)
        while time.monotonic() - asked > STALE_S:
            # What comes later than its slot meets those that come after it: their second would hold one too many.
            wait_ms, asked = self._begins(None, Ended(""), this, until)
            if wait_ms != 0:
                return Ended(before)
        noted: list[Made] = []
        try:
            answer = call(
                self.engine.transport,
                self._request(wire, lead),
                noted.append,
                operation=one.row.fields["op"],
                size=1,
                timeout_s=self.account.timeout_s,
                may_send=self.turn.may_send,
                handle=self.turn.handle(),
            )
        except NoAnswer as silent:
            ended = self._failure(lost if silent.may_have_left else before, silent.reason)
        else:
            ended = self._told(answer, one, position, lost)
        ended.made = (next(self._numbers), noted[0]) if noted else None
        return ended

    def _told(self, answer: Answer, one: Aboard, position: int, lost: str) -> Ended:
        ended = self._read(answer, one, position, lost)
        if wait := spent_s(answer.headers, self.provider, time.time()):
            ended.stop = ended.stop or Verdict(
                [], "throttled", "the dialer's budget is used up", retry_after_s=wait
            )
        return ended

    def _spare(self, one: Aboard, position: int) -> Ended | None:
        """The end of a lead whose person has opted out; None if it goes, without contacts who have."""
        number, wire = one.batch.numbers[position], one.batch.wires[position]
        delivers, opt_outs = not self.operation.silences(wire), self.engine.opt_outs
        numbers = [number, *self.operation.others(wire)]
        found = self.engine.patiently(
            lambda: opt_outs.before_call(self.turn.lane, self.account.name, numbers, delivers=delivers)
        )
        if found is None:
            return Ended(one.codes[position], stop=Verdict([], "none", OPT_OUTS))
        if number in found and delivers:
            return Ended(*spared(one.codes[position]))
        if found:
            with self._lock:
                one.replace(position, self.operation.without(wire, found))
        return None

    def _lead_id(self, one: Aboard, position: int) -> str:
        ids, number = self.engine.lead_ids, one.batch.numbers[position]
        batch = one.row.fields.get("undoes", "")
        return self.engine.patiently(lambda: ids.find(self.account.name, self.campaign, number, batch))

    def _request(self, wire: str, lead: str) -> Request:
        path = self.operation.path.format(campaign=quote(self.campaign, safe=""), lead=quote(lead, safe=""))
        setting = self.operation.method_setting
        method = getattr(self.account, setting) if setting else self.operation.method
        body = self.operation.body(wire.encode(), self.campaign)
        return request_of(
            self.provider, self.account, self.key, method, path, body, self.operation.content_type
        )

    def _read(self, answer: Answer, one: Aboard, position: int, lost: str) -> Ended:
        carried = Manifest(one.batch.wires[position].encode())
        body = verdicts.decode(without_key(answer.body, self.key))
        words = verdicts.unquoted(self.provider.problem(body), carried) or f"HTTP {answer.status}"
        before = one.codes[position]
        if code := self.operation.judge(answer.status, body):
            return self._settled(one, position, code, words)
        means = meaning(answer.status, self.operation.answers)
        if means is Meaning.OK:
            return self._taken(body, one, position, lost, f"{answer.status}: {verdicts.UNREADABLE_WORDS}")
        if means is Meaning.REFUSED:
            return self._settled(one, position, "r", words)
        wait = retry_after_s(answer.headers.get("retry-after"), time.time())
        if means is Meaning.FAILED:
            # A 503 says that nothing was done; where sending again is harmless, we need not believe it.
            code = before if answer.status == 503 and lost == "?" else lost
            return self._failure(code, words, wait)
        return Ended(before, "", self._stopped(one, means, f"{answer.status}: {words}", wait))

    def _taken(self, body: object, one: Aboard, position: int, lost: str, problem: str) -> Ended:
        number = one.batch.numbers[position]
        try:
            reading = self.operation.read(body, [number])
        except CallRefusedError as refused:
            carried = Manifest(one.batch.wires[position].encode())
            return self._settled(one, position, "r", verdicts.unquoted(str(refused), carried))
        except ValueError:
            reading = Reading(all=self.operation.unreadable)
        code = reading.all or reading.codes.get(number) or reading.later.get(number, "")
        if not code:
            return Ended(lost, problem, Verdict([Move(one, "dead", problem)], "ok", problem), failed=True)
        if reading.lead_id:
            ids, lead_id, batch = self.engine.lead_ids, reading.lead_id, one.row.ticket
            self.engine.patiently(lambda: ids.keep(self.account.name, self.campaign, number, lead_id, batch))
        return self._settled(one, position, code, reading.words.get(number, ""))

    def _settled(self, one: Aboard, position: int, code: str, words: str) -> Ended:
        one.settle(position, code)
        return Ended(one.codes[position], words if code not in "cdum" else "")

    def _failure(self, code: str, words: str, wait_s: float | None = None) -> Ended:
        stop = Verdict([], "failed", words, retry_after_s=wait_s)
        return Ended(code, LOST_WORDS if code == "?" else "", stop, failed=True)

    def _stopped(self, one: Aboard, means: Meaning, words: str, wait_s: float | None) -> Verdict:
        """What ends the slice: as for a call of many leads, but no other lead is touched."""
        if means is Meaning.THROTTLED:
            return Verdict([], "throttled", "rate limited", retry_after_s=wait_s)
        if means is Meaning.CONFLICT:
            conflicts = max(each.row.number("conflicts") for each in self.aboard)
            moves = [
                verdicts.again(each, words, conflicts=conflicts + 1, dice=self.engine.dice)
                for each in self.aboard
            ]
            rest_s = full_jitter(conflicts, dice=self.engine.dice)
            return Verdict(moves, "ok", words, rest_s=rest_s, look=conflicts + 1 >= verdicts.LOOK_AFTER)
        if means is Meaning.UNAUTHORIZED:
            return Verdict([], "hold", words)
        if means is Meaning.FORBIDDEN:
            return Verdict([], "hold_op", words)
        return Verdict([Move(one, "dead", words)], "ok", words)


def _named(lead: Lead | None) -> tuple[str, int] | None:
    return (lead[0].row.ticket, lead[1]) if lead else None


def spent_s(headers: Mapping[str, str], provider: Provider, now_s: float) -> float:
    """Seconds until the dialer's own count of calls begins anew, if its headers say that none is left; else 0."""
    if provider.budget is None:
        return 0.0
    left, reset = (headers.get(name, "") for name in provider.budget)
    reset = reset.strip()
    if left.strip() != "0" or not (reset.isascii() and reset.isdigit() and len(reset) < 16):
        return 0.0
    return min(max(int(reset) - now_s, 0.0), LONGEST_COOL_DOWN_S)
