"""What one worker process has: its lanes, its transport, its keys, and the two threads that serve them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import redis
import structlog

from leadlane.schemas.settings import Account, Settings
from leadlane.workers.faults import OUTAGES, told
from leadlane.workers.jobs import Jobs
from leadlane.workers.keeper import Keeper
from leadlane.workers.lanes import Call, Lanes, Row
from leadlane.workers.lead_ids import LeadIds
from leadlane.workers.optouts import NOBODY, OptOuts
from leadlane.workers.providers import PROVIDERS, Provider
from leadlane.workers.transport import Transport

log = structlog.get_logger(__name__)
T = TypeVar("T")
HOUSE = Account(name=NOBODY, provider="", base_url="", api_key="")
"""The account of work that speaks to no dialer."""
NO_DIALER = Provider(
    name="",
    gap_s=0.0,
    exclusive=False,
    parallel=1,
    operations={},
    headers=lambda _: {},
    canonical_campaign=str,
    look=None,
    problem=lambda _: "",
    bad_leads=lambda _body, _n: None,
    closed_words=(),
    source="",
)
WAITED_OUT = (*OUTAGES, redis.exceptions.NoPermissionError)
"""What passes, or is mended by people while the answer of a call is kept in hand."""
MOST_REFUSALS = 5


class ShuttingDownError(Exception):
    """The process ends while Redis is away; the message stays unacknowledged and comes again."""


@dataclass(slots=True)
class Engine:
    """The collaborators of a turn; clock, dice and sleep come from outside for the tests."""

    settings: Settings
    lanes: Lanes
    jobs: Jobs
    transport: Transport
    keeper: Keeper
    lead_ids: LeadIds
    opt_outs: OptOuts
    keys: Mapping[str, str]
    publish: Callable[[Call], None]
    finish: Callable[[Sequence[tuple[Row, Mapping[str, object] | None]], str], None]
    wake: Callable[[float, bool], None] = lambda _in_s, _frees: None
    has_place: Callable[[], bool] = lambda: True
    turn_left: Callable[[Call | None], bool] = lambda _next: False
    dice: Callable[[], float] = random.random
    sleep: Callable[[float], None] = time.sleep
    stopping: Callable[[], bool] = lambda: False
    offered: dict[str, Provider] = field(default_factory=dict)
    """Dialers by account, as `provider` has made them."""

    def account(self, name: str) -> Account | None:
        """The account as this worker knows it."""
        return HOUSE if name == NOBODY else self.settings.accounts.get(name)

    def provider(self, account: Account) -> Provider:
        """The dialer of the account, by the account's settings."""
        if account is HOUSE:
            return NO_DIALER
        known = self.offered.get(account.name)
        if known is None:
            known = PROVIDERS[account.provider].at(account.switches, account.leads_per_call)
            self.offered[account.name] = known
        return known

    def patiently(self, act: Callable[[], T]) -> T:
        """The act's value; a Redis that is away never ends a task, it waits with backoff until Redis is back.

        Raises ShuttingDownError if the process is asked to end meanwhile; the error, when it has come a few times,
        if Redis answers and refuses: waiting does not mend a bug.
        """
        wait, refusals = 0.1, 0
        while True:
            try:
                return act()
            except redis.RedisError as exc:
                if self.stopping():
                    raise ShuttingDownError from None
                if isinstance(exc, WAITED_OUT):
                    log.warning("redis is away, waiting", error=type(exc).__name__, wait_s=wait)
                else:
                    refusals += 1
                    log.error("redis refuses, this is a bug", error=told(exc), times=refusals)
                    if refusals == MOST_REFUSALS:
                        raise
            self.sleep(wait)
            wait = min(wait * 2, 2.0)


def gap_s(account: Account, provider: Provider) -> float:
    """Rest of a leads lane of this account, seconds: the account's setting, else the provider's rule."""
    return provider.gap_s if account.import_gap_s is None else account.import_gap_s
