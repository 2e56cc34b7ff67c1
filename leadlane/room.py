"""Room for more leads: what a producer does while as many wait as may."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Literal

import structlog

from leadlane.reaching import reaching_redis
from leadlane.schemas.errors import LaneFull, WrongUse
from leadlane.workers.bounds import Full, full
from leadlane.workers.eta import room_in_s
from leadlane.workers.lanes import Lanes, Ticket

OnFull = Literal["wait", "raise"] | Callable[[LaneFull], object]
"""``wait``, ``raise``, or a function that is told at each look, every second at most, and may raise to give up."""
FIRST_LOOK_S, LAST_LOOK_S = 0.05, 1.0

log = structlog.get_logger(__name__)


def heed(on_full: OnFull) -> Callable[[LaneFull], object]:
    """What to do with the error at each look: a line in the log at the first, raise it, or the caller's own.

    Raises WrongUse.
    """
    if callable(on_full):
        return on_full
    if on_full == "raise":
        return _raise
    if on_full == "wait":
        return _Quiet()
    raise WrongUse("on_full: is neither 'wait' nor 'raise' nor a function; write one of them")


def wait_for_room(
    lanes: Lanes, ticket: Ticket, told: Callable[[LaneFull], object], *, rows_stored: int
) -> None:
    """Return when there seems to be room for the ticket. Raises what ``told`` does, and Unreachable."""
    pause_s = FIRST_LOOK_S
    while found := reaching_redis(lambda: full(lanes, ticket.account, ticket.lane, ticket.size)):
        campaign = f"{ticket.account}/{ticket.campaign}"
        when = _when(lanes, ticket, found)
        told(LaneFull(campaign, found.of, found.waiting, found.limit, ticket.job, rows_stored, when))
        time.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311  several producers shall not look as one
        pause_s = min(pause_s * 2, LAST_LOOK_S)


def _when(lanes: Lanes, ticket: Ticket, found: Full) -> float | None:
    account, lane, operation, size = ticket.account, ticket.lane, ticket.operation, ticket.size
    return reaching_redis(lambda: room_in_s(lanes, found, account, lane, operation, size))


def _raise(error: LaneFull) -> None:
    raise error


class _Quiet:
    """Says once that an import waits."""

    said = False

    def __call__(self, error: LaneFull) -> None:
        if not self.said:
            log.warning(
                "import waits for room",
                campaign=error.campaign,
                job=error.job_id,
                waiting=error.waiting,
                limit=error.limit,
            )
        self.said = True
