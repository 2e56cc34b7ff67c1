"""`leadlane lead NUMBER`: what the fleet knows of one person."""

from __future__ import annotations

from typing import Annotated

import typer

from . import output
from .commanding import Json, fleet
from .suppress import answer

EXAMPLE = "leadlane lead +12125550187"


def show_lead(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="With + and country code.")],
    json: Json = False,
) -> None:
    """Show which campaigns got a number in the last hundred days, or may have, and where it has opted out.

    A worker looks it up: only workers know how numbers are hidden. What became of a lead is in its job's report.

    Exit code: 0 done, 2 wrong use, 3 could not reach what it needs.
    """
    found = answer(fleet().suppressed([number]))
    campaigns = [name for name, places in found["campaigns"].items() if places]
    if json:
        document = {"phone_number": number, "campaigns": campaigns, "opted_out": list(found["scopes"])}
        return output.document(document)
    output.line(f"campaigns: {', '.join(campaigns) or 'none'}")
    return output.line(f"opted out: {', '.join(found['scopes']) or 'no'}")
