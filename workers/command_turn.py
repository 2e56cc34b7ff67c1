"""What turns of commands share: their calls, and what an answer means that is no plain yes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import structlog

from leadlane.schemas.outcomes import FATE_OF
from leadlane.workers import verdicts
from leadlane.workers.answers import STILL_RUNNING, Meaning, meaning
from leadlane.workers.backoff import full_jitter
from leadlane.workers.calls_made import LOOK
from leadlane.workers.commands import LOST, TO_SEND, fate
from leadlane.workers.conduct import Conduct
from leadlane.workers.lanes import Left, Row
from leadlane.workers.ledger import Aboard
from leadlane.workers.providers.contract import Endpoint
from leadlane.workers.verdicts import Answered, Move, Verdict

log = structlog.get_logger(__name__)


class CommandTurn(Conduct):
    """A turn in a control lane."""

    __slots__ = ()
    group: ClassVar[Literal["leads", "control"]] = "control"

    def board(self) -> tuple[list[Aboard], list[Move]]:
        """The commands that go on, and the moves of those that do not."""
        aboard: list[Aboard] = []
        found, moves = self.readable()
        for one in found:
            if one.row.fields.get("lost") and one.codes[0] == TO_SEND:
                one.codes[0] = LOST  # the worker that had it is gone; perhaps it had sent it
            if worn_out := self.worn_out(one):
                moves.append(Move(one, "dead", worn_out))
            else:
                one.sent = one.pending[:1]
                aboard.append(one)
        return aboard, moves

    def ask(self, endpoint: Endpoint, agents: Sequence[str] = (), query: str = "") -> Answered:
        """One call; raises NoAnswer."""
        path = endpoint.target(self.campaign, agents, query)
        self.engine.patiently(lambda: self.engine.keeper.begins(self.turn))
        try:
            body = endpoint.body(self.campaign, agents)
            operation = LOOK if endpoint.method == "GET" else self.operation_name
            return self.decoded(self.send(endpoint.method, path, body, operation=operation, size=len(agents)))
        finally:
            self.call_ended = time.monotonic()

    def silent(self, aboard: Sequence[Aboard], reason: str, *, left: bool, look: bool) -> Verdict:
        """No answer came to a command, or to a ``look``, which changes nothing."""
        lost = left and not look
        for one in aboard:
            one.codes[0] = LOST if lost else one.codes[0]
        moves = [verdicts.again(one, reason, cost=1, dice=self.engine.dice) for one in aboard]
        return Verdict(moves, "failed", reason, lost=lost, called=left)

    def trouble(self, aboard: Sequence[Aboard], answer: Answered, means: Meaning, *, look: bool) -> Verdict:
        """An answer that is neither a yes nor a conflict: one row of the table."""
        words = self.words(answer)
        reason = f"{answer.status}: {words}"
        if means is Meaning.REFUSED and not look:
            return Verdict([done(one, "r", words) for one in aboard])
        if means is Meaning.THROTTLED:
            moves = [verdicts.again(one, "rate limited by the dialer", dice=lambda: 0.0) for one in aboard]
            return Verdict(moves, "throttled", "rate limited", retry_after_s=answer.retry_after_s)
        if means is Meaning.FAILED:
            for one in aboard:
                one.codes[0] = one.codes[0] if look or answer.status == 503 else LOST
            moves = [verdicts.again(one, words, cost=1, dice=self.engine.dice) for one in aboard]
            lost = answer.status in STILL_RUNNING and not look
            return Verdict(moves, "failed", words, lost=lost, retry_after_s=answer.retry_after_s)
        if means in (Meaning.UNAUTHORIZED, Meaning.FORBIDDEN):
            moves = [verdicts.again(one, words, dice=lambda: 0.0) for one in aboard]
            return Verdict(moves, "hold" if means is Meaning.UNAUTHORIZED else "hold_op", reason)
        return Verdict([Move(one, "dead", reason) for one in aboard])

    def words(self, answer: Answered) -> str:
        """The dialer's, of an answer that is no yes."""
        return self.provider.problem(answer.body) or f"HTTP {answer.status}"

    @staticmethod
    def meaning(answer: Answered) -> Meaning:
        """What the status means for a command."""
        return meaning(answer.status)

    @staticmethod
    def later(
        one: Aboard, code: str, reason: str, *, wait_s: float = 0.0, conflicts: int = 0, cost: int = 0
    ) -> Verdict:
        """To be sent, or looked after, in another turn; ``cost`` is 1 if this was an attempt that failed."""
        one.codes[0] = code
        return Verdict([Move(one, "again", reason, cost=cost, wait_s=wait_s, conflicts=conflicts)])

    def backoff_s(self, failures: int) -> float:
        """Seconds to wait after so many of them."""
        return full_jitter(failures, dice=self.engine.dice)

    def result(self, move: Move, verdict: Verdict) -> Mapping[str, object]:
        """The fate of a command."""
        row: Row = move.one.row
        return fate(
            row.fields,
            move.one.text,
            move.one.why,
            command=row.ticket,
            now_ms=self.entry.now_ms,
            calls=verdict.called,
        )

    def say(self, verdict: Verdict, left: Left) -> None:
        """One line in the log."""
        for move in verdict.moves:
            line = log.bind(lane=self.turn.lane, asked=move.one.row.fields["op"])
            if left.stale:
                line.warning("turn ended after it was lost")
            elif move.act == "done":
                line.info("command ended", outcome=FATE_OF[move.one.text].value, **move.one.why)
            else:
                line.info("command goes on" if move.act == "again" else "command dead", reason=move.reason)


def done(one: Aboard, code: str, reason: str = "", **facts: str) -> Move:
    """A command that has come to an end."""
    one.codes[0] = code
    one.why |= facts | ({"reason": reason} if reason else {})
    return Move(one, "done")
