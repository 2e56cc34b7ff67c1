"""`leadlane lane ...`: the lines in front of campaigns."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from leadlane.schemas.errors import WrongUse, did_you_mean

from . import output
from .store import BY_AN_OPERATOR, lane_of, open_lanes

if TYPE_CHECKING:
    from leadlane.workers.lane_view import LaneView

KINDS: Final = ("leads", "state", "agents")

Address = Annotated[str, typer.Argument(metavar="A/C", help="The campaign: ACCOUNT/CAMPAIGN_ID.")]
Kind = Annotated[
    str, typer.Option(metavar="KIND", help="Which of its lanes: leads, state (start, pause, stop) or agents.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

lanes = typer.Typer(no_args_is_help=True, help="The lines in front of campaigns: look, hold, release.")


@lanes.command("list", epilog="Example: leadlane lane list --json")
def list_lanes(json: AsJson = False) -> None:
    """List the lanes that have work or are on hold: state, waiting batches, leads, next turn, what they wait for."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.lane_view import lanes_with_work, living_workers

    store = open_lanes()
    found, workers = reaching_redis(lambda: (lanes_with_work(store), living_workers(store)))
    if json:
        output.document({"lanes": [dataclasses.asdict(view) for view in found], "workers": workers})
        return
    if found:
        output.table(
            ("campaign", "lane", "state", "waiting", "aboard", "leads", "next turn", "reason"),
            [
                (
                    view.campaign,
                    view.kind,
                    view.state,
                    view.waiting,
                    view.aboard,
                    output.of(view.leads, view.leads_limit),
                    _moment(view.next_s),
                    view.reason,
                )
                for view in found
            ],
        )
    else:
        output.line("no lane has work")
    if not workers:
        output.note("no worker is alive")


@lanes.command("show", epilog="Example: leadlane lane show voiso-emea/3")
def show_lane(address: Address, kind: Kind = "leads", json: AsJson = False) -> None:
    """Show one lane: its state and next turn, who has the turn, what waits by class, why it is on hold."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.lane_view import groups_of, holder_of, lane_at

    store = open_lanes()
    _, lane = lane_of(store, address, _kind(kind))
    view, holder, groups = reaching_redis(
        lambda: (lane_at(store, lane), holder_of(store, lane), groups_of(store, lane))
    )
    if json:
        document = dataclasses.asdict(view) | {
            "holder": dataclasses.asdict(holder) if holder else None,
            "batches": [dataclasses.asdict(group) for group in groups],
        }
        output.document(document)
        return
    output.table(("campaign", view.campaign), _lines(view, holder))
    if groups:
        output.line("")
        output.table(
            ("batches", "operation", "class", "number", "leads"),
            [(group.where, group.operation, group.priority, group.batches, group.leads) for group in groups],
        )


@lanes.command("hold", epilog='Example: leadlane lane hold voiso-emea/3 --reason "list under review"')
def hold_lane(
    address: Address,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; whoever waits is told it.")
    ] = BY_AN_OPERATOR,
    kind: Kind = "leads",
    json: AsJson = False,
) -> None:
    """Hold a lane: no turn begins until it is released, also after restarts; a call under way ends."""
    _set(address, kind, reason.strip() or BY_AN_OPERATOR, json=json)


@lanes.command("release", epilog="Example: leadlane lane release voiso-emea/3")
def release_lane(address: Address, kind: Kind = "leads", json: AsJson = False) -> None:
    """Let a lane go on that is on hold."""
    _set(address, kind, "", json=json)


def _set(address: str, kind: str, reason: str, *, json: bool) -> None:
    from leadlane.reaching import reaching_redis

    store = open_lanes()
    facts, lane = lane_of(store, address, _kind(kind))
    was = reaching_redis(lambda: store.held(lane))
    changed = reaching_redis(lambda: store.hold("lane", lane, reason, account=facts.name))
    campaign = f"{facts.name}/{lane.split('/', 3)[3]}"
    if json:
        output.document(
            {
                "campaign": campaign,
                "lane": lane,
                "hold": reason or None,
                "was": was or None,
                "changed": changed,
            }
        )
    elif reason:
        output.line(
            f"the {kind} lane of {campaign} is on hold; "
            f"`leadlane lane release {campaign}{_unless_leads(kind)}` lets it go on"
        )
    else:
        goes_on = f"goes on; it was on hold: {was}"
        output.line(f"the {kind} lane of {campaign} {goes_on if changed else 'was not on hold'}")


def _lines(view: LaneView, holder: Any) -> list[tuple[str, str]]:
    shown = [("lane", view.lane), ("state", view.state)]
    if holder:
        shown.append(("holder" if view.state == "in a turn" else "called", holder.ticket))
        shown.append(("of job", holder.job))
    shown.append(("leads", output.of(view.leads, view.leads_limit)))
    shown.append(("next turn" if view.state == "free" else "next action", _moment(view.next_s)))
    if view.reason:
        shown.append(("reason", view.reason))
    return shown


def _kind(text: str) -> str:
    if text not in KINDS:
        raise WrongUse(f"--kind: '{text}' is none; {did_you_mean(text, KINDS)}")
    return text


def _unless_leads(kind: str) -> str:
    return "" if kind == "leads" else f" --kind {kind}"


def _moment(next_s: float | None) -> str:
    if next_s is None:
        return "-"
    return f"in {next_s:,.1f} s" if next_s else "now"
