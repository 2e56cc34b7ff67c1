"""Jobs: what one import made, its progress and its report, as the lane scripts keep them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from leadlane.schemas.outcomes import OUTCOME_OF
from leadlane.workers import payloads
from leadlane.workers.commands import COMMANDS, fate
from leadlane.workers.lanes import Call, Lanes, Ticket

CHUNK = 20
EXPIRY_LOOK_MS = 1000
"""How often at most all tickets of a job are looked at for their time."""
PRODUCER_GONE_MS = 60_000
"""An open job of which nothing was heard for so long has lost its producer."""
TELLING_MS = 30_000
"""How long one may be about to tell an end, before another may."""
DEFAULT_REASONS = {
    "r": "refused by the dialer, which gave no reason",
    "d": "the dialer had this number already",
    "x": "cancelled before it was sent",
    "e": "its time ran out before it was sent",
    "?": "sent, but nobody can say whether it arrived",
}


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One lead of a job; ``outcome`` is ``waiting`` or ``dead`` while it has none."""

    index: int
    phone_number: str
    outcome: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """The row as producers get it."""
        return {
            "index": self.index,
            "phone_number": self.phone_number,
            "outcome": self.outcome,
            "reason": self.reason,
        }


class Jobs:
    """The jobs of one Redis."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.client = lanes.client

    def open(
        self,
        account: str,
        campaign: str,
        lane: str,
        operation: str,
        *,
        job: str = "",
        key: str = "",
        undoes: str = "",
        by: str = "",
    ) -> str:
        """Begin a job for a campaign (or go on with it); its id. ``key`` is the hidden idempotency key.

        ``undoes`` is the job that it takes back; ``by`` the producer of a new one that has no key.

        The job of a command has one ticket: it is sealed from the start, and in no list of jobs.
        """
        job = job or uuid4().hex[:16]
        fields = {"acct": account, "campaign": campaign, "lane": lane, "op": operation}
        more = {"key": key, "undoes": undoes, "by": by}
        fields |= {name: value for name, value in more.items() if value}
        self.lanes.open(job, fields, is_command=operation in COMMANDS, undoes=undoes)
        return job

    def enter(self, ticket: Ticket, *, key: str = "", may_call: bool = True) -> Call | None:
        """Put a ticket that is all of its job into its lane; the call to publish if its turn is now.

        May be repeated. ``key`` is the hidden idempotency key.
        """
        self.open(ticket.account, ticket.campaign, ticket.lane, ticket.operation, job=ticket.job, key=key)
        _, call = self.lanes.submit(ticket, may_call=may_call)
        self.lanes.seal(ticket.job)
        return call

    def keyed(self, key: str) -> str:
        """The job of an idempotency key, whether it exists yet or not; one key has one job in any race.

        Its id follows from the key: should Redis forget the job, the same rows are the same tickets again, and what
        workers tell of them is known.
        """
        name = self.lanes.key("key", key)
        self.client.set(name, key[:16], nx=True)
        found: bytes = self.client.get(name)  # type: ignore[assignment]
        return found.decode()

    def known(self, key: str) -> str:
        """The job of an idempotency key; "" if it has none yet."""
        found: bytes | None = self.client.get(self.lanes.key("key", key))  # type: ignore[assignment]
        return found.decode() if found else ""

    def has_producer(self, fields: Mapping[str, str]) -> bool:
        """Whether somebody is filling this open job: it was heard of within the last minute."""
        return self.now_ms() - int(float(fields.get("seen", 0))) < PRODUCER_GONE_MS

    def claim(self, job: str, producer: str, *, before: str = "") -> str:
        """Be the one producer that fills an open job: ``ours``, ``sealed`` or ``busy`` (another is at work).

        ``before`` is one that is known to have gone.
        """
        return self.lanes.claim(job, producer, "claim", gone_ms=PRODUCER_GONE_MS, before=before)

    def fields(self, job: str) -> dict[str, str]:
        """The job as stored; empty if there is none."""
        raw: dict[bytes, bytes] = self.client.hgetall(self.lanes.key("job", job))  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in raw.items()}

    def look(self, job: str) -> dict[str, str]:
        """The job as stored, after ending those of its tickets whose time is over; empty if there is none.

        Workers meet an expired ticket when its turn would come. Whoever looks shall not wait for that.
        """
        fields = self.fields(job)
        now = self.now_ms() if "expires" in fields and "ended" not in fields else 0
        if now and now >= int(float(fields["expires"])):
            for ticket in self.batches(job):
                self.lanes.expire(ticket)
            self.client.hset(self.lanes.key("job", job), "expires", str(now + EXPIRY_LOOK_MS))
            fields = self.fields(job)
        return fields

    def counts(self, job: str) -> dict[str, int]:
        """Leads per outcome, ``leads``, ``waiting`` and ``dead``; the rest adds up to ``leads``."""
        return counts_of(self.fields(job))

    def batches(self, job: str) -> list[str]:
        """Ids of the job's tickets, in the order they were stored."""
        raw: list[bytes] = self.client.lrange(self.lanes.key("batches", job), 0, -1)  # type: ignore[assignment]
        return [ticket.decode() for ticket in raw]

    def rows_of(self, tickets: Sequence[str]) -> dict[str, int]:
        """Rows of each of these tickets; 0 for one that is no longer kept."""
        with self.client.pipeline(transaction=False) as pipe:
            for ticket in tickets:
                pipe.hget(self.lanes.key("t", ticket), "n")
            return {ticket: int(n or 0) for ticket, n in zip(tickets, pipe.execute(), strict=True)}

    def note_uncarried(self, job: str, names: Iterable[str]) -> None:
        """Remember which fields of the job's leads the dialer cannot carry; said once per job."""
        if found := sorted(names):
            self.client.hset(self.lanes.key("job", job), "uncarried", ",".join(found))

    def sweep(self, *, chunk: int = 500) -> dict[str, int]:
        """Take off the indexes what has expired: how many jobs and tickets with uncertain leads."""
        return {
            "jobs": self._sweep("jobs", "job", chunk),
            "uncertain": self._sweep("uncertain", "t", chunk),
        }

    def _sweep(self, index: str, kind: str, chunk: int) -> int:
        """Oldest first, one chunk at a time."""
        swept, at = 0, 0
        while True:
            names: list[bytes] = self.client.zrange(self.lanes.key(index), at, at + chunk - 1)  # type: ignore[assignment]
            if not names:
                return swept
            with self.client.pipeline(transaction=False) as pipe:
                for name in names:
                    pipe.exists(self.lanes.key(kind, name.decode()))
                gone = [name for name, there in zip(names, pipe.execute(), strict=True) if not there]
            if gone:
                self.client.zrem(self.lanes.key(index), *gone)
            swept += len(gone)
            at += len(names) - len(gone)

    def now_ms(self) -> int:
        """The time of Redis."""
        seconds, micros = self.client.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def cancel(self, job: str) -> dict[str, int]:
        """Cancel what has not left, and seal the job: tickets ``cancelled``, ``flagged`` (aboard), ``done``.

        What its producer stores later is cancelled, too. May be repeated, should this process die in its middle.
        """
        self.lanes.seal(job, cancelled=True)
        answers: dict[str, int] = {}
        for ticket in self.batches(job):
            answer = self.lanes.cancel(ticket)
            answers[answer] = answers.get(answer, 0) + 1
        return answers

    def cancel_task(self, ticket: str) -> str:
        """Cancel the ticket of a task, with the pieces it was cut into: what `Lanes.cancel` answers."""
        for i in range(1, int(self.ticket(ticket).get("cut", 0)) + 1):
            self.lanes.cancel(f"{ticket}.{i}")
        return self.lanes.cancel(ticket)

    def report(self, job: str) -> Iterator[ReportRow]:
        """One row per lead, in the order they came."""
        tickets = self.batches(job)
        for at in range(0, len(tickets), CHUNK):
            yield from self.rows(*tickets[at : at + CHUNK])

    def rows(self, *tickets: str) -> Iterator[ReportRow]:
        """One row per lead of these tickets; none of one whose payload is gone. Raises KeyMissingError."""
        with self.client.pipeline(transaction=False) as pipe:
            for ticket in tickets:
                pipe.get(self.lanes.key("pay", ticket))
                pipe.get(self.lanes.key("out", ticket))
                pipe.hgetall(self.lanes.key("why", ticket))
                pipe.hmget(self.lanes.key("t", ticket), "state", "reason")
            answers = pipe.execute()
        for i, ticket in enumerate(tickets):
            payload, *known = answers[4 * i : 4 * i + 4]
            try:
                batch = payloads.unpack(self.lanes.vault.opened(ticket, payload)) if payload else None
            except payloads.PayloadUnreadableError:
                batch = None  # as good as gone; its turn says so too
            if batch:
                yield from _rows(batch, *known)

    def ticket(self, ticket: str) -> dict[str, str]:
        """A ticket's fields; empty if there is none."""
        raw: dict[bytes, bytes] = self.client.hgetall(self.lanes.key("t", ticket))  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in raw.items()}

    def is_under_way(self, ticket: str) -> bool:
        """Whether the ticket is neither done nor dead."""
        state: bytes | None = self.client.hget(self.lanes.key("t", ticket), "state")  # type: ignore[assignment]
        return state is not None and state not in (b"done", b"dead")

    def first_to_tell(self, ticket: str) -> bool:
        """Whether the caller is to tell the end of this ticket to those who wait for it.

        If another is about to, the ticket is looked at again a little later, in case that one dies.
        """
        if self.client.set(self.lanes.key("told", ticket), 1, nx=True, px=TELLING_MS):
            return True
        self.client.zadd(self.lanes.key("finish"), {ticket: self.now_ms() + TELLING_MS}, nx=True)
        return False

    def links(self, ticket: str) -> str:
        """What waits for the ticket's task, as `payloads.Batch` has it; '' if its payload is gone.

        Raises KeyMissingError.
        """
        raw: bytes | None = self.client.get(self.lanes.key("pay", ticket))  # type: ignore[assignment]
        try:
            return payloads.unpack(self.lanes.vault.opened(ticket, raw)).links if raw else ""
        except payloads.PayloadUnreadableError:
            return ""

    def fate(self, ticket: str, fields: Mapping[str, str]) -> dict[str, object]:
        """What became of a command so far (`commands.fate`)."""
        why = self.why(ticket)
        return fate(fields, self.codes(ticket, 1), why, command=ticket, now_ms=self.now_ms())

    def why(self, ticket: str) -> dict[str, str]:
        """The reasons and facts that are kept of a ticket."""
        raw: dict[bytes, bytes] = self.client.hgetall(self.lanes.key("why", ticket))  # type: ignore[assignment]
        return {name.decode(): reason.decode() for name, reason in raw.items()}

    def codes(self, ticket: str, n: int) -> str:
        """The outcome codes of a ticket's rows."""
        raw: bytes | None = self.client.get(self.lanes.key("out", ticket))  # type: ignore[assignment]
        return raw.decode() if raw else "." * n


