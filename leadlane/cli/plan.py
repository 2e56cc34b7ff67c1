"""`leadlane plan`: how long so many leads take, with how many workers, and what they need of Redis."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Final

import typer

from leadlane.schemas.errors import WrongUse, did_you_mean

from . import output

if TYPE_CHECKING:
    from leadlane.schemas.rates import Rate
    from leadlane.workers.pace import Pace, Plan

EXAMPLE: Final = "leadlane plan --leads 1000000 --campaigns 20 --call-time 1.5"
BECAUSE: Final = {
    "campaign": "one call of a campaign after another, with the gap between them",
    "rate": "the rate of the account",
    "workers": "the workers' slots",
}


def plan(
    leads: Annotated[int, typer.Option(min=1, metavar="N", help="Leads in all.")],
    campaigns: Annotated[
        int, typer.Option(min=1, metavar="C", help="Campaigns that they are spread over, of one account.")
    ] = 1,
    rate: Annotated[
        list[str] | None,
        typer.Option(
            metavar="R", help="Of the account, such as 10/s; several hold together. [default: the dialer's]"
        ),
    ] = None,
    call_time: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="SECONDS", help="How long a call takes. [default: 1, a guess]"),
    ] = None,
    provider: Annotated[str, typer.Option(metavar="NAME", help="The dialer whose rules hold.")] = "voiso",
    gap: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SECONDS", help="Rest between two calls of a campaign. [default: the dialer's]"
        ),
    ] = None,
    leads_per_call: Annotated[
        int | None, typer.Option(min=1, max=1000, metavar="K", help="[default: the dialer's]")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="W", help="With so many workers. [default: as many as are enough]"),
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, metavar="N", help="Calls at once of one worker.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Say how long leads take from the first request to the last answer, how many workers and how much of Redis.

    The least that the dialer's rules allow: full calls, no lane idle. Neither Redis nor a worker is asked.
    """
    from leadlane.workers import pace as arithmetic

    pace = _pace(provider, rate or [], call_time, gap, leads_per_call)
    found = arithmetic.plan(pace, leads=leads, campaigns=campaigns, workers=workers, concurrency=concurrency)
    if json:
        output.document({"provider": provider, **dataclasses.asdict(pace), **dataclasses.asdict(found)})
    else:
        output.table(("plan", provider), _lines(found, pace))


def _pace(
    provider: str, rates: list[str], call_s: float | None, gap_s: float | None, leads_per_call: int | None
) -> Pace:
    from leadlane.workers.pace import UNKNOWN_CALL_S, Pace, spacing_s
    from leadlane.workers.providers import PROVIDERS

    if provider not in PROVIDERS:
        raise WrongUse(f"--provider: '{provider}' is no dialer; {did_you_mean(provider, PROVIDERS)}")
    record = PROVIDERS[provider]
    found = record.operations["import"]
    in_slices = found.in_slices and leads_per_call in (None, 1)
    return Pace(
        call_s=UNKNOWN_CALL_S if call_s is None else call_s,
        gap_s=record.gap_s if gap_s is None else gap_s,
        leads_per_call=leads_per_call or found.leads_per_call,
        lines=record.parallel if in_slices else 1,
        spacing_s=max((spacing_s(rate) for rate in _rates(rates or list(record.rates))), default=0.0),
    )


def _rates(texts: list[str]) -> list[Rate]:
    from leadlane.schemas.rates import Rate

    found = []
    for text in texts:
        try:
            found.append(Rate.parse(text))
        except ValueError:
            raise WrongUse(f'--rate: \'{text}\' is not a rate; write "10/s" or "600/m"') from None
    return found


def _lines(found: Plan, pace: Pace) -> list[tuple[str, str]]:
    slots = f"{found.slots:,} calls at once" + (" are enough" if found.bound_by != "workers" else "")
    return [
        ("leads", f"{found.leads:,} in {found.campaigns:,} campaigns"),
        ("calls", f"{found.calls:,} of up to {pace.leads_per_call:,} leads, {pace.call_s:g} s each"),
        ("time", f"{output.duration(found.seconds)}, by {BECAUSE[found.bound_by]}"),
        ("workers", f"{found.workers:,} of {found.concurrency}: {slots}"),
        (
            "redis",
            f"{found.redis_bytes / 1e6:,.1f} MB while they wait, and until retention_s after their end",
        ),
    ]
