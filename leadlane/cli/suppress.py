"""`leadlane suppress ...`: numbers that nobody may be called at any more."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leadlane.schemas.errors import WrongUse

from . import output
from .commanding import Json, Key, fleet
from .store import open_lanes

if TYPE_CHECKING:
    from leadlane.command import Command

suppress = typer.Typer(no_args_is_help=True, help="Opt-outs: numbers that nobody may be called at any more.")

Numbers = Annotated[
    list[str], typer.Argument(metavar="NUMBERS...", help="Phone numbers, with + and country code.")
]
Account = Annotated[str, typer.Option(metavar="ACCOUNT", help="At the contact centre of this account.")]
Campaign = Annotated[
    str, typer.Option("--campaign", "-c", metavar="ACCOUNT/CAMPAIGN", help="In this campaign only.")
]
Everywhere = Annotated[bool, typer.Option("--all", help="Everywhere.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until a worker has taken it in.")]
ANSWERS_WITHIN_S = 30.0


@suppress.command("add", epilog="Example: leadlane suppress add +12125550187 --all")
def add(
    numbers: Numbers,
    account: Account = "",
    campaign: Campaign = "",
    everywhere: Everywhere = False,
    idempotency_key: Key = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Have nobody call these numbers any more. It holds at once; campaigns that have them are told."""
    scope = _scope(account, campaign, everywhere)
    command = fleet().suppress(numbers, **scope, idempotency_key=idempotency_key)
    _tell([command], len(numbers), 0, wait=wait, json=json)


@suppress.command("import", epilog="Example: leadlane suppress import opted-out.csv --account voiso-emea")
def import_file(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A file as `leadlane import` takes it. - is standard input."),
    ],
    account: Account = "",
    campaign: Campaign = "",
    everywhere: Everywhere = False,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Have nobody call the numbers of a file any more.

    Exit code: 0 done, 1 done but for lines whose number is none, 2 wrong use, 3 could not reach what it needs.
    """
    from leadlane.files import sources
    from leadlane.files.columns import Dialer, Wishes
    from leadlane.files.reading import read_leads
    from leadlane.opt_outs import MOST, ONLY, Reach
    from leadlane.producer import Producer
    from leadlane.schemas.leads import Clean
    from leadlane.schemas.settings import load_settings

    scope = _scope(account, campaign, everywhere)
    target, commands, taken, wrong = fleet(), [], 0, 0
    reach = Reach(Producer(load_settings()), **scope)
    leads = read_leads(sources.find(file, None), Wishes(), Dialer("an opt-out", ONLY, reach.region))
    rows = reach.rows(leads.rows())
    while chunk := list(islice(rows, MOST)):
        good = [f"+{row.digits}" for row in chunk if isinstance(row, Clean)]
        for row in chunk:
            if not isinstance(row, Clean):
                output.note(f"row {row.index}: {row.problems}")
        taken, wrong = taken + len(good), wrong + len(chunk) - len(good)
        if good:
            commands.append(target.suppress(good, **scope))
    _tell(commands, taken, wrong, wait=wait, json=json)


@suppress.command("remove", epilog="Example: leadlane suppress remove +12125550187 --all")
def remove(
    numbers: Numbers,
    account: Account = "",
    campaign: Campaign = "",
    everywhere: Everywhere = False,
    idempotency_key: Key = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Let these numbers be called again, as far as exactly this scope is concerned."""
    scope = _scope(account, campaign, everywhere)
    command = fleet().unsuppress(numbers, **scope, idempotency_key=idempotency_key)
    _tell([command], len(numbers), 0, wait=wait, json=json)


@suppress.command("list", epilog="Example: leadlane suppress list +12125550187")
def list_them(
    numbers: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NUMBERS...]", help="Say of these whether they have opted out."),
    ] = None,
    json: Json = False,
) -> None:
    """List where numbers have opted out, when, and by which job; or where given numbers have. Shows no others."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.optouts import entered, overview

    store = open_lanes()
    scopes = reaching_redis(lambda: overview(store))
    if numbers:
        return _look_up(numbers, json=json)
    sources = reaching_redis(lambda: entered(store))
    if json:
        return output.document({"scopes": scopes, "sources": [asdict(row) for row in sources]})
    if not scopes:
        return output.line("nobody has opted out")
    output.table(
        ("scope", "numbers", "pending"), [(row["scope"], row["numbers"], row["pending"]) for row in scopes]
    )
    output.line("")
    output.table(
        ("since", "numbers", "source", "scope"),
        [(_moment(row.at_ms), row.numbers, row.source, row.scope) for row in sources],
    )
    return None


def _look_up(numbers: list[str], *, json: bool) -> None:
    found: list[list[str]] = [[] for _ in numbers]
    for scope, places in answer(fleet().suppressed(numbers))["scopes"].items():
        for place in places:
            found[place].append(scope)
    if json:
        rows = [{"phone_number": n, "opted_out": where} for n, where in zip(numbers, found, strict=True)]
        return output.document({"numbers": rows})
    return output.table(
        ("number", "opted out"),
        [(n, ", ".join(where) or "no") for n, where in zip(numbers, found, strict=True)],
    )


def _tell(commands: list[Command], taken: int, wrong: int, *, wait: bool, json: bool) -> None:
    answers = [answer(command) for command in commands] if wait else []
    counted: dict[str, Any] = {}
    for name in ("new", "removed", "campaigns_told", "campaigns_not_told"):
        if any(name in answer for answer in answers):
            counted[name] = sum(answer.get(name, 0) for answer in answers)
    if json:
        output.document(
            {"commands": [command.id for command in commands], "numbers": taken, "invalid": wrong, **counted}
        )
    else:
        told = "".join(f", {n:,} {name.replace('_', ' ')}" for name, n in counted.items())
        output.line(f"{taken:,} numbers{told}" if wait else f"{taken:,} numbers: it holds from now on")
    if wrong:
        raise typer.Exit(1)


def answer(command: Command) -> dict[str, Any]:
    """What became of a word about numbers, once a worker has done it. Raises TimeoutError, WrongUse."""
    progress = command.wait(ANSWERS_WITHIN_S)
    if progress["outcome"] != "reached":
        raise WrongUse(f"command {command.id}: {progress['outcome']}; {progress['reason'] or 'ask again'}")
    return progress


def _scope(account: str, campaign: str, everywhere: bool) -> dict[str, str]:
    if sum(map(bool, (account, campaign, everywhere))) != 1:
        raise WrongUse("--account, --campaign, --all: name the one scope that it is for")
    return {"account": account, "campaign": campaign}


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
