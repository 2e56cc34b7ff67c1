"""`leadlane campaign ...`: campaigns as their dialers see them, and the state they should be in."""

from __future__ import annotations

from typing import Annotated

import typer

from . import output
from .commanding import Json, Key, Timeout, Wait, carry_out, fleet

Campaign = Annotated[
    str, typer.Argument(metavar="ACCOUNT/CAMPAIGN", help="The campaign, such as voiso-emea/3.")
]
After = Annotated[
    str | None, typer.Option(metavar="JOB", help="Start once this job has ended, if nothing newer is wanted.")
]

campaigns = typer.Typer(no_args_is_help=True, help="Campaigns as their dialers see them, and their state.")


@campaigns.command("start", epilog="Example: leadlane campaign start voiso-emea/3 --after 4be0643f1d98573b")
def start(
    campaign: Campaign,
    after: After = None,
    idempotency_key: Key = None,
    wait: Wait = True,
    json: Json = False,
) -> None:
    """Start a campaign.

    The newest of start, pause and stop is what is wanted: older ones that have not left end as superseded.

    Exit code: 0 it is so, or the dialer will bring it about by itself (with --no-wait: it is stored);
    1 it is not, because the dialer refused or a newer command came; 2 wrong use; 3 could not reach what it needs.
    """
    job = None if after is None else fleet().job(after)
    carry_out(
        campaign,
        lambda target: target.start(after=job, idempotency_key=idempotency_key),
        wait=wait,
        json=json,
    )


@campaigns.command("pause", epilog="Example: leadlane campaign pause voiso-emea/3")
def pause(campaign: Campaign, idempotency_key: Key = None, wait: Wait = True, json: Json = False) -> None:
    """Pause a campaign. Ends and exit codes as for `leadlane campaign start`."""
    carry_out(campaign, lambda target: target.pause(idempotency_key=idempotency_key), wait=wait, json=json)


@campaigns.command("stop", epilog="Example: leadlane campaign stop voiso-emea/3 --no-wait")
def stop(campaign: Campaign, idempotency_key: Key = None, wait: Wait = True, json: Json = False) -> None:
    """Stop a campaign. No older start, however late it comes, undoes it.

    Ends and exit codes as for `leadlane campaign start`.
    """
    carry_out(campaign, lambda target: target.stop(idempotency_key=idempotency_key), wait=wait, json=json)


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
