"""A turn of a start, pause or stop: send it, and look until the campaign is as it was asked to be.

The newest command of a campaign is what is wanted (``lane.lua``, commands): one that was overtaken ends as
``superseded``, looked at in the moment of sending. A command is never waited for by a newer one: if its answer was
lost, the newer is sent at once, and confirmed when the lost one can no longer run.
"""

from __future__ import annotations

from leadlane.schemas.outcomes import REACHED, SUPERSEDED
from leadlane.schemas.problems import one_line
from leadlane.schemas.settings import Account
from leadlane.workers.answers import Meaning
from leadlane.workers.command_turn import CommandTurn, done
from leadlane.workers.commands import TO_LOOK, TO_SEND
from leadlane.workers.conduct import BUILDING_S, Terms
from leadlane.workers.lanes import Wanted
from leadlane.workers.ledger import Aboard
from leadlane.workers.providers import Provider
from leadlane.workers.providers.contract import CallRefusedError, States
from leadlane.workers.transport import NoAnswer
from leadlane.workers.verdicts import Answered, Verdict

LOOK_EVERY_S = 1.0
"""Between looks at a campaign that is on its way into another state."""
STARTS_AGAIN_S = 5.0
"""Between tries to stop a campaign that rests by itself and goes on by itself."""
SETTLES_S = 300.0
"""How long after its first attempt a command is looked after."""
CONFLICTS = 3
"""Refusals after which a state that is not the wanted one is the end of it."""
CANNOT_SAY = frozenset({Meaning.FORBIDDEN, Meaning.MISSING, Meaning.REFUSED, Meaning.CONFLICT, Meaning.ODD})
"""Answers to a look from which nothing follows for the command: its own answer decides."""


