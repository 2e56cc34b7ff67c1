"""The chaos suite's command: one table on standard output; 0 if nothing was lost, doubled or broken, else 1."""

from __future__ import annotations

import argparse
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from celery import Celery
from celery.result import AsyncResult

from leadlane.cli import output
from leadlane.fleet import Fleet
from leadlane.ops.chaos.arena import LANES, Arena
from leadlane.ops.chaos.judge import Findings, Told, compare, judge
from leadlane.ops.chaos.plan import ROLES, Conditions, errand, frozen
from leadlane.ops.chaos.producer import Journal, journal_of, task_id
from leadlane.ops.chaos.standstill import SLACK_S
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes
from leadlane.workers.verifying import verify

RESULTS_WITHIN_S = 60.0
WHOLE_S = 86_400.0


def main(arguments: list[str] | None = None) -> int:
    """Run it: 0, or 1 if anything was lost, doubled or broken."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else nothing that was started would be ended
    seed = secrets.randbelow(10**6) if asked.seed is None else asked.seed
    conditions = frozen(asked.freezes, seed) if asked.freezes else Conditions(
        minutes=asked.minutes, seed=seed, workers=asked.workers, threads=asked.threads,
        timeout_s=asked.timeout, lost_call_s=asked.lost_call, lease_s=asked.lease, appendfsync=asked.fsync,
    )  # fmt: skip
    output.line(f"seed {seed}", now=True)
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="leadlane-chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    with Arena(conditions, folder) as arena:
        began = time.monotonic()
        arena.fight()
        fought = time.monotonic()
        settled = arena.settle(asked.patience)
        output.note(
            f"fought for {fought - began:.0f} s, settled after {time.monotonic() - fought:.0f} s more"
        )
        found = verdict(arena)
    for note in found.notes:
        output.note(note)
    told = list(rows(arena, found))
    output.table(("what", "", "how much"), told)
    if asked.markdown:
        asked.markdown.write_text(markdown(told))
    right = settled and not found.wrong and not arena.blows["ended by itself"]
    output.line(
        "nothing lost, nothing doubled, no rule broken" if right else f"NOT SO; logs and audit: {folder}"
    )
    if right and asked.folder is None:
        shutil.rmtree(folder, ignore_errors=True)
    return int(not right)


def verdict(arena: Arena) -> Findings:
    """Ask producers' side and dialers' side, and compare."""
    settings = load_settings(environ=arena.environ)
    books = {
        address: {number.lstrip("+"): of for number, of in arena.sandbox.leads(campaign, dialer).items()}
        for address in LANES
        for dialer, campaign in [address.split("/")]
    }
    conditions = arena.conditions
    audit = arena.sandbox.audit()
    found = judge(
        _told(settings, arena),
        audit,
        arena.sandbox.verify(),
        books,
        arena.workers,
        arena.freezes,
        arena.causes,
        timeout_s=conditions.timeout_s,
        lost_call_s=conditions.lost_call_s,
        gap_s=conditions.gap_s,
    )
    compare(found, audit, verify(Lanes.of(settings), WHOLE_S).campaigns)
    return found


def _told(settings: Settings, arena: Arena) -> Iterator[Told]:
    fleet = Fleet(settings=settings)
    app: Celery = make_app(settings)
    jobs = Jobs(Lanes.of(settings))
    deadline = time.monotonic() + RESULTS_WITHIN_S
    for role in ROLES:
        journal = Journal(journal_of(arena.folder, role))
        for n, id_ in journal.jobs.items():
            one = Told(errand(role, n, arena.conditions.seed))
            if id_:
                job, fields = fleet.job(id_), jobs.fields(id_)
                one.progress = job.progress()
                one.rows = [(row["phone_number"], row["outcome"]) for row in job.report()]
                if "ended" in fields:
                    one.busy = (int(fields["sealed"]) / 1000, int(fields["ended"]) / 1000)
            if role.by_name:
                result: AsyncResult[Any] = AsyncResult(task_id(one.errand), app=app)
                while result.state != "SUCCESS" and time.monotonic() < deadline:
                    time.sleep(0.1)
                one.result = dict(result.result) if result.state == "SUCCESS" else None  # type: ignore[arg-type]
            yield one
    fleet.close()


def rows(arena: Arena, found: Findings) -> Iterator[tuple[str, str, object]]:
    """The table's rows: what, an explanation, how much."""
    blows = arena.blows
    again = sum(Journal(journal_of(arena.folder, role)).again for role in ROLES)
    yield "leads in", "", found.leads
    for outcome, n in found.outcomes.most_common():
        yield "", outcome, n
    yield "unsettled", "leads without an outcome", found.unsettled
    yield "lost", "leads without a trace, or told delivered and not there", found.lost
    yield "told wrongly", "leads that are there and were told not to be", found.mistold
    yield "wrong sums", "jobs whose outcomes do not add up", found.sums_broken
    yield "doubled", "stored twice", found.stored_twice
    yield "", "sent again after an answer", found.resent_after_answer
    yield "", "sent again blindly", found.resent_after_silence
    yield "rules broken", "simultaneous", found.simultaneous
    yield "", "within the gap", found.within_gap
    yield "", "over the rate", found.over_rate
    yield "", "without a lease, by workers that had been frozen", found.unleased
    yield "", "other", found.other_breaches
    yield "by the ledger", "rules broken, says `leadlane verify`", found.ledger_breaches
    yield "", "answers of calls that reached no dialer", found.invented
    yield "", "calls without an entry: their worker died, or Redis forgot them", found.unwritten
    yield "answers lost", "leads sent again: their answer died with its worker", found.excused
    yield "messages lost", "tasks by name sent again after no worker had entered them", again
    yield "standstill", f"seconds at most; {found.standstill}", f"{found.standstill.lasted_s:.1f}"
    yield (
        "",
        f"seconds of one that no rule explains; up to {SLACK_S:g} are not counted",
        f"{found.beyond_s:.1f}",
    )
    yield "calls", "that reached the dialers", found.calls
    yield "kills", "of workers", blows["kill"]
    yield "", "of producers", blows["producer"]
    yield "freezes", "of workers", blows["freeze"]
    yield "", "turns they held", found.frozen_turns
    yield "", "of those, with a call in the air", found.frozen_calls
    yield "", "of those, gone on with by others meanwhile", found.taken_over
    yield "restarts", "of Redis, clean", blows["restart"]
    yield "", "of Redis, kill -9", blows["crash"]
    yield "outages", "of the dialers", blows["outage"]
    yield "bursts of 429", "", blows["throttle"]
    yield "ended", "workers and producers that ended by themselves", blows["ended by itself"]


