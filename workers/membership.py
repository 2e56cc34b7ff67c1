"""A turn of words about a campaign's agents: all that wait are made one wish, of which the net difference is sent.

The last word about an agent wins. Every turn looks first who is there, and ends with a look that shows the wish
come true: a crash, a lost answer, "already a member" and "not a member" cost a look and nothing else.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from leadlane.schemas.outcomes import REACHED, SUPERSEDED
from leadlane.schemas.settings import Account
from leadlane.workers.answers import Meaning
from leadlane.workers.command_turn import CommandTurn, done
from leadlane.workers.commands import TO_LOOK, TO_SEND
from leadlane.workers.conduct import BUILDING_S, Terms
from leadlane.workers.ledger import Aboard
from leadlane.workers.lookups import OddAnswerError, every_row
from leadlane.workers.providers import Provider
from leadlane.workers.providers.contract import Agents, Endpoint
from leadlane.workers.slices import SLICE_S
from leadlane.workers.transport import NoAnswer
from leadlane.workers.verdicts import Answered, Move, Verdict

LOOKING_S = 60.0
"""For how long a turn may look, wait for its slots, and halve, before it has settled the first agent."""
ABOARD = 200
"""Commands of one turn."""
CONFLICTS = 3
"""Turns after which changes that were answered and cannot be seen are given up."""
ONE_BY_ONE = 2
"""Turns after which agents go alone, so that one of them is no obstacle to the others."""
NAMED = 20
"""Agents named in a reason at most."""
REFUSED = "refused:"
"""Name, before the agent's id, under which a command keeps the words of a refusal from turn to turn."""


@dataclass(frozen=True, slots=True)
class Word:
    """One command: the agents to add, to remove, or (sync) to have alone."""

    operation: str
    agents: Sequence[str]


