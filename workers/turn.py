"""One turn: enter the lane and, if it is granted, conduct it."""

from __future__ import annotations

import time
from uuid import uuid4

import structlog

from leadlane.workers import optouts
from leadlane.workers.accounts import NO_SETTINGS
from leadlane.workers.conduct import Conduct, End
from leadlane.workers.delivery import Delivery
from leadlane.workers.engine import Engine, ShuttingDownError
from leadlane.workers.faults import told
from leadlane.workers.keeper import Turn
from leadlane.workers.lanes import Entry
from leadlane.workers.membership import AgentsTurn
from leadlane.workers.providers.contract import AGENT_WORDS, STATE_WORDS
from leadlane.workers.states import StateTurn
from leadlane.workers.suppressing import OptOutTurn

log = structlog.get_logger(__name__)
CONDUCTS: dict[str, type[Conduct]] = {
    **dict.fromkeys(STATE_WORDS, StateTurn),
    **dict.fromkeys(AGENT_WORDS, AgentsTurn),
    **dict.fromkeys(optouts.WORDS, OptOutTurn),
}
"""Who conducts a turn for an operation that does not carry leads."""


class BrokenOffError(Exception):
    """A bug in the middle of a turn. It is no end of the tickets aboard: their lane goes on as after a crash."""


def take(
    engine: Engine,
    ticket: str,
    *,
    account_name: str,
    operation_name: str,
    number: int = 0,
    here: bool = False,
) -> End:
    """Take the turn of a ticket whose task has come, if it is granted, and say how the task ends.

    ``number`` is of the call that brought the task, ``here`` says that it did not come through the broker.
    Raises ShuttingDownError, and BrokenOffError, after which the task must come again.
    """
    account = engine.account(account_name)
    if account is None:
        engine.patiently(lambda: engine.lanes.hold("account", account_name, NO_SETTINGS, over=""))
        return End("parked")
    provider = engine.provider(account)
    conduct = CONDUCTS.get(operation_name, Delivery)
    terms = conduct.asks(account, provider, operation_name)
    token = uuid4().hex
    asked = time.monotonic()
    entry = engine.patiently(
        lambda: engine.lanes.enter(
            ticket,
            token,
            number=number,
            lease_ms=int(engine.settings.lease_s * 1000),
            turn_ms=int(terms.longest_s * 1000),
            lost_ms=int(terms.lost_call_s * 1000),
            gap_ms=int(terms.gap_s * 1000),
            room=terms.room,
            worker=engine.keeper.worker,
            listed=here,
        )
    )
    if entry.verdict != "granted":
        return End(entry.verdict, detail=entry.detail)
    turn = Turn(
        lane=entry.lane,
        token=token,
        account=account_name,
        group=conduct.group,
        tickets=tuple(row.ticket for row in entry.rows),
        deadline=asked + terms.longest_s,
        lost_call_s=terms.lost_call_s + terms.gap_s,
        lease_until=asked + engine.settings.lease_s,
        call_began=asked,
        seq=entry.rows[0].fields.get("seq", ""),
        here=here,
    )
    engine.keeper.hold(turn)
    conducted = conduct(engine, entry, turn, account, provider, terms)
    try:
        return conducted.run() if _is_about(entry, account_name, conduct) else conducted.step_back()
    except ShuttingDownError:
        raise
    except Exception as exc:  # noqa: BLE001  whatever it was
        log.error("turn broke off", lane=entry.lane, error=told(exc))
        raise BrokenOffError from None
    finally:
        engine.keeper.release(turn)


def _is_about(entry: Entry, account_name: str, conduct: type[Conduct]) -> bool:
    """Whether the message named the account and the kind of work that the ticket has: a foreign one may lie."""
    fields = entry.rows[0].fields
    return fields["acct"] == account_name and CONDUCTS.get(fields["op"], Delivery) is conduct