def counts_of(fields: Mapping[str, str]) -> dict[str, int]:
    """Leads per outcome of a stored job, without zeros, with ``leads``, ``waiting`` and ``dead``."""
    leads, dead = int(fields.get("leads", 0)), int(fields.get("dead", 0))
    found: dict[str, int] = {}
    for code, outcome in OUTCOME_OF.items():
        if n := int(fields.get(f"n:{code}", 0)):
            found[outcome.value] = found.get(outcome.value, 0) + n
    return {"leads": leads, **found, "dead": dead, "waiting": leads - dead - sum(found.values())}


def _rows(
    batch: payloads.Batch, codes: bytes | None, why: Mapping[bytes, bytes], ticket: list[bytes | None]
) -> Iterator[ReportRow]:
    text = codes.decode() if codes else "." * len(batch.numbers)
    reasons = {name.decode(): reason.decode() for name, reason in why.items()}
    state, last = (part.decode() if part else "" for part in ticket)
    for i, (number, wire, code) in enumerate(zip(batch.numbers, batch.wires, text, strict=True)):
        outcome = OUTCOME_OF.get(code)
        reason = reasons.get(str(i)) or reasons.get(code) or DEFAULT_REASONS.get(code, "")
        if outcome is None:
            reason = last if state == "dead" else reason
        if code == "C":
            reason = "reconciled: its answer was lost, the dialer has it"
        yield ReportRow(
            batch.start + i,
            f"+{number}" if wire else number,
            outcome.value if outcome else ("dead" if state == "dead" else "waiting"),
            reason,
        )
