"""`leadlane campaign ...`: campaigns as their dialers see them."""

from __future__ import annotations

from typing import Annotated

import typer

from . import output
from .commanding import Json, Timeout, fleet

Campaign = Annotated[
    str, typer.Argument(metavar="ACCOUNT/CAMPAIGN", help="The campaign, such as voiso-emea/3.")
]

campaigns = typer.Typer(no_args_is_help=True, help="Campaigns as their dialers see them.")


@campaigns.command("list", epilog="Example: leadlane campaign list --account voiso-emea")
def list_campaigns(
    account: Annotated[
        str, typer.Option("--account", "-a", metavar="ACCOUNT", help="Whose, such as voiso-emea.")
    ],
    timeout: Timeout = 30.0,
    json: Json = False,
) -> None:
    """List an account's campaigns: id, name and status, as the dialer says now.

    Exit code: 0 done, 2 wrong use, 3 could not reach what it needs.
    """
    found = fleet().campaigns(account, timeout=timeout)
    if json:
        output.document({"account": account, "campaigns": found})
        return
    output.table(("campaign", "name", "status"), [(c["id"], c["name"], c["status"]) for c in found])


@campaigns.command("show", epilog="Example: leadlane campaign show voiso-emea/3 --json")
def show(campaign: Campaign, timeout: Timeout = 30.0, json: Json = False) -> None:
    """Show what the dialer says of a campaign now.

    Exit code: 0 done, 2 wrong use, 3 could not reach what it needs.
    """
    status = fleet().campaign(campaign).status(timeout=timeout)
    if json:
        output.document(status)
        return
    head = ("campaign", "name", "status", "phase")
    output.table(head, [[status[name] for name in head]])
