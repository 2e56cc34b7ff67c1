"""`leadlane job ...`: what became of an import."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, Final

import typer

from leadlane.files.writing import harmless, written
from leadlane.schemas.errors import UnknownJob, WrongUse, did_you_mean
from leadlane.schemas.outcomes import Outcome

from . import output
from .store import open_lanes

if TYPE_CHECKING:
    from leadlane.job import Job
    from leadlane.workers.jobs import Jobs

REPORT_COLUMNS: Final = ("index", "phone_number", "outcome", "reason")
ONLY: Final = (output.NOT_DELIVERED, *(outcome.value for outcome in Outcome), "waiting", "dead")

Id = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as import says it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]

jobs = typer.Typer(no_args_is_help=True, help="What became of imports: progress, report, cancel, undo.")


@jobs.command("list", epilog="Example: leadlane job list --limit 5")
def list_jobs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most, newest first.")] = 20,
    json: AsJson = False,
) -> None:
    """List the newest jobs."""
    from leadlane.reaching import reaching_redis
    from leadlane.workers.jobs import counts_of

    kept = store()
    found = [
        {
            "job": id,
            "campaign": _campaign(fields),
            "operation": _operation(fields),
            "began": moment(fields.get("created")),
            **counts_of(fields),
            "ended": "ended" in fields,
        }
        for id, fields in reaching_redis(lambda: newest(kept, limit))  # noqa: A001
    ]
    if json:
        output.document({"jobs": found})
        return
    head = ("job", "campaign", "operation", "began", "leads", "waiting", "dead", "ended")
    output.table(head, [[_word(job[name]) for name in head] for job in found])


@jobs.command("show", epilog="Example: leadlane job show 4be0643f1d98573b --json")
def show(id: Id, json: AsJson = False) -> None:  # noqa: A002
    """Show how far a job is, and what blocks it."""
    job, fields = _job(id)
    progress = job.progress()
    if json:
        output.document(
            output.job_document(
                id,
                _campaign(fields),
                progress,
                operation=_operation(fields),
                began=moment(fields.get("created")),
                batches=int(fields.get("batches", 0)),
            )
        )
        return
    state = "has ended" if progress["ended"] else "is on its way" if "sealed" in fields else "is open"
    output.line(
        f"job {id}: {_operation(fields)} for {_campaign(fields)} of {moment(fields.get('created'))} {state}"
    )
    output.outcomes(progress)
    if "undone_by" in progress:
        output.line(f"undone by job {progress['undone_by']}")
    if progress["blocked_by"]:
        output.line(f"blocked by: {progress['blocked_by']}")
    if when := output.expected(progress):
        output.line(f"its last lead will have left {when}")


@jobs.command("watch", epilog="Example: leadlane job watch 4be0643f1d98573b")
def watch(id: Id, json: AsJson = False) -> None:  # noqa: A002
    """Watch a job until it has ended; the exit code is that of import --wait."""
    from .bringing import finish

    job, fields = _job(id)
    finish(job, _campaign(fields), json=json)


@jobs.command(
    "report", epilog="Example: leadlane job report 4be0643f1d98573b --only not-delivered --csv missing.csv"
)
def report(
    id: Id,  # noqa: A002
    only: Annotated[
        str | None, typer.Option(metavar="OUTCOME", help=f"Only rows that ended so: {', '.join(ONLY)}.")
    ] = None,
    to_csv: Annotated[
        str | None, typer.Option("--csv", metavar="FILE", help="Write CSV to this file; - is stdout.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Say of each lead what became of it: index, phone number, outcome, reason.

    A file is readable by you alone. In CSV, cells that a spreadsheet would take for a formula begin with '.
    """
    if only is not None and only not in ONLY:
        raise WrongUse(f"--only: '{only}' is no outcome; {did_you_mean(only, ONLY)}")
    if json and to_csv is not None:
        raise WrongUse("--json and --csv: give one of them")
    job, _ = _job(id)
    rows = output.chosen(job.report(), only)
    if json:
        output.array(rows)
    elif to_csv is None:
        print_rows(rows)
    else:
        with written(to_csv) as file:
            _write(rows, file)


