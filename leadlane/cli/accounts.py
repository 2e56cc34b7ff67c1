"""`leadlane account ...`: the accounts of the fleet, holding one and letting it go on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from leadlane.schemas.errors import WrongUse, did_you_mean

from . import output
from .store import BY_AN_OPERATOR, open_lanes

if TYPE_CHECKING:
    from leadlane.workers.lanes import Lanes

Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]
Operation = Annotated[str, typer.Option(metavar="NAME", help="Only this operation of it, such as import.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

accounts = typer.Typer(no_args_is_help=True, help="Accounts at the dialers: look, hold, release.")


@accounts.command("list", epilog="Example: leadlane account list")
def list_accounts(json: AsJson = False) -> None:
    """List the accounts that workers have published: dialer, rate, leads that wait, and why one does not go on."""
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
        ("account", "dialer", "address", "state", "rate", "leads", "reason"),
        [
            (
                view.account,
                view.provider,
                view.base_url,
                view.state + (f", {view.next_s:,.0f} s" if view.next_s else ""),
                view.rate or "none",
                output.of(view.leads, view.leads_limit),
                view.reason,
            )
            for view in found
        ],
    )


@accounts.command("hold", epilog='Example: leadlane account hold voiso-emea --reason "contract under review"')
def hold_account(
    name: Name,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why; whoever waits is told it.")
    ] = BY_AN_OPERATOR,
    operation: Operation = "",
    json: AsJson = False,
) -> None:
    """Hold an account: no turn of it begins until it is released, also after restarts; calls under way end."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.account_view import hold

    store = _open(name, operation)
    why = reason.strip() or BY_AN_OPERATOR
    changed = reaching_redis(lambda: hold(store, name, why, operation))
    if json:
        output.document({"account": name, "operation": operation or None, "hold": why, "changed": changed})
        return
    what = f"operation {operation} of account {name}" if operation else f"account {name}"
    only = f" --operation {operation}" if operation else ""
    output.line(f"{what} is on hold; `leadlane account release {name}{only}` lets it go on")


@accounts.command("release", epilog="Example: leadlane account release voiso-emea")
def release_account(name: Name, operation: Operation = "", json: AsJson = False) -> None:
    """Let an account go on after what stopped it is mended: its hold, held operations, cool-down and breaker."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.account_view import release

    store = _open(name, operation)
    released = reaching_redis(lambda: release(store, name, operation))
    if json:
        output.document({"account": name, "released": list(released), "reasons": released})
    elif released:
        were = ", ".join(f"{what} ({why})" if why else what for what, why in released.items())
        output.line(f"account {name} goes on; released: {were}")
    else:
        output.line(f"account {name} was not on hold")


def _open(name: str, operation: str) -> Lanes:
    """The lanes; raises UnknownAccount, and WrongUse if the account has no such operation."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.accounts import read_facts

    store = open_lanes()
    facts = reaching_redis(lambda: read_facts(store, name))
    if operation and operation not in facts.dialer.supported:
        raise WrongUse(
            f"--operation: '{operation}' is none of {name}; {did_you_mean(operation, facts.dialer.supported)}"
        )
    return store
