"""`leadlane account ...`: the accounts of the fleet, and letting one go on that is on hold."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from leadlane.schemas.errors import WrongUse, did_you_mean

from . import output
from .store import open_lanes

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

accounts = typer.Typer(no_args_is_help=True, help="Accounts at the dialers: look, release.")


@accounts.command("list", epilog="Example: leadlane account list")
def list_accounts(json: AsJson = False) -> None:
    """List the accounts that workers have published: dialer, rate, and why one does not go on."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.account_view import accounts_at

    store = open_lanes()
    found = reaching_redis(lambda: accounts_at(store))
    if json:
        output.document({"accounts": [dataclasses.asdict(view) for view in found]})
        return
    if not found:
        output.line("no worker has published an account yet")
        return
    output.table(
        ("account", "dialer", "address", "state", "rate", "reason"),
        [
            (
                view.account,
                view.provider,
                view.base_url,
                view.state + (f", {view.next_s:,.0f} s" if view.next_s else ""),
                view.rate or "none",
                view.reason,
            )
            for view in found
        ],
    )


@accounts.command("release", epilog="Example: leadlane account release voiso-emea")
def release_account(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The account.")],
    operation: Annotated[
        str, typer.Option(metavar="NAME", help="Only this operation of it, such as import.")
    ] = "",
    json: AsJson = False,
) -> None:
    """Let an account go on after what stopped it is mended: its hold, held operations, cool-down and breaker."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.account_view import release
    from leadlane.workers.accounts import read_facts

    store = open_lanes()
    facts = reaching_redis(lambda: read_facts(store, name))
    if operation and operation not in facts.dialer.supported:
        raise WrongUse(
            f"--operation: '{operation}' is none of {name}; {did_you_mean(operation, facts.dialer.supported)}"
        )
    released = reaching_redis(lambda: release(store, name, operation))
    if json:
        output.document({"account": name, "released": released})
    elif released:
        output.line(f"account {name} goes on ({', '.join(released)})")
    else:
        output.line(f"account {name} was not on hold")
