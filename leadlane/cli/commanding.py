"""A command about a campaign, its state or its agents, from the command line to its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from leadlane.schemas.outcomes import Fate

from . import output
from .stopping import INTERRUPTED

if TYPE_CHECKING:
    from leadlane.command import Command
    from leadlane.fleet import Campaign, Fleet
    from leadlane.schemas.errors import LaneFull

AS_ASKED: Final = (Fate.REACHED, Fate.ACCEPTED)
"""Fates with which a command ends with exit code 0."""
GOES_ON: Final = "command {id} goes on without you"

Address = Annotated[
    str,
    typer.Option("--campaign", "-c", metavar="ACCOUNT/CAMPAIGN", help="The campaign, such as voiso-emea/3."),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has come to its end.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Key = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="The same key is the same command, however often it is given.",
    ),
]
Timeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="How long to wait for the dialer's answer.")
]


def fleet() -> Fleet:
    """The fleet of the settings; what it logs stays off stdout."""
    from leadlane.fleet import Fleet
    from leadlane.schemas.settings import load_settings
    from leadlane.workers import logs

    logs.configure("ERROR")  # else structlog writes to stdout, which is for results
    return Fleet(settings=load_settings())


def carry_out(campaign: str, send: Callable[[Campaign], Command], *, wait: bool, json: bool) -> None:
    """Send the command, wait for its end if asked to, say what became of it and exit with the code that fits."""
    from leadlane.schemas.errors import Unreachable

    from .watching import follow

    command = send(fleet().campaign(campaign))
    try:
        progress = follow(command, _Quiet()) if wait else command.progress()
    except Unreachable as exc:
        exc.add_note(GOES_ON.format(id=command.id))
        raise
    except KeyboardInterrupt:
        output.note(GOES_ON.format(id=command.id))
        raise typer.Exit(INTERRUPTED) from None
    if json:
        output.document(progress)
    else:
        output.line(said(progress))
        if progress["blocked_by"]:
            output.note(f"nothing moves yet: {progress['blocked_by']}")
    if progress["ended"] and progress["outcome"] not in AS_ASKED:
        raise typer.Exit(1)


def said(progress: Mapping[str, Any]) -> str:
    """A command in one line."""
    parts = [f"{progress['campaign']}: {progress['asked'].replace('_', ' ')} {progress['outcome']}"]
    if progress["state"]:
        parts.append(f"the campaign is {progress['state']}")
    if "members" in progress:
        parts.append(f"{progress['members']:,} agents")
    if progress["reason"]:
        parts.append(progress["reason"])
    return "; ".join(parts)


class _Quiet:
    """Says what stands in the way, and nothing else."""

    def read(self, rows: int) -> None:
        """As `watching.Display.read`."""

    def wait(self, full: LaneFull) -> None:
        """As `watching.Display.wait`."""

    def show(self, progress: Mapping[str, Any]) -> None:
        """As `watching.Display.show`."""

    def note(self, text: str) -> None:
        """As `watching.Display.note`."""
        output.note(text)
