"""The command line of those who send leads; `leadlane.ops.main` adds what runs a fleet."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from leadlane.schemas.errors import LeadlaneError, Unreachable

from . import imports, leads, output, plan, verify
from .accounts import accounts
from .agents import agents
from .campaigns import campaigns
from .init import init
from .jobs import jobs
from .lanes import lanes
from .providers import show_providers
from .stopping import INTERRUPTED
from .suppress import suppress
from .unsettled import dead, uncertain


class Commands(TyperGroup):
    """Commands whose errors are one line on stderr and an exit code; never a traceback for what a user can cause."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except LeadlaneError as exc:
            output.note("; ".join([f"leadlane: {exc}", *getattr(exc, "__notes__", ())]))
            raise typer.Exit(exc.exit_code) from None
        except TimeoutError as exc:
            output.note(f"leadlane: {exc}")
            raise typer.Exit(Unreachable.exit_code) from None
        except KeyboardInterrupt:
            output.note("leadlane: stopped")
            raise typer.Exit(INTERRUPTED) from None


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.line(f"leadlane {version('leadlane')}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Leads into hosted dialers, under every rule of the dialer's API.",
    epilog="Example: leadlane import leads.csv --campaign voiso-emea/3 --wait",
)


@app.callback()
def leadlane(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version and end.")
    ] = False,
) -> None:
    """Leads into hosted dialers, under every rule of the dialer's API.

    Settings come from leadlane.toml (or the file in LEADLANE_CONFIG) and from LEADLANE_... variables.
    """


app.command(
    "init", epilog="Example: leadlane init --provider voiso --base-url emea --key-env VOISO_EMEA_KEY"
)(init)
app.command("import", epilog=f"Example: {imports.EXAMPLE}")(imports.import_file)
app.command("update", epilog=f"Example: {imports.UPDATE_EXAMPLE}")(imports.update_file)
app.command("remove", epilog=f"Example: {imports.REMOVE_EXAMPLE}")(imports.remove_file)
app.command("providers", epilog="Example: leadlane providers --json")(show_providers)
app.command("plan", epilog=f"Example: {plan.EXAMPLE}")(plan.plan)
app.command("verify", epilog=f"Example: {verify.EXAMPLE}")(verify.verify)
app.add_typer(campaigns, name="campaign")
app.add_typer(agents, name="agents")
app.command("lead", epilog=f"Example: {leads.EXAMPLE}")(leads.show_lead)
app.add_typer(jobs, name="job")
app.add_typer(lanes, name="lane")
app.add_typer(accounts, name="account")
app.add_typer(suppress, name="suppress")
app.add_typer(uncertain, name="uncertain")
app.add_typer(dead, name="dead")
