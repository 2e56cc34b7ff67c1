"""`leadlane uncertain ...` and `leadlane dead ...`: what waits for a person to decide."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import typer

from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.errors import UnknownAccount, WrongUse

from . import output
from .jobs import AsJson, moment, print_rows, store

if TYPE_CHECKING:
    from leadlane.workers.unsettled import DeadBatch, Filter, Resolution, UncertainLead, Unsettled

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
NOT_DONE: Final = {
    "aboard": "a turn is at work on their batch, try again in a minute",
    "lost": "what was to be sent is no longer kept",
    "changed": "they were settled meanwhile",
}
SETTLED: Final = {
    "delivered": "are settled as delivered",
    "discard": "are given up",
    "resend": "wait to be sent again",
    "retry": "wait to be tried again",
}

Account = Annotated[str, typer.Option("--account", metavar="ACCOUNT", help="Only those of this account.")]
Campaign = Annotated[
    str, typer.Option("--campaign", "-c", metavar="ACCOUNT/CAMPAIGN", help="Only those of this campaign.")
]
OfJob = Annotated[str, typer.Option("--job", metavar="JOB", help="Only those of this job.")]
Reason = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Only those whose reason has this text in it.")
]
OlderThan = Annotated[
    str, typer.Option("--older-than", metavar="TIME", help="Only older ones: 90s, 30m, 2h or 7d.")
]
All = Annotated[bool, typer.Option("--all", help="All there are; needed where nothing else chooses.")]
LeadIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[JOB:INDEX]...", help="Single leads: their job (or batch) and index, as list says them."
    ),
]
BatchIds = Annotated[
    list[str] | None, typer.Argument(metavar="[BATCH]...", help="Batches, as list says them.")
]
BatchId = Annotated[str, typer.Argument(metavar="BATCH", help="The batch, as list says it.")]

T = TypeVar("T", "UncertainLead", "DeadBatch")
R = TypeVar("R")

uncertain = typer.Typer(
    no_args_is_help=True, help="Leads that were sent without answer, where sending again could double them."
)
dead = typer.Typer(no_args_is_help=True, help="Batches that are not tried again by themselves.")


@uncertain.command(
    "list", epilog="Example: leadlane uncertain list --campaign india/cmp_xyz789 --older-than 2h"
)
def list_uncertain(
    account: Account = "",
    campaign: Campaign = "",
    job: OfJob = "",
    reason: Reason = "",
    older_than: OlderThan = "",
    json: AsJson = False,
) -> None:
    """List the leads of which nobody knows whether they arrived.

    Look in the dialer whether it has them, then say which were delivered, are to be sent again, or are given up.
    """
    kept, wanted = _open(), _filter(account, campaign, job, reason, older_than)
    found = _reached(lambda: list(kept.uncertain(wanted)))
    if json:
        output.array(map(_document, found))
    elif not found:
        output.line("no lead is uncertain")
    else:
        output.table(
            ("lead", "phone_number", "campaign", "since", "reason"),
            [
                (f"{one.job}:{one.index}", one.phone_number, one.campaign, moment(one.since_ms), one.reason)
                for one in found
            ],
        )
        output.note("settle them with `leadlane uncertain delivered|resend|discard`")


def _add_resolution(act: Resolution, example: str, help: str) -> None:  # noqa: A002  typer's word
    @uncertain.command(act, epilog=f"Example: leadlane uncertain {act} {example}", help=help)
    def resolve(
        leads: LeadIds = None,
        account: Account = "",
        campaign: Campaign = "",
        job: OfJob = "",
        reason: Reason = "",
        older_than: OlderThan = "",
        all_there_are: All = False,
        json: AsJson = False,
    ) -> None:
        wanted = _filter(account, campaign, job, reason, older_than)
        _must_choose(leads, wanted, all_there_are, "a lead")
        kept = _open()
        chosen = _reached(
            lambda: _chosen(list(kept.uncertain(wanted)), leads, _names_of_lead, "uncertain lead")
        )
        _tell(act, "leads", _reached(lambda: kept.resolve(chosen, act)), json)


_add_resolution(
    "delivered",
    "4be0643f1d98573b:17",
    "Say that uncertain leads did arrive: they count as created (or updated, removed).",
)
_add_resolution(
    "resend",
    "--job 4be0643f1d98573b",
    "Send uncertain leads again: who is in the dialer already may then be called twice. Their job is open again.",
)
_add_resolution(
    "discard",
    "--account india --older-than 7d",
    "Give uncertain leads up: they count as failed, whether they arrived or not.",
)


@dead.command("list", epilog="Example: leadlane dead list --account voiso-emea --reason 404")
def list_dead(
    account: Account = "",
    campaign: Campaign = "",
    job: OfJob = "",
    reason: Reason = "",
    older_than: OlderThan = "",
    json: AsJson = False,
) -> None:
    """List the batches that are not tried again by themselves, and why."""
    kept, wanted = _open(), _filter(account, campaign, job, reason, older_than)
    found = _reached(lambda: list(kept.dead(wanted)))
    if json:
        output.array(map(_document, found))
    elif not found:
        output.line("no batch is dead")
    else:
        output.table(
            ("batch", "campaign", "operation", "leads", "attempts", "since", "reason"),
            [
                (
                    one.batch,
                    one.campaign,
                    one.operation,
                    one.leads,
                    one.attempts,
                    moment(one.since_ms),
                    one.reason,
                )
                for one in found
            ],
        )
        output.note("`leadlane dead retry` tries them again, `leadlane dead discard` gives them up")


@dead.command("show", epilog="Example: leadlane dead show 4be0643f1d98573b-0-c49b0a3a2b1f --json")
def show_dead(batch: BatchId, json: AsJson = False) -> None:
    """Show a dead batch with what is known of each of its leads."""
    from leadlane.workers.unsettled import Filter

    kept = _open()
    one = _reached(lambda: _chosen(list(kept.dead(Filter())), [batch], _names_of_batch, "dead batch"))[0]
    rows = _reached(lambda: [row.as_dict() for row in kept.jobs.rows(batch)])
    if json:
        output.document({**_document(one), "rows": rows})
        return
    output.line(f"batch {one.batch} of job {one.job}: {one.operation} for {one.campaign}")
    output.line(f"dead since {moment(one.since_ms)} after {one.attempts} attempts: {one.reason}")
    print_rows(rows)


def _add_end(act: Literal["retry", "discard"], example: str, help: str) -> None:  # noqa: A002
    @dead.command(act, epilog=f"Example: leadlane dead {act} {example}", help=help)
    def settle(
        batches: BatchIds = None,
        account: Account = "",
        campaign: Campaign = "",
        job: OfJob = "",
        reason: Reason = "",
        older_than: OlderThan = "",
        all_there_are: All = False,
        json: AsJson = False,
    ) -> None:
        wanted = _filter(account, campaign, job, reason, older_than)
        _must_choose(batches, wanted, all_there_are, "a batch")
        kept = _open()
        chosen = _reached(lambda: _chosen(list(kept.dead(wanted)), batches, _names_of_batch, "dead batch"))
        _tell(act, "batches", _reached(lambda: kept.settle_dead(chosen, act)), json)


_add_end(
    "retry",
    "--campaign voiso-emea/3",
    "Try dead batches again, behind what waits for their campaigns; their jobs are open until they end.",
)
_add_end(
    "discard",
    "--reason did_not_come --older-than 7d",
    "Give dead batches up: their leads count as failed, or as uncertain where an attempt got no answer.",
)


def _must_choose(ids: list[str] | None, wanted: Filter, everything: bool, what: str) -> None:
    from leadlane.workers.unsettled import Filter

    if not (ids or everything or wanted != Filter()):
        raise WrongUse(
            f"which ones? name {what}, give a filter such as --campaign, or --all for all there are"
        )


def _names_of_lead(one: UncertainLead) -> Sequence[str]:
    return f"{one.job}:{one.index}", f"{one.batch}:{one.index}"


def _names_of_batch(one: DeadBatch) -> Sequence[str]:
    return (one.batch,)


def _chosen(found: list[T], ids: list[str] | None, names: Callable[[T], Sequence[str]], what: str) -> list[T]:
    """Those that are named, or all if no names are given. Raises WrongUse."""
    if not ids:
        return found
    named: dict[str, dict[int, T]] = {id: {} for id in ids}  # noqa: A001
    for place, one in enumerate(found):
        for name in names(one):
            if name in named:
                named[name][place] = one
    for id, ones in named.items():  # noqa: A001
        if not ones:
            raise WrongUse(f"'{output.printable(id)}' is no {what}; nothing was done; look at the list")
        if len(ones) > 1:
            raise WrongUse(
                f"'{id}' names {len(ones)} leads; say BATCH:INDEX, with the batch as list --json has it"
            )
    places = sorted({place for ones in named.values() for place in ones})
    return [found[place] for place in places]


def _tell(act: str, what: str, answers: dict[str, int], json: bool) -> None:
    """What was done; exit code 1 if some of what was meant was not."""
    settled = answers.get("settled", 0)
    rest = {answer: n for answer, n in answers.items() if answer != "settled"}
    if json:
        output.document({"act": act, what: settled, "not_done": rest})
    elif not answers:
        output.line(f"no {what} are so: nothing was done")
    else:
        output.line(f"{settled:,} {what} {SETTLED[act]}")
        for answer, n in rest.items():
            output.note(f"{n:,} {what} were left as they are: {NOT_DONE[answer]}")
    if rest:
        raise typer.Exit(1)


def _filter(account: str, campaign: str, job: str, reason: str, older_than: str) -> Filter:
    from leadlane.workers.unsettled import Filter

    return Filter(account, _canonical(campaign) if campaign else "", job, reason, _seconds(older_than))


def _canonical(text: str) -> str:
    """The address as tickets have it. Raises BadCampaign; one of an account that is gone stays as it is."""
    from leadlane.workers.accounts import canonical, read_facts

    address = CampaignAddress.parse(text)
    try:
        return str(
            dataclasses.replace(
                address,
                campaign=_reached(lambda: canonical(read_facts(store().lanes, address.account), address)),
            )
        )
    except UnknownAccount:
        return str(address)


def _seconds(text: str) -> float:
    if not text:
        return 0.0
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if not found:
        raise WrongUse(f"--older-than: '{output.printable(text)}' is no time; write 90s, 30m, 2h or 7d")
    return int(found[1]) * UNITS[found[2]]


def _open() -> Unsettled:
    from leadlane.workers.unsettled import Unsettled

    return Unsettled(store())


def _document(one: UncertainLead | DeadBatch) -> dict[str, Any]:
    shown = dataclasses.asdict(one)
    shown["since"] = moment(shown.pop("since_ms"))
    return shown


def _reached(act: Callable[[], R]) -> R:
    from leadlane.reaching import reaching_redis

    return reaching_redis(act)
