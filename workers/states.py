"""A turn of a start, pause or stop: send it once, then look until the campaign is as it was asked to be.

The newest command of a campaign is what is wanted (``lane.lua``, commands): one that was overtaken ends as
``superseded``, looked at in the moment of sending. A command is never waited for by a newer one: if its answer was
lost, the newer is sent at once, and confirmed when the lost one can no longer run.
"""

from __future__ import annotations

from leadlane.schemas.outcomes import REACHED, SUPERSEDED
from leadlane.schemas.settings import Account
from leadlane.workers.answers import Meaning
from leadlane.workers.command_turn import CommandTurn, done
from leadlane.workers.commands import LOST, TO_LOOK, TO_SEND
from leadlane.workers.conduct import BUILDING_S, Terms
from leadlane.workers.ledger import Aboard
from leadlane.workers.providers import Provider
from leadlane.workers.providers.contract import CallRefusedError, States
from leadlane.workers.transport import NoAnswer
from leadlane.workers.verdicts import Answered, Verdict

LOOK_EVERY_S = 1.0
"""Between looks at a campaign that is on its way into another state."""
SETTLES_S = 300.0
"""How long after its first attempt a command is looked after."""
CONFLICTS = 3
"""Refusals after which a state that is not the wanted one is the end of it."""


class StateTurn(CommandTurn):
    """One command, one call."""

    __slots__ = ()

    @classmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:  # noqa: ARG003
        """A lost command is remembered for ``lost_call_s``; the lane does not rest for it."""
        return Terms(
            gap_s=0.0, lost_call_s=account.lost_call_s, longest_s=account.timeout_s + BUILDING_S, room=1
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
        wanted = self.engine.patiently(lambda: self.engine.lanes.wanted(self.turn.lane))
        if wanted.seq > one.row.number("seq"):
            return Verdict([done(one, SUPERSEDED)], "none", called=False)
        others = [s for command, s in wanted.unsure_s.items() if command != self.operation_name]
        unsure_s = min(max(others, default=0.0), self.account.lost_call_s)
        look = one.codes[0] != TO_SEND and states.look is not None
        endpoint = states.look if look and states.look else states.commands[self.operation_name]
        try:
            answer = self.ask(endpoint)
        except NoAnswer as silent:
            return self.silent(aboard, silent.reason, left=silent.may_have_left, look=look)
        return self._answered(one, states, answer, look=look, unsure_s=unsure_s)

    def _answered(
        self, one: Aboard, states: States, answer: Answered, *, look: bool, unsure_s: float
    ) -> Verdict:
        means = self.meaning(answer)
        conflicts = one.row.number("conflicts")
        if means is Meaning.CONFLICT and not look:
            # Perhaps it is so already, perhaps it changes just now: the campaign itself says.
            return self.later(one, TO_LOOK, self.words(answer), conflicts=conflicts + 1)
        if means is not Meaning.OK:
            return self.trouble([one], answer, means, look=look)
        try:
            status = states.status(answer.body, self.campaign)
        except CallRefusedError as refused:
            # Perhaps it is so already, and that is why.
            return self.later(one, TO_LOOK, str(refused), conflicts=conflicts + 1)
        except ValueError:
            if look or states.look is None:
                return Verdict([done(one, "a", "the dialer's answer does not say the campaign's state")])
            return self.later(one, TO_LOOK, "to be looked after", conflicts=conflicts)
        return self._is(one, states, status, look=look, unsure_s=unsure_s)

    def _is(self, one: Aboard, states: States, status: str, *, look: bool, unsure_s: float) -> Verdict:
        """The campaign is in this state."""
        asked, conflicts = self.operation_name, one.row.number("conflicts")
        words = f"the campaign is {status}"
        if status in states.reached[asked]:
            if unsure_s <= 0:
                return Verdict([done(one, REACHED, state=status)])
            words += "; an older command may still run, so it is looked at again"
            return self.later(one, TO_LOOK, words, wait_s=unsure_s, conflicts=conflicts)
        if status in states.by_itself.get(asked, ()):
            return Verdict([done(one, "a", f"{words} and goes on by itself", state=status)])
        if status in states.passing or not look:
            first = one.row.number("first") or self.entry.now_ms
            if self.entry.now_ms - first > SETTLES_S * 1000:
                return Verdict([done(one, "a", f"{words}, {SETTLES_S:.0f} s after", state=status)])
            return self.later(one, TO_LOOK, words, wait_s=LOOK_EVERY_S, conflicts=conflicts)
        if one.codes[0] == LOST:
            return self.later(one, TO_SEND, words, conflicts=conflicts)
        if conflicts >= CONFLICTS:
            return Verdict([done(one, "r", words, state=status)])
        return self.later(one, TO_SEND, words, wait_s=self.backoff_s(conflicts), conflicts=conflicts + 1)
