"""What every turn has in common: its calls are made elsewhere, here it leaves the lane and its task ends."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal

import structlog

from leadlane.schemas.settings import Account
from leadlane.workers import payloads, verdicts
from leadlane.workers.answers import retry_after_s
from leadlane.workers.calls_made import Made, call
from leadlane.workers.engine import Engine
from leadlane.workers.keeper import Turn
from leadlane.workers.lanes import Entry, Left, Row
from leadlane.workers.ledger import Aboard
from leadlane.workers.providers import Provider
from leadlane.workers.transport import Answer, Request
from leadlane.workers.vault import NO_KEY, KeyMissingError
from leadlane.workers.verdicts import Answered, Move, Verdict

log = structlog.get_logger(__name__)
MISNAMED = "its message named another account or another kind of work"
BUILDING_S = 30.0
"""What a turn may take beside its call: reading payloads, waiting for a look at the campaign."""


@dataclass(frozen=True, slots=True)
class End:
    """How the task of a ticket ends."""

    verdict: Literal["done", "parked", "elsewhere", "dead", "unknown"]
    result: Mapping[str, object] | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under what a turn is asked for: seconds, and how much fits into its call (`enter.lua`)."""

    gap_s: float
    lost_call_s: float
    longest_s: float
    room: int


@dataclass(slots=True)
class Conduct(ABC):
    """The steps of a granted turn."""

    engine: Engine
    entry: Entry
    turn: Turn
    account: Account
    provider: Provider
    terms: Terms
    call_ended: float = 0.0
    made: list[Made] = field(default_factory=list)

    group: ClassVar[Literal["leads", "control"]]
    replayed: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:
        """The terms of a turn for this operation."""

    @abstractmethod
    def decide(self) -> Verdict:
        """Make the calls; what becomes of each ticket aboard."""

    @abstractmethod
    def result(self, move: Move, verdict: Verdict) -> Mapping[str, object]:
        """What the task of a ticket that is done returns."""

    def run(self) -> End:
        """The whole turn."""
        return self._close(self.decide)

    def step_back(self) -> End:
        """No turn: its message named another account or kind of work, so nothing is sent under it."""
        return self._close(self._misnamed)

    def _misnamed(self) -> Verdict:
        aboard, moves = self.readable()
        moves += [verdicts.again(one, MISNAMED, dice=self.engine.dice) for one in aboard]
        return Verdict(moves, "none", called=0)

    def _close(self, decide: Callable[[], Verdict]) -> End:
        try:
            verdict = decide()
        except KeyMissingError as missing:
            verdict = self._unread(missing)
        # The holder first: its task is this one.
        order = {row.ticket: i for i, row in enumerate(self.entry.rows)}
        verdict.moves.sort(key=lambda move: order[move.one.row.ticket])
        left = self._leave(verdict)
        self.say(verdict, left)
        return self._end(verdict, left)

    @property
    def operation_name(self) -> str:
        """What the holder asks for."""
        return self.entry.rows[0].fields["op"]

    @property
    def campaign(self) -> str:
        """The campaign's id at the dialer."""
        return self.entry.rows[0].fields["campaign"]

    def readable(self) -> tuple[list[Aboard], list[Move]]:
        """The tickets aboard, and the moves of those whose payload is gone; raises KeyMissingError."""
        aboard: list[Aboard] = []
        moves: list[Move] = []
        for row in self.entry.rows:
            try:
                aboard.append(Aboard.of(row, self.engine.lanes.vault))
            except payloads.PayloadUnreadableError as exc:
                reason = "payload_lost" if row.payload is None else f"payload_lost: {exc}"
                moves.append(Move(Aboard.without_payload(row), "dead", reason))
        return aboard, moves

    def _unread(self, missing: KeyMissingError) -> Verdict:
        """All aboard wait as they were, and the account with them, for a worker that has the key."""
        reason = f"{NO_KEY} {missing.name}"
        moves = [
            Move(
                Aboard.unread(row),
                "again",
                reason,
                solo="solo" in row.fields,
                unread=True,
                conflicts=row.number("conflicts"),
            )
            for row in self.entry.rows
        ]
        for move in moves:
            move.search = move.one.search
        return Verdict(moves, "hold", reason, called=0)

    def worn_out(self, one: Aboard) -> str:
        """Why this ticket is not tried again, or ''."""
        settings = self.engine.settings
        if one.row.number("attempts") >= settings.max_attempts:
            return f"too_many_attempts: {settings.max_attempts} attempts failed"
        first = one.row.number("first")
        if first and self.entry.now_ms - first > settings.max_age_s * 1000:
            return f"too_old: {settings.max_age_s:.0f} s since the first attempt"
        return ""

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        content_type: Callable[[bytes], str] = lambda _: "application/json",
        *,
        operation: str,
        size: int = 0,
    ) -> Answer:
        """One call, if the turn still has its lease; raises NoAnswer. The last two are for the call ledger."""
        key = self.engine.keys[self.account.name]
        request = request_of(self.provider, self.account, key, method, path, body, content_type)
        return call(
            self.engine.transport,
            request,
            self.made.append,
            operation=operation,
            size=size,
            timeout_s=self.account.timeout_s,
            may_send=self.turn.may_send,
            handle=self.turn.handle(),
        )

    def decoded(self, answer: Answer) -> Answered:
        """The answer, without the key."""
        return decoded(self.engine, self.account, answer)

    def admitted(self, within_s: float = 2.0) -> bool:
        """Whether one more call of this turn gets its slot of the account's rate in time; waits for it."""
        return self.engine.patiently(lambda: admitted(self.engine, self.account, within_s))

    def rest(self, verdict: Verdict, began: float, now: float) -> tuple[float, float]:
        """Seconds from now until the lane's next turn, and while a lost call may run for which it does not rest."""
        if not verdict.called:
            return 0.0, 0.0
        rest_s = self.call_ended + max(self.terms.gap_s, verdict.rest_s) - now
        if verdict.lost:
            rest_s = max(rest_s, began + self.terms.lost_call_s + self.terms.gap_s - now)
        return rest_s + 0.001, 0.0

    def _leave(self, verdict: Verdict) -> Left:
        began = self.turn.call_began
        if verdict.lost and self.made:
            self.made[-1].ended = max(self.made[-1].ended, began + self.terms.lost_call_s)

        def leave() -> Left:
            now = time.monotonic()
            rest_s, unsure_s = self.rest(verdict, began, now)
            document = verdicts.document(
                verdict,
                lane=self.turn.lane,
                token=self.turn.token,
                account=self.account.name,
                operation=self.operation_name,
                rest_ms=max(int(rest_s * 1000), 0),
                unsure_ms=max(int(unsure_s * 1000), 0),
                began_ms=max(int((now - began) * 1000), 0),
                dice=self.engine.dice,
            ) | ({"seq": self.turn.seq} if self.turn.seq else {})
            if self.turn.here:
                document["listed"] = 1
            if self.made:
                document["worker"] = self.engine.keeper.worker
                document["calls"] = [one.document(n, now) for n, one in enumerate(self.made, 1)]
            if self.replayed:
                self.engine.keeper.remember(document)
            return self.engine.lanes.leave(document)

        left = self.engine.patiently(leave)
        if not self.engine.turn_left(left.call) and left.call:
            self.engine.publish(left.call)
        in_s = max(self.rest(verdict, began, time.monotonic())[0], 0.0)
        self.engine.wake(in_s, left.call is None)
        return left

    def say(self, verdict: Verdict, left: Left) -> None:
        """One line in the log, unless all is said by that of the task."""
        batches, delivered = len(self.entry.rows), all(move.act == "done" for move in verdict.moves)
        if batches == 1 and delivered and not left.stale:
            return  # the task's own line says it, with the counts
        line = log.bind(lane=self.turn.lane, batches=batches)
        leads = sum(len(move.one.sent) for move in verdict.moves)
        if left.stale:
            line.warning("turn ended after it was lost")
        elif delivered:
            line.info("delivered", leads=leads)
        else:
            acts = {act: sum(move.act == act for move in verdict.moves) for act in ("done", "again", "dead")}
            line.info("not all delivered", leads=leads, reason=verdict.moves[0].reason, **acts)

    def _end(self, verdict: Verdict, left: Left) -> End:
        if left.stale:
            return End("elsewhere")
        own, *riders = verdict.moves
        listed = verdict.moves if self.turn.here else riders
        if done := [move for move in listed if move.act == "done"]:
            self.engine.finish(
                [(m.one.row, None if _ends_later(m.one.row) else self.result(m, verdict)) for m in done],
                own.one.row.ticket,
            )
        if own.act == "again" or not left.complete:
            return End("parked", detail=own.reason)
        if own.act == "dead":
            return End("dead", detail=own.reason)
        if "cut" in own.one.row.fields:
            return End("done")  # the sum over its pieces, which others may have ended
        return End("done", result=self.result(own, verdict))


