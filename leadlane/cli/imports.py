"""`leadlane import`, `update` and `remove`: the leads of a file, and what shall be true of them in a campaign."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

EXAMPLE = "leadlane import leads.csv --campaign voiso-emea/3 --wait"
UPDATE_EXAMPLE = "leadlane update plans.csv --campaign voiso-emea/3 --wait"
REMOVE_EXAMPLE = "leadlane remove gone.csv --campaign india/cmp_xyz789 --wait"
THE_FILE = "The file"
"""Heading of the options about it, in the help."""


File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="CSV, TSV, JSONL, JSON or XLSX, as it came. - is standard input."),
]
To = Annotated[
    str,
    typer.Option(
        "--campaign", "-c", metavar="ACCOUNT/CAMPAIGN", help="Their campaign, such as voiso-emea/3."
    ),
]
Priority = Annotated[
    Literal["urgent", "normal", "bulk"], typer.Option(help="Class of the leads in the campaign's lane.")
]
Map = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="COLUMN=FIELD",
        help="This column is this field (variables.NAME for one of your own; - leaves it out).",
        rich_help_panel=THE_FILE,
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Every lead has this, whatever the file says.",
        rich_help_panel=THE_FILE,
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        metavar="COUNTRY",
        help="Where numbers without a country code are, such as DE.",
        rich_help_panel=THE_FILE,
    ),
]
Sheet = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Sheet of a workbook, or its number.", rich_help_panel=THE_FILE),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of the file, where the guess is wrong, such as cp1250.",
        rich_help_panel=THE_FILE,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Say what the file is understood to be and which rows are bad; queue nothing."
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        help="The same key and file make one job; after a crash it goes on. A file has its own without this.",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Make a new job though this file was sent to this campaign before.")
]
OnFull = Annotated[
    Literal["wait", "raise"],
    typer.Option(help="While as many leads wait as may: wait for room, or end with an error."),
]
Report = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="With --wait: write the rows that were not delivered, with outcome and reason.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until each lead has its outcome.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def import_file(
    file: File,
    campaign: To,
    priority: Priority = "normal",
    on_duplicate: Annotated[
        Literal["keep", "update"], typer.Option(help="What to do with leads that the dialer has already.")
    ] = "keep",
    as_file: Annotated[
        bool,
        typer.Option(
            "--as-file", help="Bring them as files, where the dialer takes such: quick, but without lead ids."
        ),
    ] = False,
    mapped: Map = None,
    constants: Set = None,
    region: Region = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
    again: Again = False,
    on_full: OnFull = "wait",
    wait: Wait = False,
    report: Report = None,
    json: Json = False,
) -> None:
    """Bring the leads of a file into a campaign.

    Without --wait it ends as soon as all leads are stored; the workers do the rest. The same command again goes
    on where an interrupted one stopped, and does nothing where all is done.

    Exit code: 0 done, 1 done with leads not delivered, 2 wrong use, 3 could not reach what it needs.
    """
    asked = locals() | {"operation": "upload" if as_file else "import"}
    del asked["as_file"]
    _bring(**asked)


def update_file(
    file: File,
    campaign: To,
    priority: Priority = "normal",
    mapped: Map = None,
    constants: Set = None,
    region: Region = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
    again: Again = False,
    on_full: OnFull = "wait",
    wait: Wait = False,
    report: Report = None,
    json: Json = False,
) -> None:
    """Change leads that a campaign has, found by their phone number, to what a file says.

    What the file has no column for stays. Ends and exit codes as for `leadlane import`.
    """
    _bring("update", **locals())


def remove_file(
    file: File,
    campaign: To,
    priority: Priority = "normal",
    mapped: Map = None,
    constants: Set = None,
    region: Region = None,
    sheet: Sheet = None,
    encoding: Encoding = None,
    dry_run: DryRun = False,
    idempotency_key: Key = None,
    again: Again = False,
    on_full: OnFull = "wait",
    wait: Wait = False,
    report: Report = None,
    json: Json = False,
) -> None:
    """Take the leads of a file out of a campaign, found by their phone number.

    Other columns do not matter. Ends and exit codes as for `leadlane import`.
    """
    _bring("remove", **locals())


def _bring(
    operation: str,
    *,
    file: str,
    campaign: str,
    mapped: list[str] | None,
    constants: list[str] | None,
    region: str | None,
    sheet: str | None,
    encoding: str | None,
    **options: Any,
) -> None:
    from leadlane.files.columns import Wishes

    from .bringing import Errand, bring

    wishes = Wishes.of(mapped or (), constants or (), region=region, sheet=sheet, encoding=encoding)
    bring(Errand(operation, file, campaign, wishes, **options))
