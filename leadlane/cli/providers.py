"""`leadlane providers`: what each dialer can do, and under which rules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import output

if TYPE_CHECKING:
    from leadlane.workers.providers import Operation, Provider
    from leadlane.workers.providers.contract import Endpoint

OPERATIONS = ("import", "update", "remove")
CALLS = (
    "start",
    "pause",
    "stop",
    "status",
    "campaigns",
    "add_agents",
    "remove_agents",
    "sync_agents",
    "agents",
)
COLUMNS = ("dialer", "operation", "call", "leads", "rate", "gap", "at once", "sent again", "source")


def show_providers(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """List what each dialer can do: its calls, leads a call, limits, and the page that says so.

    `rate` is what an account gets that sets none. `sent again` says whether a lead is sent once more by
    itself when no answer came.
    """
    from leadlane.workers.providers import PROVIDERS

    rows = [row for provider in PROVIDERS.values() for row in _rows(provider)]
    if json:
        output.document({"providers": rows})
    else:
        output.table(COLUMNS, map(_cells, rows))


def _rows(provider: Provider) -> Iterator[dict[str, Any]]:
    for name in dict.fromkeys((*OPERATIONS, *provider.operations)):
        operation = provider.operations.get(name)
        yield _row(provider, name, operation is not None) | (_facts(provider, operation) if operation else {})
    for name in CALLS:
        endpoints = provider.calls.get(name, ())
        yield _row(provider, name, bool(endpoints)) | (_called(provider, endpoints) if endpoints else {})


def _row(provider: Provider, name: str, supported: bool) -> dict[str, Any]:
    return {"provider": provider.name, "operation": name, "supported": supported}


def _called(provider: Provider, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Of what carries no leads. Every such call sets or shows something, so it may be sent again."""
    return {
        "calls": [{"method": one.method, "path": one.path} for one in endpoints],
        "rates": list(provider.rates),
        "gap_s": 0.0,
        "calls_at_once": 1,
        "resent_after_silence": "yes",
        "behind": next((one.behind for one in endpoints if one.behind), None),
        "source": endpoints[0].source,
    }


def _facts(provider: Provider, operation: Operation) -> dict[str, Any]:
    return {
        "method": operation.method,
        "method_setting": operation.method_setting or None,
        "path": operation.path,
        "leads_per_call": operation.leads_per_call,
        "rates": list(provider.rates),
        "gap_s": provider.gap_s,
        "calls_at_once": provider.parallel,
        "resent_after_silence": _resent(operation),
        "fields": sorted(operation.carries),
        "source": operation.source,
    }


def _resent(operation: Operation) -> str:
    from leadlane.workers.providers.contract import always, never

    if operation.resend_safe is always:
        return "yes"
    return "no" if operation.resend_safe is never else "by lead"


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    if not row["supported"]:
        return (row["provider"], row["operation"], *"-------")
    return (
        row["provider"],
        row["operation"],
        ", ".join(f"{call['method']} {call['path']}" for call in row.get("calls", [row])),
        str(row.get("leads_per_call", "")),
        ", ".join(row["rates"]) or "none",
        f"{row['gap_s']:g} s",
        str(row["calls_at_once"]),
        row["resent_after_silence"],
        row["source"],
    )
