"""What `import`, `update` and `remove` do: read the file, say what it is, send its leads, tell how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

import typer

from leadlane.files import sources
from leadlane.files.columns import Dialer, Wishes
from leadlane.files.reading import Leads, read_leads
from leadlane.files.reports import write_undelivered
from leadlane.files.writing import check
from leadlane.schemas.errors import BadFile, ImportInterrupted, LaneFull, LeadlaneError, Unreachable, WrongUse

from . import output
from .stopping import INTERRUPTED, Stopped, stoppable

if TYPE_CHECKING:
    from leadlane.files.sources import Source
    from leadlane.fleet import Campaign
    from leadlane.job import Job
    from leadlane.producer import Standing
    from leadlane.schemas.settings import Settings
    from leadlane.workers.accounts import Facts

    from .watching import Display

GOES_ON: Final = "job {job} goes on without you; `leadlane job watch {job}` shows it again"
SAME_AGAIN: Final = "the same command again goes on where it stopped"
SHOW_EVERY: Final = 1000
LOOK_S: Final = 0.5
NAMES_TOLD: Final = 20


@dataclass(frozen=True, slots=True)
class Errand:
    """What the command line asks for."""

    operation: str
    file: str
    campaign: str
    wishes: Wishes
    priority: Literal["urgent", "normal", "bulk"] = "normal"
    on_duplicate: Literal["keep", "update"] = "keep"
    idempotency_key: str | None = None
    again: bool = False
    on_full: Literal["wait", "raise"] = "wait"
    wait: bool = False
    report: str | None = None
    dry_run: bool = False
    json: bool = False


def bring(errand: Errand) -> None:
    """Do the errand, tell what became of it, and exit."""
    from leadlane.fleet import Fleet
    from leadlane.schemas.settings import load_settings
    from leadlane.workers import logs

    logs.configure("ERROR")  # else structlog writes to stdout, which is for results
    if errand.report is not None:
        _check_report(errand, errand.report)
    source = sources.find(errand.file, errand.wishes.encoding)
    settings = load_settings()
    if errand.dry_run:
        from .dry_run import rehearse

        facts, campaign = _facts(settings, errand.campaign)
        leads = understood(source, errand, facts)
        rehearse(leads, facts, errand.operation, campaign, json=errand.json)
    if errand.report is not None:
        source.keep()
    target = Fleet(settings=settings).campaign(errand.campaign)
    leads = understood(source, errand, target.facts)
    key, standing = _key(target, errand, leads)
    job = _standing_job(target, standing) if standing else None
    if job is None:
        job = _stored(target, errand, leads, key)
    _end(target, errand, leads, job, repeated=standing is not None and standing.state == "complete")


def understood(source: Source, errand: Errand, facts: Facts) -> Leads:
    """The leads, after saying what the file was understood to be. Raises BadFile, WrongUse."""
    facts.check(errand.operation, errand.on_duplicate)
    leads = read_leads(source, errand.wishes, Dialer.of(facts, errand.operation))
    for line in _told(leads, errand.operation):
        output.note(line)
    return leads


def _check_report(errand: Errand, report: str) -> None:
    if errand.dry_run:
        raise WrongUse("--report and --dry-run: give one of them")
    if not errand.wait:
        raise WrongUse("--report: there is none before the end; add --wait")
    if report == sources.STDIN:
        raise WrongUse("--report: write it into a file; stdout says how the import ended")
    if errand.file != sources.STDIN and _same(errand.file, report):
        raise WrongUse("--report: would be written over the file itself; name another one")
    check(report)


def _same(one: str, other: str) -> bool:
    import os

    try:
        return os.path.samefile(one, other)
    except (OSError, ValueError):
        return False


def _facts(settings: Settings, address: str) -> tuple[Facts, str]:
    """Facts and campaign for a rehearsal: of the settings, or of Redis where those have no such account."""
    from leadlane.fleet import Fleet
    from leadlane.schemas.addresses import CampaignAddress
    from leadlane.workers.accounts import canonical, own_facts

    parsed = CampaignAddress.parse(address)
    facts = own_facts(settings, parsed.account)
    if facts is None:
        target = Fleet(settings=settings).campaign(address)
        return target.facts, target.address
    return facts, str(replace(parsed, campaign=canonical(facts, parsed)))


# What was understood ----------------------------------------------------------------------------


def _told(leads: Leads, operation: str) -> Iterator[str]:
    about = leads.about
    parts = [about["form"]]
    parts += [about["encoding"]] if "encoding" in about else []
    parts += [f"delimiter {about['delimiter']}"] if "delimiter" in about else []
    parts += [f"sheet '{about['sheet']}'"] if "sheet" in about else []
    parts += [f"header in line {about['header_line']}"] if "header_line" in about else []
    parts += [f"numbers without country code are in {about['region']}"] if about["region"] else []
    yield f"{about['file']}: {', '.join(parts)}"
    if not about["region"]:
        yield "numbers without a country code cannot be read; --region COUNTRY says where they are"
    if others := about.get("other_sheets"):
        yield f"other sheets, not read: {_some(others)}; --sheet NAME reads one of them"
    columns = about["columns"]
    yield f"understood: {_some([name if name == field else f'{name} = {field}' for name, field in columns.items()])}"
    if leads.columns.left_out and operation != "remove":
        yield f"left out: {_some([f'{name} ({why})' for name, why in leads.columns.left_out.items()])}"


def _some(names: list[str]) -> str:
    more = len(names) - NAMES_TOLD
    return ", ".join(names[:NAMES_TOLD]) + (f" and {more} more" if more > 0 else "")


# The job, before and after ----------------------------------------------------------------------


def _key(target: Campaign, errand: Errand, leads: Leads) -> tuple[str | None, Standing | None]:
    """The idempotency key of the import, and what has become of it; None where there is none.

    It is that of the user, else of all that makes the leads what they are; --again takes the next that is free.
    """
    key = errand.idempotency_key or leads.key(errand.on_duplicate, target.facts.phone_check)
    if not key:
        return None, None
    standing = target.standing(errand.operation, key)
    tries = 1
    while errand.again and standing.state == "complete":
        tries += 1
        standing = target.standing(errand.operation, f"{key}#{tries}")
    key = key if tries == 1 else f"{key}#{tries}"
    if standing.state == "at work":
        standing = _waited(target, errand.operation, key, standing)
    return key, standing


def _waited(target: Campaign, operation: str, key: str, standing: Standing) -> Standing:
    """What became of a job whose producer is at work, or was: killed, it is known to be gone after a minute."""
    output.note(
        f"job {standing.job} of this file is open and was filled less than a minute ago: waiting until it is "
        "complete, or its producer is surely gone"
    )
    while standing.state == "at work":
        time.sleep(LOOK_S)
        standing = target.standing(operation, key)
    return standing


def _standing_job(target: Campaign, standing: Standing) -> Job | None:
    """The job that is there already, complete; None if there is something to do."""
    if standing.state == "complete":
        when = datetime.fromtimestamp(standing.began_ms / 1000, UTC).isoformat(sep=" ", timespec="seconds")
        job = target.job(standing.job)
        undone = job.progress().get("undone_by")
        output.note(
            f"this was done already: job {job.id} of {when} for {target.address}"
            + (f", undone by job {undone}" if undone else "")
            + "; nothing was sent again (--again makes a new job)"
        )
        return job
    if standing.state == "broken off":
        output.note(f"going on with job {standing.job}: {standing.rows:,} rows are stored already")
    return None


def _stored(target: Campaign, errand: Errand, leads: Leads, key: str | None) -> Job:
    from leadlane.workers.lanes import ADDING

    from .watching import display

    operation, options = errand.operation, dict[str, Any](priority=errand.priority, idempotency_key=key)
    if operation in ADDING:
        options |= {"on_duplicate": errand.on_duplicate, "as_file": operation == "upload"}
        operation = "import"
    known = set(leads.columns.left_out)
    with display() as screen:
        job = send(
            target,
            leads.rows(),
            screen,
            file=leads.source.shown,
            json=errand.json,
            operation=operation,
            on_full=errand.on_full,
            **options,
        )
    if errand.operation != "remove" and (
        later := [name for name in leads.columns.left_out if name not in known]
    ):
        output.note(f"left out, too: {_some(later)}")
    return job


def _end(target: Campaign, errand: Errand, leads: Leads, job: Job, *, repeated: bool) -> None:
    more: dict[str, Any] = {"understood": leads.about}
    if leads.columns.left_out:
        more["left_out"] = list(leads.columns.left_out)
    if repeated:
        more["repeated"] = True

    def report() -> None:
        if errand.report is not None:
            rows = write_undelivered(errand.report, leads, job.report())
            output.note(f"{rows:,} rows that were not delivered are in {errand.report}")

    if errand.wait:
        finish(job, target.address, json=errand.json, more=more, report=report if errand.report else None)
    with _named(job):
        progress = job.progress()
    if errand.json:
        output.document(output.job_document(job.id, target.address, progress, **more))
    else:
        invalid = f", {progress['invalid']:,} of them invalid" if progress.get("invalid") else ""
        output.line(f"job {job.id}: {progress['leads']:,} leads for {target.address} are stored{invalid}")
        _tell_uncarried(progress)
        if progress["blocked_by"]:
            output.note(f"nothing moves yet: {progress['blocked_by']}")
        if when := output.expected(progress):
            output.line(f"the last of them will have left {when}")
        output.line(f"watch it with `leadlane job watch {job.id}`")
    if repeated and progress["ended"]:
        raise typer.Exit(output.exit_code(progress))


def finish(
    job: Job,
    campaign: str,
    *,
    json: bool,
    more: Mapping[str, Any] | None = None,
    report: Callable[[], None] | None = None,
    tell: Callable[[], list[dict[str, Any]]] | None = None,
) -> None:
    """Watch the job to its end, say what became of its leads and exit with the code that fits.

    ``tell`` gives the reasons that are to be shown, too.
    """
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
    reasons = {"reasons": tell()} if tell else {}
    if json:
        output.document(output.job_document(job.id, campaign, progress, **(more or {}), **reasons))
    else:
        output.line(f"job {job.id} for {campaign} has ended")
        output.outcomes(progress)
        output.reasons(reasons.get("reasons", []))
    _tell_uncarried(progress)
    if dead := progress.get("dead"):
        output.note(
            f"{dead:,} are in batches that were given up; `leadlane dead list --job {job.id}` says why"
        )
    code = output.exit_code(progress)
    if report is not None:
        report()
    elif code:
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


def send(
    target: Campaign,
    rows: Iterable[object],
    screen: Display,
    *,
    file: str,
    json: bool,
    operation: str = "import",
    idempotency_key: str | None = None,
    on_full: Literal["wait", "raise"] = "wait",
    **options: Any,
) -> Job:
    """Store the rows as a job. What breaks it off is told with the job and how to go on."""
    try:
        with stoppable(_counted(rows, screen)) as stopping:

            def no_room(error: LaneFull) -> None:
                if on_full == "raise":
                    raise error
                screen.wait(error)
                stopping.check()

            sent: Job = getattr(target, f"{operation}_leads")(
                stopping, idempotency_key=idempotency_key, on_full=no_room, **options
            )
            return sent
    except ImportInterrupted as exc:
        cause, job, taken = exc.__cause__, exc.job_id, exc.rows_taken
    except LeadlaneError as exc:
        if idempotency_key and isinstance(exc, Unreachable):
            exc.add_note(SAME_AGAIN)
        raise
    on = f"{SAME_AGAIN}, " if idempotency_key else ""
    if isinstance(cause, LeadlaneError):
        cause.add_note(f"job {job}: {taken:,} rows were taken; {on}`leadlane job cancel {job}` closes it")
        raise cause
    if not isinstance(cause, Stopped | OSError):
        raise ImportInterrupted(job, taken) from cause
    why = "stopped" if isinstance(cause, Stopped) else f"{file}: reading stopped ({cause.strerror})"
    screen.note(
        f"{why}: job {job} has taken {taken:,} rows, which are kept and sent; {on}`leadlane job watch {job}` shows "
        f"them, `leadlane job cancel {job}` cancels what has not left"
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
