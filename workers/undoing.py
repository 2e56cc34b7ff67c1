"""Undo: what an import brought is taken back by a job of its own, lead by lead, as far as the dialer can.

What has not left is cancelled first. Then each batch has a ticket behind it in its lane. A batch that is aboard a call
at that moment is over when that ticket has its turn, and only then is it settled which of its leads it brought.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from leadlane.schemas.errors import UnknownJob, UnsupportedOperation, WrongUse
from leadlane.schemas.outcomes import Outcome
from leadlane.workers import payloads
from leadlane.workers.accounts import Facts, read_facts
from leadlane.workers.commands import COMMANDS
from leadlane.workers.intake import own_ticket
from leadlane.workers.jobs import Jobs, ReportRow
from leadlane.workers.lanes import ADDING, Ticket
from leadlane.workers.ledger import UPDATED
from leadlane.workers.providers.contract import TakingBack

BROUGHT = frozenset({Outcome.CREATED, Outcome.ACCEPTED, Outcome.UNCERTAIN})
WAITING = "waiting"
"""The outcome of a row that is aboard a call."""
UNKNOWN = "nobody knows whether this job brought it or updated it; look in the dialer"
MOVED = "the account has another address now than when this job was sent"
NO_IMPORT = {"update": "an update", "remove": "a removal"}
LONGEST_ID = 100


def undo(jobs: Jobs, job: str) -> str:
    """Have what a job brought taken back: the id of the job that does it, the same one however often this is said.

    May be repeated after a crash in its middle. Raises UnknownJob; WrongUse if the job is no import; SettingsError if
    leads are encrypted with keys that are not here.
    """
    fields = jobs.look(job)
    _check(job, fields)
    undoing = undoing_of(job)
    if "sealed" in jobs.fields(undoing):
        return undoing
    jobs.lanes.vault.check(jobs.client, jobs.lanes.key("clock"))
    facts = read_facts(jobs.lanes, fields["acct"])
    way = Way.of(facts)
    jobs.cancel(job)
    jobs.open(facts.name, fields["campaign"], fields["lane"], way.taking.operation, job=undoing, undoes=job)
    for ticket in _tickets(jobs, job, undoing, fields["campaign"], way):
        jobs.lanes.submit(ticket, may_call=False)
    jobs.lanes.seal(undoing)
    return undoing


def undoing_of(job: str) -> str:
    """The id of the job that undoes this one."""
    long = len(job) > LONGEST_ID
    return f"{hashlib.sha256(job.encode()).hexdigest()[:16] if long else job}-undo"


def _check(job: str, fields: Mapping[str, str]) -> None:
    if not fields:
        raise UnknownJob(job)
    operation = fields["op"]
    if before := fields.get("undoes"):
        raise WrongUse(f"job {job}: undoes job {before} and cannot be undone itself; import its leads again")
    if operation in COMMANDS:
        raise WrongUse(f"job {job}: is the command {operation}; say the opposite instead")
    if operation not in ADDING:
        raise WrongUse(
            f"job {job}: is no import but {NO_IMPORT[operation]}, and what its leads were before is not known"
        )


@dataclass(frozen=True, slots=True)
class Way:
    """How leads are taken back at an account; ``cannot`` says why they are not."""

    facts: Facts
    taking: TakingBack
    cannot: str = ""

    @classmethod
    def of(cls, facts: Facts) -> Way:
        """The account's way."""
        taking = facts.dialer.undo
        try:
            facts.operation(taking.operation)
        except UnsupportedOperation as unsupported:
            return cls(facts, taking, str(unsupported))
        return cls(facts, taking)

    def wire(self, number: str) -> str:
        """What the dialer is told of a number, in digits."""
        lead = {"phone_number": f"+{number}", **self.taking.fields}
        return json.dumps(self.facts.operation(self.taking.operation).wire(lead))


@dataclass(slots=True)
class _Batch:
    """What is to be taken back of one batch."""

    numbers: list[str] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    codes: str = ""
    why: dict[int | str, str] = field(default_factory=dict)

    def take(self, number: str, wire: str) -> None:
        self.numbers.append(number)
        self.wires.append(wire)
        self.codes += "."

    def leave(self, number: str, reason: str) -> None:
        self.why[len(self.numbers)] = reason
        self.numbers.append(f"+{number}")
        self.wires.append("")
        self.codes += "f"


def _tickets(jobs: Jobs, job: str, undoing: str, campaign: str, way: Way) -> Iterator[Ticket]:
    start, lane, operation = 0, way.facts.lane(campaign), way.taking.operation
    for place, ticket in enumerate(jobs.batches(job)):
        stored = jobs.ticket(ticket)
        cannot = way.cannot or ("" if stored.get("lane") == lane else MOVED)
        batch = _batch(jobs.rows(ticket), stored.get("op") in ADDING, way, cannot)
        if not batch.numbers:
            continue
        if way.taking.words:
            batch.why["u"] = way.taking.words
        yield own_ticket(
            way.facts,
            operation,
            campaign,
            payloads.Batch.of(start, operation, batch.numbers, batch.wires),
            id=f"{undoing}-{place}",
            job=undoing,
            lane=lane,
            codes=batch.codes if batch.why else "",
            why=batch.why,
            undoes=ticket,
        )
        start += len(batch.numbers)


def _batch(rows: Iterable[ReportRow], adding: bool, way: Way, cannot: str) -> _Batch:
    """Those of the rows that came, or may have; ``adding`` says that it was an import still that brought them."""
    batch = _Batch()
    for row in rows:
        number, under_way = row.phone_number.removeprefix("+"), row.outcome == WAITING
        if row.outcome == Outcome.UPDATED or (under_way and not adding):
            batch.leave(number, UPDATED)
        elif row.outcome == Outcome.UNCERTAIN and not adding:
            batch.leave(number, UNKNOWN)
        elif row.outcome in BROUGHT or under_way:
            if cannot:
                batch.leave(number, cannot)
            else:
                batch.take(number, way.wire(number))
    return batch


def brought(jobs: Jobs, ticket: str) -> dict[str, str]:
    """What became of each number of a batch, as a code; nothing if that is no longer kept. Raises KeyMissingError."""
    raw: bytes | None = jobs.client.get(jobs.lanes.key("pay", ticket))  # type: ignore[assignment]
    try:
        numbers = payloads.unpack(jobs.lanes.vault.opened(ticket, raw)).numbers if raw else ()
    except payloads.PayloadUnreadableError:
        numbers = ()
    found: dict[str, str] = {}
    for number, code in zip(numbers, jobs.codes(ticket, len(numbers)), strict=False):
        found.setdefault(number, code)  # twins come later
    return found
