"""The finish list: Celery results of tickets that ended without their own task running.

Riders, cancelled, expired and dead tickets get their result, state and events here. One that other tasks
wait for (link, chain, chord) is published instead, finds its outcome and goes on; only a revoked one is not, for
nothing follows it but the failure of its chord.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from celery import Celery
from celery.app.task import Context
from celery.exceptions import TaskRevokedError
from kombu.utils.json import loads

from leadlane.schemas.errors import DeadLetter
from leadlane.schemas.outcomes import pending
from leadlane.workers.calling import TASK_OF, publish, safe_kwargs
from leadlane.workers.commands import COMMANDS
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Call, Row
from leadlane.workers.ledger import result
from leadlane.workers.redaction import redact
from leadlane.workers.results import finish
from leadlane.workers.telling import Ended

REVOKED = ("cancelled", "expired")
"""How a ticket ends whose task Celery calls revoked."""
PATIENCE_MS = 60_000
"""How long a published ending may take to come, before it is published again."""


def finish_riders(
    app: Celery,
    jobs: Jobs,
    rows: Sequence[tuple[Row, Mapping[str, object] | None]],
    *,
    written: Callable[[Iterable[str]], None],
    holder: str = "",
    hostname: str | None = None,
) -> None:
    """End riders that the holder's call has delivered; one without a result must run to end, or has pieces left.

    The holder itself may be among them: then its task, which runs, sends its events. ``written`` takes those with
    results off the finish list.
    """
    known = [(row, outcome) for row, outcome in rows if outcome is not None]
    if known:
        ended = [_ended(row.ticket, row.fields, "SUCCESS", dict(outcome)) for row, outcome in known]
        finish(app, ended, hostname=hostname, silent=holder)
        written([row.ticket for row, _ in known])
    finish_claimed(app, jobs, [row.ticket for row, outcome in rows if outcome is None], hostname=hostname)


def finish_claimed(app: Celery, jobs: Jobs, tickets: Sequence[str], *, hostname: str | None = None) -> None:
    """Write, or publish, what is on the finish list; nothing is lost by doing so twice."""
    to_write: list[str] = []
    for ticket in tickets:
        fields = jobs.ticket(ticket)
        if "links" in fields and _is_over(jobs, ticket, fields) and fields.get("end") not in REVOKED:
            jobs.lanes.postpone_finish(ticket, PATIENCE_MS)  # first: once published it may be over at once
            publish(app, _call(ticket, fields))
        else:
            to_write.append(ticket)
    write(app, jobs, to_write, hostname=hostname)


def write(app: Celery, jobs: Jobs, tickets: Sequence[str], *, hostname: str | None = None) -> None:
    """Write the results of those tickets that are over, and take them off the finish list.

    Nothing that is linked to them is called; a revoked one fails its chord.
    """
    if not tickets:
        return
    stored = {ticket: jobs.ticket(ticket) for ticket in tickets}
    over = {ticket: fields for ticket, fields in stored.items() if _is_over(jobs, ticket, fields)}
    finish(app, [_ending(jobs, ticket, fields) for ticket, fields in over.items()], hostname=hostname)
    for ticket, fields in over.items():
        if "links" in fields and fields.get("end") in REVOKED:
            _fail_chord(app, ticket, jobs.links(ticket), fields["end"])
    jobs.lanes.finished(ticket for ticket, fields in stored.items() if ticket in over or not fields)


def _fail_chord(app: Celery, ticket: str, links: str, reason: str) -> None:
    request = Context(loads(links) if links else {}, id=ticket)
    if request.chord:
        app.backend.on_chord_part_return(request, "REVOKED", TaskRevokedError(reason))


def _is_over(jobs: Jobs, ticket: str, fields: Mapping[str, str]) -> bool:
    """Whether the ticket is done or dead, and so are the pieces it was cut into."""
    return fields.get("state") in ("done", "dead") and not (
        "cut" in fields and jobs.lanes.pieces_left(ticket) > 0
    )


def outcome(jobs: Jobs, ticket: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The result of a ticket that is done; of a task that was cut, the sum over its pieces."""
    if fields["op"] in COMMANDS:
        return jobs.fate(ticket, fields)
    own = _counted(jobs, ticket, fields)
    for i in range(1, int(fields.get("cut", 0)) + 1):
        piece = f"{ticket}.{i}"
        for name, value in _counted(jobs, piece, jobs.ticket(piece)).items():
            if isinstance(value, int):
                own[name] = own.get(name, 0) + value
    return own


def _counted(jobs: Jobs, ticket: str, fields: Mapping[str, str]) -> dict[str, Any]:
    codes = jobs.codes(ticket, int(fields["n"]))
    found = dict(result(Row(ticket, codes, None, fields), codes, now_ms=int(fields.get("ended", 0))))
    if fields["state"] == "dead":
        found["dead"] = pending(codes)
    return found


def _ending(jobs: Jobs, ticket: str, fields: Mapping[str, str]) -> Ended:
    if fields["state"] == "dead" or fields["end"] == "discarded":
        return _ended(ticket, fields, "FAILURE", DeadLetter(fields["reason"]))
    if fields["end"] in REVOKED:
        return _ended(ticket, fields, "REVOKED", fields["end"])
    return _ended(ticket, fields, "SUCCESS", outcome(jobs, ticket, fields))


def _ended(
    ticket: str,
    fields: Mapping[str, str],
    state: Literal["SUCCESS", "FAILURE", "REVOKED"],
    value: dict[str, Any] | Exception | str,
) -> Ended:
    kwargs = safe_kwargs(fields["acct"], fields["campaign"], ticket, fields["job"])
    return Ended(ticket, TASK_OF[fields["op"]], state, value, redact((), kwargs)[1])


def _call(ticket: str, fields: Mapping[str, str]) -> Call:
    queue = "control" if fields["op"] in COMMANDS else "turns"
    return Call(
        ticket, queue, 0, fields["op"], fields["acct"], fields["campaign"], fields["job"],
        int(fields["n"]), fields["class"], fields.get("sig", ""),
    )  # fmt: skip