class StateTurn(CommandTurn):
    """One command: a call, a look, or a call and a look where the dialer says that the state forbids it."""

    __slots__ = ()

    @classmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:  # noqa: ARG003
        """A lost command is remembered for ``lost_call_s``; the lane does not rest for it."""
        return Terms(
            gap_s=0.0, lost_call_s=account.lost_call_s, longest_s=2 * account.timeout_s + BUILDING_S, room=1
        )

    def rest(self, verdict: Verdict, began: float, now: float) -> tuple[float, float]:
        """No rest: what comes next may be a stop."""
        return 0.0, began + self.terms.lost_call_s - now if verdict.lost else 0.0

    def decide(self) -> Verdict:
        """Send the command, or look what became of it."""
        aboard, moves = self.board()
        if not aboard:
            return Verdict(moves, "none", called=False)
        [one] = aboard
        states = self.provider.states
        assert states is not None  # noqa: S101  the face refuses it otherwise
        wanted = self._wanted()
        if wanted.overtakes(one.row.ticket, one.row.number("seq")):
            return Verdict([done(one, SUPERSEDED)], "none", called=False)
        others = [s for operation, s in wanted.unsure_s.items() if operation != self.operation_name]
        unsure_s = min(max(others, default=0.0), self.account.lost_call_s)
        if one.codes[0] == TO_SEND:
            return self._command(one, states, unsure_s)
        return self._look(one, states, unsure_s)

    def _command(self, one: Aboard, states: States, unsure_s: float) -> Verdict:
        """Send it. If its state forbids it, the campaign may be as it should be, or just on its way: it is asked."""
        try:
            answer = self.ask(states.commands[self.operation_name])
        except NoAnswer as silent:
            return self.silent([one], silent.reason, left=silent.may_have_left, look=False)
        means = self.meaning(answer)
        if means is Meaning.CONFLICT:
            return self._look(one, states, unsure_s, refused=self.words(answer))
        if means is not Meaning.OK:
            return self.trouble([one], answer, means, look=False)
        try:
            status = one_line(states.status(answer.body, self.campaign))
        except CallRefusedError as refused:
            return self._look(one, states, unsure_s, refused=str(refused))
        except ValueError:
            if states.look is None and unsure_s <= 0:
                return Verdict([done(one, "a", "the dialer's answer does not say the campaign's state")])
            return self.later(one, TO_LOOK, "to be looked after", wait_s=unsure_s)
        return self._is(one, states, status, unsure_s) or self._soon(one, status)

    def _look(self, one: Aboard, states: States, unsure_s: float, *, refused: str = "") -> Verdict:
        """Ask the campaign itself; ``refused`` are the dialer's words where it was told just now and would not."""
        status, conflicts = "", one.row.number("conflicts")
        if states.look:
            overtaken = refused and self._wanted().overtakes(one.row.ticket, one.row.number("seq"))
            if overtaken or (refused and not self.admitted()):
                return self.later(one, TO_LOOK, refused, wait_s=LOOK_EVERY_S, conflicts=conflicts)
            try:
                answer = self.ask(states.look)
            except NoAnswer as silent:
                one.codes[0] = TO_LOOK if refused else one.codes[0]
                return self.silent([one], silent.reason, left=silent.may_have_left, look=True)
            means = self.meaning(answer)
            if means not in CANNOT_SAY and means is not Meaning.OK:
                one.codes[0] = TO_LOOK if refused else one.codes[0]
                return self.trouble([one], answer, means, look=True)
            status = _status(states, answer, self.campaign) if means is Meaning.OK else ""
        if status and (verdict := self._is(one, states, status, unsure_s)):
            return verdict
        words = "; ".join(filter(None, (refused, f"the campaign is {status}" if status else "")))
        if self.operation_name == "stop" and status in states.by_itself.get("start", ()):
            # It is refused as for a paused one, but this one starts again by itself: the stop stays wanted.
            return self.later(one, TO_SEND, words, wait_s=STARTS_AGAIN_S, conflicts=conflicts)
        if not refused:
            failed = one.codes[0] == TO_LOOK and bool(status)  # the dialer had said yes
            wait_s = self.backoff_s(one.row.number("attempts")) if one.row.number("attempts") else 0.0
            words = words or "nobody can say the campaign's state"
            return self.later(one, TO_SEND, words, wait_s=wait_s, conflicts=conflicts, cost=int(failed))
        if conflicts + 1 >= CONFLICTS:
            return Verdict([done(one, "r", words, **({"state": status} if status else {}))])
        return self.later(one, TO_SEND, words, wait_s=self.backoff_s(conflicts), conflicts=conflicts + 1)

    def _wanted(self) -> Wanted:
        return self.engine.patiently(lambda: self.engine.lanes.wanted(self.turn.lane))

    def _is(self, one: Aboard, states: States, status: str, unsure_s: float) -> Verdict | None:
        """The campaign is in this state: what follows, or None if the command must be sent (again)."""
        asked = self.operation_name
        if status in states.reached[asked] or status in states.by_itself.get(asked, ()):
            if unsure_s > 0:
                words = f"the campaign is {status}; an older command may still run, so it is looked at again"
                return self.later(one, TO_LOOK, words, wait_s=unsure_s)
            if status in states.reached[asked]:
                return Verdict([done(one, REACHED, state=status)])
            return Verdict([done(one, "a", f"the campaign is {status} and goes on by itself", state=status)])
        return self._soon(one, status) if status in states.passing else None

    def _soon(self, one: Aboard, status: str) -> Verdict:
        """The campaign is on its way; it is looked at again, but not for ever."""
        first = one.row.number("first") or self.entry.now_ms
        words = f"the campaign is {status}"
        if self.entry.now_ms - first > SETTLES_S * 1000:
            return Verdict([done(one, "a", f"{words}, and was not seen to become otherwise", state=status)])
        return self.later(one, TO_LOOK, words, wait_s=LOOK_EVERY_S, conflicts=one.row.number("conflicts"))


def _status(states: States, answer: Answered, campaign: str) -> str:
    try:
        return one_line(states.status(answer.body, campaign))
    except ValueError:
        return ""
