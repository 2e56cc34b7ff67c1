"""`leadlane import`, `update` and `remove`: the leads of a file, and what shall be true of them in a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from leadlane.schemas.errors import BadFile, ImportInterrupted, LeadlaneError, Unreachable

from . import output

if TYPE_CHECKING:
    from leadlane.fleet import Campaign
    from leadlane.job import Job

    from .watching import Display

EXAMPLE = "leadlane import leads.csv --campaign voiso-emea/3 --wait"
UPDATE_EXAMPLE = "leadlane update plans.csv --campaign voiso-emea/3 --wait"
REMOVE_EXAMPLE = "leadlane remove gone.csv --campaign india/cmp_xyz789 --wait"
GOES_ON = "job {job} goes on without you; `leadlane job watch {job}` shows it again"
SHOW_EVERY = 1000
INTERRUPTED = 130


File = Annotated[
    str,
    typer.Argument(metavar="FILE", help="CSV with a header line, or JSONL; in UTF-8. - is standard input."),
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
Key = Annotated[
    str | None,
    typer.Option(metavar="KEY", help="The same key and file make one job; after a crash it goes on."),
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
    idempotency_key: Key = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Bring the leads of a file into a campaign.

    Without --wait it ends as soon as all leads are stored; the workers do the rest.

    Exit code: 0 done, 1 done with leads not delivered, 2 wrong use, 3 could not reach what it needs.
    """
    options: dict[str, Any] = {
        "priority": priority,
        "on_duplicate": on_duplicate,
        "idempotency_key": idempotency_key,
        "as_file": as_file,
    }
    _bring("import", file, campaign, wait=wait, json=json, **options)


def update_file(
    file: File,
    campaign: To,
    priority: Priority = "normal",
    idempotency_key: Key = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Change leads that a campaign has, found by their phone number, to what a file says.

    What the file has no column for stays. Ends and exit codes as for `leadlane import`.
    """
    _bring("update", file, campaign, wait=wait, json=json, priority=priority, idempotency_key=idempotency_key)


def remove_file(
    file: File,
    campaign: To,
    priority: Priority = "normal",
    idempotency_key: Key = None,
    wait: Wait = False,
    json: Json = False,
) -> None:
    """Take the leads of a file out of a campaign, found by their phone number.

    Other columns do not matter. Ends and exit codes as for `leadlane import`.
    """
    _bring("remove", file, campaign, wait=wait, json=json, priority=priority, idempotency_key=idempotency_key)


def _bring(operation: str, file: str, campaign: str, *, wait: bool, json: bool, **options: Any) -> None:
    """Send the leads of the file with this operation, tell what became of it, and exit."""
    from leadlane.fleet import Fleet
    from leadlane.schemas.settings import load_settings
    from leadlane.workers import logs

    from .files import read_leads
    from .watching import display

    logs.configure("ERROR")  # else structlog writes to stdout, which is for results
    leads = read_leads(file)
    target = Fleet(settings=load_settings()).campaign(campaign)
    if leads.left_out and operation != "remove":
        output.note(f"columns left out, no field of a lead has such a name: {', '.join(leads.left_out)}")
    with display() as screen:
        job = _send(target, leads, screen, file=file, json=json, operation=operation, **options)
    more = {"left_out": list(leads.left_out)} if leads.left_out else {}
    if wait:
        finish(job, target.address, json=json, more=more)
    with _named(job):
        progress = job.progress()
    if json:
        output.document(output.job_document(job.id, target.address, progress, **more))
        return
    invalid = f", {progress['invalid']:,} of them invalid" if progress.get("invalid") else ""
    output.line(f"job {job.id}: {progress['leads']:,} leads for {target.address} are stored{invalid}")
    _tell_uncarried(progress)
    if progress["blocked_by"]:
        output.note(f"nothing moves yet: {progress['blocked_by']}")
    output.line(f"watch it with `leadlane job watch {job.id}`")


def finish(job: Job, campaign: str, *, json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Watch the job to its end, say what became of its leads and exit with the code that fits."""
    from .watching import display, follow

    with _named(job):
        try:
            with display() as screen:
                progress = follow(job, screen)
        except KeyboardInterrupt:
            output.note(GOES_ON.format(job=job.id))
            if json:
                output.document(output.job_document(job.id, campaign, job.progress(), **(more or {})))
            raise typer.Exit(INTERRUPTED) from None
    if json:
        output.document(output.job_document(job.id, campaign, progress, **(more or {})))
    else:
        output.line(f"job {job.id} for {campaign} has ended")
        output.outcomes(progress)
    _tell_uncarried(progress)
    code = output.exit_code(progress)
    if code:
        output.note(
            f"what was not delivered, and why: `leadlane job report {job.id} --only {output.NOT_DELIVERED}`"
        )
    raise typer.Exit(code)


@contextmanager
def _named(job: Job) -> Iterator[None]:
    """An Unreachable says of which job its leads are: they are stored."""
    try:
        yield
    except Unreachable as exc:
        exc.add_note(GOES_ON.format(job=job.id))
        raise


def _send(
    target: Campaign,
    rows: Iterable[object],
    screen: Display,
    *,
    file: str,
    json: bool,
    operation: str = "import",
    **options: Any,
) -> Job:
    from .stopping import Stopped, stoppable

    try:
        with stoppable(_counted(rows, screen)) as stopping:
            sent: Job = getattr(target, f"{operation}_leads")(stopping, **options)
            return sent
    except ImportInterrupted as exc:
        cause, job, taken = exc.__cause__, exc.job_id, exc.rows_taken
    if isinstance(cause, LeadlaneError):
        raise cause
    if not isinstance(cause, Stopped | OSError):
        raise ImportInterrupted(job, taken) from cause
    why = "stopped" if isinstance(cause, Stopped) else f"{file}: reading stopped ({cause.strerror})"
    screen.note(
        f"{why}: job {job} has taken {taken:,} rows, which are kept and sent; `leadlane job watch {job}` shows them, "
        f"`leadlane job cancel {job}` cancels what has not left"
    )
    if json:
        output.document({"job": job, "campaign": target.address, "rows_taken": taken, "interrupted": True})
    raise typer.Exit(INTERRUPTED if isinstance(cause, Stopped) else BadFile.exit_code)


def _counted(rows: Iterable[object], screen: Display) -> Iterator[object]:
    for n, row in enumerate(rows, 1):
        yield row
        if n % SHOW_EVERY == 0:
            screen.read(n)


def _tell_uncarried(progress: Mapping[str, Any]) -> None:
    if names := progress.get("uncarried"):
        output.note(f"the dialer cannot carry these fields, they were left out: {', '.join(names)}")