@dataclass(frozen=True, slots=True)
class Wish:
    """What commands want together.

    Attributes:
        said: the commands, oldest first.
        on: agent -> whether it shall be there, by the last word about it.
        author: agent -> the command that had this word.
        sync: the last command that wants nobody else to be there; -1 if none does.
    """

    said: Sequence[Word]
    on: Mapping[str, bool]
    author: Mapping[str, int]
    sync: int

    def net(
        self, members: Collection[str], without: Collection[str] = ()
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Whom to add and whom to remove where these are members; ``without`` those that cannot be."""
        there = set(members)
        add = [agent for agent, on in self.on.items() if on and agent not in there]
        remove = [agent for agent in members if not self.on.get(agent, self.sync < 0)]
        return [a for a in add if a not in without], [a for a in remove if a not in without]

    def wants(self, command: int, agent: str) -> bool:
        """Whether this command says of the agent what the wish does."""
        word = self.said[command]
        if agent in word.agents:
            return (word.operation != "remove_agents") == self.on[agent]
        return command == self.sync and agent not in self.on

    def overtaken(self, command: int) -> bool:
        """Whether newer commands left nothing of this one."""
        word = self.said[command]
        if word.operation == "sync_agents":
            return command != self.sync
        return bool(word.agents) and command not in self.author.values()


def fold(said: Sequence[Word]) -> Wish:
    """The wish that these commands are together, the oldest first."""
    on: dict[str, bool] = {}
    author: dict[str, int] = {}
    sync = -1
    for command, word in enumerate(said):
        if word.operation == "sync_agents":
            on, author, sync = {}, {}, command
        on |= dict.fromkeys(word.agents, word.operation != "remove_agents")
        author |= dict.fromkeys(word.agents, command)
    return Wish(said, on, author, sync)


class TurnOverError(Exception):
    """The turn can make no more calls; how it ends."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


@dataclass(slots=True)
class AgentsTurn(CommandTurn):
    """All commands that wait, as many calls as they need and the turn's time allows."""

    calls: int = 0
    until: float = 0.0
    settled: bool = False
    aboard: list[Aboard] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Agent -> the dialer's words."""
    answered: dict[str, str] = field(default_factory=dict)
    """Agent whose change was answered -> the dialer's words, or '' for a yes."""

    @classmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:  # noqa: ARG003
        """After a lost call the lane rests as one of leads does; else not at all."""
        return Terms(
            gap_s=0.0,
            lost_call_s=account.lost_call_s,
            longest_s=account.timeout_s + BUILDING_S + LOOKING_S + SLICE_S,
            room=ABOARD,
        )

    def decide(self) -> Verdict:
        """Look, send the difference, look again."""
        self.aboard, moves = self.board()
        if not self.aboard:
            return Verdict(moves, "none", called=0)
        self.until = time.monotonic() + LOOKING_S
        for one in self.aboard:
            if one.row.number("calls"):
                self._recall(one)
        try:
            verdict = self._fulfil(fold([_word(one) for one in self.aboard]))
        except TurnOverError as over:
            verdict = over.verdict
        for move in verdict.moves:
            if move.act == "again" and move.one.codes[0] == TO_SEND and self.answered:
                move.one.codes[0] = TO_LOOK
        verdict.moves.extend(moves)
        verdict.called = self.calls
        return verdict

    @property
    def agents(self) -> Agents:
        """How this dialer's agents are listed and changed."""
        assert self.provider.agents is not None  # noqa: S101  the face refuses it otherwise
        return self.provider.agents

    @property
    def conflicts(self) -> int:
        """Turns before this one whose changes could not be seen."""
        return max(one.row.number("conflicts") for one in self.aboard)

    def _recall(self, one: Aboard) -> None:
        why = self.engine.patiently(lambda: self.engine.jobs.why(one.row.ticket))
        self.refused |= {
            name.removeprefix(REFUSED): words for name, words in why.items() if name.startswith(REFUSED)
        }

    def _fulfil(self, wish: Wish) -> Verdict:
        hidden: list[str] = []
        while True:
            members = self._members()
            add, remove = wish.net(members, {*self.refused, *hidden})
            if not add and not remove:
                return self._over(wish, len(members), hidden)
            if unseen := [agent for agent in (*add, *remove) if agent in self.answered]:
                if self.conflicts < CONFLICTS:
                    reason = f"changes are not to be seen yet: {_named(unseen)}"
                    raise self._again(reason, wait_s=self.backoff_s(self.conflicts), more=1)
                # What it answered with a no is refused by now; the rest it took, and may show some day.
                self.refused |= {agent: words for agent in unseen if (words := self.answered[agent])}
                hidden += [agent for agent in unseen if not self.answered[agent]]
                continue
            self._add(add)
            for agent in remove:
                self._remove(agent)

    def _members(self) -> list[str]:
        listing = self.agents.listing
        try:
            rows = every_row(listing, lambda query: self._call(listing.endpoint, query=query))
        except OddAnswerError as odd:
            raise TurnOverError(self.trouble(self.aboard, odd.answer, odd.means, look=True)) from None
        return list(dict.fromkeys(str(row["id"]) for row in rows))

    def _add(self, agents: Sequence[str]) -> None:
        most = 1 if self.conflicts >= ONE_BY_ONE else self.agents.most
        chunks = deque(agents[i : i + most] for i in range(0, len(agents), most))
        while chunks:
            chunk = chunks.popleft()
            answer = self._call(self.agents.add, chunk)
            means = self.meaning(answer)
            if means in (Meaning.OK, Meaning.CONFLICT):
                self._note(chunk, answer, means)
            elif means not in (Meaning.REFUSED, Meaning.MISSING):
                raise TurnOverError(self.trouble(self.aboard, answer, means, look=False))
            elif len(chunk) == 1:
                self._refuse(chunk[0], self.words(answer))
            else:
                half = len(chunk) // 2
                chunks.extendleft((chunk[half:], chunk[:half]))

    def _remove(self, agent: str) -> None:
        try:
            self.agents.canonical(agent)
        except ValueError:
            return self._refuse(agent, "listed under an id that the dialer's own calls do not take")
        answer = self._call(self.agents.remove, [agent])
        means = self.meaning(answer)
        if means in (Meaning.OK, Meaning.CONFLICT, Meaning.MISSING):
            return self._note([agent], answer, means)
        if means is Meaning.REFUSED:
            return self._refuse(agent, self.words(answer))
        raise TurnOverError(self.trouble(self.aboard, answer, means, look=False))

    def _note(self, agents: Sequence[str], answer: Answered, means: Meaning) -> None:
        self._settle()
        self.answered |= dict.fromkeys(agents, "" if means is Meaning.OK else self.words(answer))

    def _refuse(self, agent: str, words: str) -> None:
        self._settle()
        self.refused[agent] = words
        for one in self.aboard:
            one.why[REFUSED + agent] = words

    def _settle(self) -> None:
        """From the first agent that is settled on, the turn has its slice: so every turn comes further."""
        if not self.settled:
            self.settled, self.until = True, time.monotonic() + SLICE_S

    def _call(self, endpoint: Endpoint, agents: Sequence[str] = (), query: str = "") -> Answered:
        if not self._may_call():
            raise self._again("goes on in its next turn")
        self.calls += 1
        try:
            return self.ask(endpoint, agents, query)
        except NoAnswer as silent:
            self.calls -= not silent.may_have_left
            look = not agents
            verdict = self.silent(self.aboard, silent.reason, left=silent.may_have_left, look=look)
            raise TurnOverError(verdict) from None

    def _may_call(self) -> bool:
        """Whether there is time, and a slot of the rate; a start, pause or stop that waits for one goes first."""
        left_s = self.until - time.monotonic()
        if not self.calls:  # its slot came with the turn
            return left_s > 0
        lanes, account = self.engine.lanes, self.account.name
        return (
            left_s > 0
            and not self.engine.patiently(lambda: lanes.state_waits(account))
            and self.admitted(left_s)
        )

    def _again(self, reason: str, *, wait_s: float = 0.0, more: int = 0) -> TurnOverError:
        conflicts = self.conflicts + more
        moves = [Move(one, "again", reason, wait_s=wait_s, conflicts=conflicts) for one in self.aboard]
        return TurnOverError(Verdict(moves))

    def _over(self, wish: Wish, members: int, hidden: Sequence[str]) -> Verdict:
        return Verdict([self._end_of(wish, i, one, members, hidden) for i, one in enumerate(self.aboard)])

    def _end_of(self, wish: Wish, i: int, one: Aboard, members: int, hidden: Sequence[str]) -> Move:
        count = str(members)
        if bad := [agent for agent in self.refused if wish.wants(i, agent)]:
            words = self.refused[bad[0]]
            return done(one, "r", f"the dialer refuses agents {_named(bad)}: {words}", members=count)
        if wish.overtaken(i):
            return done(one, SUPERSEDED, "newer words about the same agents came", members=count)
        if mine := [agent for agent in hidden if wish.wants(i, agent)]:
            reason = f"the dialer said yes, but its list does not show it: {_named(mine)}"
            return done(one, "a", reason, members=count)
        return done(one, REACHED, members=count)


def _word(one: Aboard) -> Word:
    return Word(one.row.fields["op"], json.loads(one.batch.wires[0])["agents"])


def _named(agents: Sequence[str]) -> str:
    more = len(agents) - NAMED
    return ", ".join(agents[:NAMED]) + (f" and {more} more" if more > 0 else "")
