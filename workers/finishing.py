"""The finish list: Celery results of tickets that ended without their own task running.

Riders, cancelled, expired and dead tickets get their result, state and events here; one that other tasks
wait for (link, chain, chord) is published instead, finds its outcome and goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from celery import Celery

from leadlane.schemas.errors import DeadLetter
from leadlane.schemas.outcomes import pending
from leadlane.workers.calling import TASK_OF, publish, safe_kwargs
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Call, Lanes, Row
from leadlane.workers.ledger import result
from leadlane.workers.redaction import redact
from leadlane.workers.results import Ended, finish

PATIENCE_MS = 60_000
"""How long a published ending may take to come, before it is published again."""


def finish_riders(
    app: Celery,
    lanes: Lanes,
    rows: Sequence[tuple[Row, Mapping[str, object]]],
    *,
    hostname: str | None = None,
) -> None:
    """Write the results of riders that the holder's call has delivered, and take them off the finish list."""
    ended = [_ended(row.ticket, row.fields, "SUCCESS", dict(outcome)) for row, outcome in rows]
    finish(app, ended, hostname=hostname)
    lanes.finished(row.ticket for row, _ in rows)


def finish_claimed(app: Celery, jobs: Jobs, tickets: Sequence[str], *, hostname: str | None = None) -> None:
    """Write, or publish, what a dispatcher has claimed from the finish list."""
    written: list[Ended] = []
    over: list[str] = []
    for ticket in tickets:
        fields = jobs.ticket(ticket)
        if fields and fields["state"] in ("done", "dead"):
            if "links" in fields:
                publish(app, _call(ticket, fields))
                jobs.lanes.postpone_finish(ticket, PATIENCE_MS)
                continue
            written.append(_ending(jobs, ticket, fields))
        over.append(ticket)  # written now, retried meanwhile, or long gone
    finish(app, written, hostname=hostname)
    jobs.lanes.finished(over)


def outcome(jobs: Jobs, ticket: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The result of a ticket that is done; of a task that was cut, the sum over its pieces."""
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
    if fields["state"] == "dead":
        return _ended(ticket, fields, "FAILURE", DeadLetter(fields["reason"]))
    if fields["end"] in ("cancelled", "expired"):
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
    return Call(
        ticket, "turns", 0, fields["op"], fields["acct"], fields["campaign"], fields["job"],
        int(fields["n"]), fields["class"], fields.get("sig", ""),
    )  # fmt: skip
