"""What a worker does with the tickets of opt-outs: takes them in, and has the campaigns told that have the numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import structlog

from leadlane.schemas.errors import UnknownAccount
from leadlane.schemas.outcomes import REACHED
from leadlane.schemas.settings import Account
from leadlane.workers import payloads
from leadlane.workers.accounts import Facts, read_facts
from leadlane.workers.command_turn import CommandTurn, done
from leadlane.workers.conduct import Terms
from leadlane.workers.engine import Engine
from leadlane.workers.intake import BATCH, own_ticket
from leadlane.workers.lanes import Ticket
from leadlane.workers.optouts import EVERYWHERE, WORDS, Reached, holding, scopes
from leadlane.workers.providers import Provider
from leadlane.workers.verdicts import Verdict

log = structlog.get_logger(__name__)
LONGEST_S = 600.0
"""For how long campaigns that have a number may be searched for."""


class OptOutTurn(CommandTurn):
    """A turn of an opt-out, or of a question about opt-outs. It speaks to no dialer.

    What it leaves with is not said again to a Redis that came back without its last writes: what it wrote before
    it left may be lost too, so the ticket has another turn.
    """

    __slots__ = ()
    replayed = False

    @classmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:  # noqa: ARG003
        """Nothing is called, so nothing is waited for."""
        return Terms(gap_s=0.0, lost_call_s=0.0, longest_s=LONGEST_S, room=1)

    def decide(self) -> Verdict:
        """Do what is asked; it may be done twice."""
        aboard, moves = self.board()
        for one in aboard:
            asked, ticket = json.loads(one.batch.wires[0]), one.row.ticket
            act = partial(ACTS[self.operation_name], self.engine, ticket, self.campaign, asked)
            moves.append(done(one, REACHED, told=json.dumps(self.engine.patiently(act))))
        return Verdict(moves, "none", called=False)


def take_in(engine: Engine, ticket: str, scope: str, asked: Mapping[str, Any]) -> dict[str, int]:
    """Keep the numbers from all later calls of the scope, then have every campaign told that has one of them.

    May be repeated. How many numbers, how many are new, campaigns that are being told, and campaigns whose
    dialer cannot be told.
    """
    numbers, opt_outs = asked["numbers"], engine.opt_outs
    new = opt_outs.add(scope, numbers, asked["source"])
    told = untold = 0
    for reached in opt_outs.reached(scope, numbers):
        tickets = list(_tellings(engine, ticket, reached))
        for telling in tickets:
            engine.jobs.enter(telling, may_call=False)  # its lane waits for the end of this ticket
        told += bool(tickets)
        untold += not tickets
    if untold:
        log.warning("campaigns cannot be told of an opt-out, their dialer has no way", campaigns=untold)
    return {"numbers": len(numbers), "new": new, "campaigns_told": told, "campaigns_not_told": untold}


def forget(engine: Engine, _: str, scope: str, asked: Mapping[str, Any]) -> dict[str, int]:
    """Let numbers be called again, as far as this scope is concerned: how many had opted out in it."""
    numbers = asked["numbers"]
    return {"numbers": len(numbers), "removed": engine.opt_outs.remove(scope, numbers)}


def look_up(engine: Engine, _: str, scope: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Which of the numbers have opted out, by their places in what was asked, also per scope; no number.

    Who asks of all asks of every scope, and learns which campaigns got which of them in the last hundred days.
    """
    numbers = asked["numbers"]
    where: dict[str, list[int]] = {}
    for one in scopes(engine.lanes) if scope == EVERYWHERE else holding(scope):
        found = engine.opt_outs.suppressed([one], numbers)
        if places := [i for i, number in enumerate(numbers) if number in found]:
            where[one] = places
    told: dict[str, Any] = {
        "numbers": len(numbers),
        "suppressed": sorted({i for them in where.values() for i in them}),
        "scopes": where,
    }
    if scope != EVERYWHERE:
        return told
    return told | {
        "campaigns": {
            f"{reached.account}/{reached.lane.split('/', 3)[3]}": [
                i for i, number in enumerate(numbers) if number in reached.numbers
            ]
            for reached in engine.opt_outs.reached(scope, numbers)
        }
    }


ACTS: Mapping[str, Callable[[Engine, str, str, Mapping[str, Any]], dict[str, Any]]] = dict(
    zip(WORDS, (take_in, forget, look_up), strict=True)
)


def _tellings(engine: Engine, ticket: str, reached: Reached) -> Iterator[Ticket]:
    """The tickets that tell a campaign in its dialer's way, before all else; none if the dialer has no way."""
    try:
        facts = read_facts(engine.lanes, reached.account)
    except UnknownAccount:
        return
    opt_out = facts.dialer.opt_out
    if opt_out is None or opt_out.operation not in facts.dialer.offered(facts.switches).operations:
        return
    for at in range(0, len(reached.numbers), BATCH):
        name = hashlib.blake2b(f"{reached.lane} {at}".encode(), digest_size=6).hexdigest()
        yield _telling(facts, f"{ticket}-{name}", reached.lane, reached.numbers[at : at + BATCH])


def _telling(facts: Facts, id: str, lane: str, numbers: tuple[str, ...]) -> Ticket:  # noqa: A002
    opt_out = facts.dialer.opt_out
    assert opt_out  # noqa: S101  the caller has looked
    operation, campaign = facts.operation(opt_out.operation), lane.split("/", 3)[3]
    wires = [json.dumps(operation.wire({"phone_number": f"+{n}", **opt_out.fields})) for n in numbers]
    batch = payloads.Batch.of(0, opt_out.operation, numbers, wires)
    return own_ticket(facts, opt_out.operation, campaign, batch, id=id, job=id, lane=lane, front=True)
