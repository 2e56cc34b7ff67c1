"""`leadlane verify`: whether the dialers' rules were kept, by the calls that were made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from leadlane.schemas.errors import WrongUse

from . import output
from .store import open_lanes

if TYPE_CHECKING:
    from leadlane.workers.verifying import Kept, Verdict

EXAMPLE: Final = "leadlane verify --since 1h"
BREACHES: Final = (
    ("at the same time", "simultaneous"),
    ("within the gap", "too_early"),
    ("too large", "too_large"),
    ("starts after a newer stop", "starts_after_newer_stop"),
    ("over the rate", "over_rate"),
)
UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def verify(
    since: Annotated[
        str, typer.Option(metavar="TIME", help="How far to look back: 90s, 15m, 1h, 2d.")
    ] = "1h",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say per campaign how the dialer's rules were kept, by the ledger of all calls; exit 1 on a breach.

    Rules are those of now: after a change of import_gap_s, rate or leads_per_call look back no further than to it.
    """
    from leadlane.reaching import reaching_redis
    from leadlane.workers.verifying import verify as verified

    since_s = seconds(since)
    store = open_lanes()
    verdict = reaching_redis(lambda: verified(store, since_s))
    if json:
        output.document(
            {
                "since_ms": verdict.since_ms,
                "oldest_ms": verdict.oldest_ms,
                "calls": verdict.calls,
                "breaches": verdict.breaches,
                "campaigns": [one.document() for one in verdict.campaigns],
            }
        )
    else:
        _show(verdict, since)
    if verdict.breaches:
        raise typer.Exit(1)


def seconds(text: str) -> float:
    """The time in ``90s``, ``15m``, ``1h`` or ``2d``; raises WrongUse."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip())
    if not found or not int(found[1]):
        raise WrongUse("--since: not a time; write 90s, 15m, 1h or 2d")
    return float(int(found[1]) * UNIT_S[found[2]])


def sentence(verdict: Verdict) -> str:
    """The verdict in one line."""
    campaigns = len(verdict.campaigns)
    return (
        f"{verdict.calls:,} calls to {campaigns:,} campaign{'s' * (campaigns != 1)}: "
        f"{verdict.breaches:,} rules broken"
    )


def _show(verdict: Verdict, since: str) -> None:
    if verdict.campaigns:
        output.table(
            (
                "campaign",
                "calls",
                "no answer",
                "at once",
                "smallest gap",
                "largest call",
                "breaches",
                "which",
            ),
            [_row(one) for one in verdict.campaigns],
        )
    if verdict.oldest_ms and verdict.oldest_ms > verdict.since_ms:
        from .jobs import moment

        output.note(f"the oldest call in the ledger is of {moment(verdict.oldest_ms)}")
    output.line(f"in the last {since}: {sentence(verdict)}")


def _row(one: Kept) -> tuple[Any, ...]:
    gap = "-" if one.smallest_gap_s is None else f"{one.smallest_gap_s:.3f} s"
    which = ", ".join(f"{n} {words}" for words, name in BREACHES if (n := getattr(one, name)))
    return (
        one.campaign,
        one.calls,
        one.without_answer,
        one.most_at_once,
        gap,
        one.largest_call,
        one.breaches,
        which,
    )
