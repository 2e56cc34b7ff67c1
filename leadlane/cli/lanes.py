"""`leadlane lane ...`: the lines in front of campaigns."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from . import output

lanes = typer.Typer(no_args_is_help=True, help="The lines in front of campaigns.")


@lanes.command("list", epilog="Example: leadlane lane list --json")
def list_lanes(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List the lanes that have work: state, waiting batches, next turn, and what they wait for."""
    from leadlane.reaching import reaching_redis
    from leadlane.schemas.settings import load_settings
    from leadlane.workers.connection import connect
    from leadlane.workers.lane_view import lanes_with_work, living_workers
    from leadlane.workers.lanes import Lanes

    settings = load_settings()
    store = reaching_redis(
        lambda: Lanes(connect(settings.redis_url, settings.key_prefix), settings.key_prefix)
    )
    found, workers = reaching_redis(lambda: (lanes_with_work(store), living_workers(store)))
    if json:
        output.document({"lanes": [dataclasses.asdict(view) for view in found], "workers": workers})
        return
    if found:
        output.table(
            ("campaign", "state", "waiting", "aboard", "next turn", "reason"),
            [
                (view.campaign, view.state, view.waiting, view.aboard, _moment(view.next_s), view.reason)
                for view in found
            ],
        )
    else:
        output.line("no lane has work")
    if not workers:
        output.note("no worker is alive")


def _moment(next_s: float | None) -> str:
    if next_s is None:
        return "-"
    return f"in {next_s:,.1f} s" if next_s else "now"
