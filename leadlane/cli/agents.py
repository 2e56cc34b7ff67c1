"""`leadlane agents ...`: who works on a campaign."""

from __future__ import annotations

from typing import Annotated

import typer

from . import output
from .commanding import Address, Json, Key, Timeout, Wait, carry_out, fleet

Ids = Annotated[list[str], typer.Argument(metavar="IDS...", help="Ids of agents, as the dialer has them.")]

agents = typer.Typer(no_args_is_help=True, help="Who works on a campaign.")


@agents.command("list", epilog="Example: leadlane agents list --campaign voiso-emea/3")
def list_agents(campaign: Address, timeout: Timeout = 30.0, json: Json = False) -> None:
    """List a campaign's agents: id and name, as the dialer says now.

    Exit code: 0 done, 2 wrong use, 3 could not reach what it needs.
    """
    target = fleet().campaign(campaign)
    found = target.agents(timeout=timeout)
    if json:
        output.document({"campaign": target.address, "agents": found})
    elif found:
        output.table(("agent", "name"), [(agent["id"], agent["name"]) for agent in found])
    else:
        output.line(f"{target.address} has no agents")


@agents.command("add", epilog="Example: leadlane agents add --campaign voiso-emea/3 42 128")
def add(
    ids: Ids, campaign: Address, idempotency_key: Key = None, wait: Wait = True, json: Json = False
) -> None:
    """Put agents on a campaign; those who are there stay.

    Exit code: 0 done, 1 the dialer refused an agent, 2 wrong use, 3 could not reach what it needs.
    """
    carry_out(
        campaign,
        lambda target: target.add_agents(ids, idempotency_key=idempotency_key),
        wait=wait,
        json=json,
    )


@agents.command("remove", epilog="Example: leadlane agents remove --campaign voiso-emea/3 42")
def remove(
    ids: Ids, campaign: Address, idempotency_key: Key = None, wait: Wait = True, json: Json = False
) -> None:
    """Take agents off a campaign. Ends and exit codes as for `leadlane agents add`."""
    carry_out(
        campaign,
        lambda target: target.remove_agents(ids, idempotency_key=idempotency_key),
        wait=wait,
        json=json,
    )


@agents.command("sync", epilog="Example: leadlane agents sync --campaign voiso-emea/3 7 8 9")
def sync(
    ids: Ids, campaign: Address, idempotency_key: Key = None, wait: Wait = True, json: Json = False
) -> None:
    """Make a campaign's agents exactly these. Ends and exit codes as for `leadlane agents add`."""
    carry_out(
        campaign,
        lambda target: target.sync_agents(ids, idempotency_key=idempotency_key),
        wait=wait,
        json=json,
    )