@jobs.command("cancel", epilog="Example: leadlane job cancel 4be0643f1d98573b")
def cancel(id: Id, json: AsJson = False) -> None:  # noqa: A002
    """Cancel what has not left yet, and close the job."""
    job, fields = _job(id)
    answers = job.cancel()
    progress = job.progress()
    if json:
        output.document(output.job_document(id, _campaign(fields), progress, batches=answers))
        return
    output.line(
        f"job {id}: {', '.join(f'{n} batches {how}' for how, n in answers.items()) or 'nothing to cancel'}"
    )
    output.outcomes(progress)


@jobs.command("undo", epilog="Example: leadlane job undo 4be0643f1d98573b --wait")
def undo(
    id: Id,  # noqa: A002
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until all is taken back.")] = False,
    json: AsJson = False,
) -> None:
    """Take back what an import brought, as far as the dialer can, and say what it cannot.

    What has not left is cancelled. Leads that the import created, or may have, are removed by a job of its own; what
    the dialer had before stays. It is stored at once and done by the workers, whenever they are there.

    Exit code: 0 done (with --no-wait: stored), 1 done but for leads that cannot be taken back, 2 wrong use, 3 could
    not reach what it needs.
    """
    from .bringing import finish

    job, fields = _job(id)
    undoing, campaign = job.undo(), _campaign(fields)
    if wait:
        finish(undoing, campaign, json=json, tell=lambda: reasons(undoing))
    progress = undoing.progress()
    told = reasons(undoing)
    if json:
        output.document(output.job_document(undoing.id, campaign, progress, reasons=told))
    else:
        output.line(f"job {undoing.id} takes back {progress['leads']:,} leads of job {id} for {campaign}")
        output.outcomes(progress)
        output.reasons(told)
        if progress["blocked_by"]:
            output.note(f"nothing moves yet: {progress['blocked_by']}")
    if progress["ended"]:
        raise typer.Exit(output.exit_code(progress))


def reasons(job: Job) -> list[dict[str, Any]]:
    """How many leads of a job ended how, and why, where there is a reason; the most first."""
    counted = Counter((row["outcome"], row["reason"]) for row in job.report() if row["reason"])
    return [{"outcome": outcome, "leads": n, "reason": why} for (outcome, why), n in counted.most_common()]


def newest(store: Jobs, limit: int) -> list[tuple[str, dict[str, str]]]:
    """Ids and fields of the newest jobs."""
    ids: list[bytes] = store.client.zrevrange(store.lanes.key("jobs"), 0, limit - 1)  # type: ignore[assignment]
    found = [(id.decode(), store.fields(id.decode())) for id in ids]  # noqa: A001
    return [(id, fields) for id, fields in found if fields]  # noqa: A001


def store() -> Jobs:
    """What is kept of jobs in the Redis of the settings."""
    from leadlane.workers.jobs import Jobs

    return Jobs(open_lanes())


def _job(id: str) -> tuple[Job, dict[str, str]]:  # noqa: A002
    """The job and its stored fields. Raises UnknownJob, Unreachable."""
    from leadlane.job import Job
    from leadlane.reaching import reaching_redis

    kept = store()
    fields = reaching_redis(lambda: kept.fields(id))
    if not fields:
        raise UnknownJob(id)
    return Job(kept, id), fields


def _operation(fields: Mapping[str, str]) -> str:
    return "undo" if "undoes" in fields else fields["op"]


def _campaign(fields: Mapping[str, str]) -> str:
    return f"{fields['acct']}/{fields['campaign']}"


def moment(ms: str | int | None) -> str:
    """A moment, given in ms, as people and programs read it."""
    return datetime.fromtimestamp(int(ms or 0) / 1000, UTC).isoformat(timespec="seconds")


def _word(value: object) -> object:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def print_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Columns of fixed width: a report may be longer than memory."""
    form = "{:>8}  {:<18}  {:<10}  {}"
    output.line(form.format(*REPORT_COLUMNS))
    for row in rows:
        output.line(form.format(*(row[name] for name in REPORT_COLUMNS)).rstrip())


def _write(rows: Iterable[Mapping[str, Any]], file: IO[str]) -> None:
    writer = csv.writer(file)
    writer.writerow(REPORT_COLUMNS)
    for row in rows:
        writer.writerow([harmless(row[name]) for name in REPORT_COLUMNS])