def markdown(told: Iterable[tuple[str, str, object]]) -> str:
    """The table as Markdown has it."""
    lines = ["| what | | how much |", "|---|---|---:|"]
    lines += [
        f"| {what} | {about} | {much:,} |" if isinstance(much, int) else f"| {what} | {about} | {much} |"
        for what, about, much in told
    ]
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leadlane.ops.chaos",
        description="Kill and freeze workers, producers and Redis while the dialers fail; count what it did. "
        "Ends with 1 if a lead was lost or doubled, or a rule of the dialers broken.",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long blows fall (%(default)s)")
    parser.add_argument("--seed", type=int, help="of an earlier run, to have its schedule again")
    parser.add_argument("--freezes", type=int, metavar="N", default=0,
                        help="nothing but this: N times a worker stands still for a minute")  # fmt: skip
    parser.add_argument("--workers", type=int, default=4, help="worker processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=6, help="of each (%(default)s)")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="S", help="timeout_s (%(default)s)")
    parser.add_argument("--lost-call", type=float, default=8.0, metavar="S", help="lost_call_s (%(default)s)")
    parser.add_argument("--lease", type=float, default=6.0, metavar="S", help="lease_s (%(default)s)")
    parser.add_argument("--fsync", choices=("everysec", "always"), default="everysec", help="of Redis")
    parser.add_argument("--patience", type=float, default=300.0, metavar="S",
                        help="how long all may take to settle afterwards (%(default)s)")  # fmt: skip
    parser.add_argument(
        "--folder",
        type=Path,
        help="for logs, journals and the audit; else a new one, kept if anything is wrong",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there, for documents")
    return parser


if __name__ == "__main__":
    sys.exit(main())