def request_of(
    provider: Provider,
    account: Account,
    key: str,
    method: str,
    path: str,
    body: bytes | None,
    content_type: Callable[[bytes], str] = lambda _: "application/json",
) -> Request:
    """One request of the account."""
    headers = provider.headers(key)
    if body is not None:
        headers["Content-Type"] = content_type(body)
    return Request(method, account.base_url + path, headers, body)


def decoded(engine: Engine, account: Account, answer: Answer) -> Answered:
    """The answer, without the key: a dialer may quote the one that it refuses."""
    body = without_key(answer.body, engine.keys[account.name])
    wait = retry_after_s(answer.headers.get("retry-after"), time.time())
    return Answered(answer.status, verdicts.decode(body), wait)


def without_key(body: bytes, key: str) -> bytes:
    """An answer's body without the API key, also where its JSON writes it with escapes."""
    if b"\\" in body:
        body = _escaped(key).sub(b"[key]", body)
    return body.replace(key.encode(), b"[key]")


@lru_cache
def _escaped(key: str) -> re.Pattern[bytes]:
    """The key in JSON, any letter of it escaped or not; PHP does so with each slash."""
    ways = (
        (f"(?i:\\\\u{ord(c):04x})", f"\\\\{re.escape(c)}" if c in '"\\/' else "", re.escape(c)) for c in key
    )
    return re.compile("".join(f"(?:{'|'.join(filter(None, each))})" for each in ways).encode())


def admitted(engine: Engine, account: Account, within_s: float) -> bool:
    """Whether one more call gets its slot of the account's rate in so many seconds."""
    until = time.monotonic() + within_s
    while wait_ms := engine.lanes.admit(account.name):
        if time.monotonic() + wait_ms / 1000 > until:
            return False
        engine.sleep(wait_ms / 1000)
    return True


def _ends_later(row: Row) -> bool:
    """A rider that must run to end, since tasks wait for it, or that ends with its last piece."""
    return "links" in row.fields or "cut" in row.fields
