"""How a producer's rows get into a lane: one job, its batches one after another, sealed at the end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

import redis
from celery import Celery

from leadlane.asking import ask
from leadlane.reaching import reaching_redis
from leadlane.schemas.commands import LeadCommand
from leadlane.schemas.errors import ImportInterrupted, LeadlaneError, UnknownAccount, WrongUse
from leadlane.schemas.settings import Settings
from leadlane.workers import commands
from leadlane.workers.accounts import Facts, publish_facts, read_facts
from leadlane.workers.celery_app import make_app
from leadlane.workers.intake import Draft, Intake
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes, Ticket
from leadlane.workers.providers.contract import STATE_WORDS
from leadlane.workers.runtime import publisher

RENEW_S = 20.0
"""How often an open job says that its producer is there."""


def _hidden(facts: Facts, campaign: str, operation: str, key: str) -> str:
    """The idempotency key as it is stored."""
    return hashlib.sha256(f"{facts.name}/{campaign}/{operation}/{key}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Standing:
    """What an idempotency key stands for: its job, rows stored so far, and when it began (ms since 1970)."""

    job: str
    state: Literal["new", "at work", "broken off", "complete"]
    rows: int = 0
    began_ms: int = 0


class Producer:
    """The producer's end of the lanes of one Redis. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lanes = Lanes.of(settings)
        self.jobs = Jobs(self.lanes)
        self._app: Celery = make_app(settings)
        self._publish = publisher(self._app)
        self._given_up: set[str] = set()  # open jobs whose rows broke off here

    def facts(self, account: str) -> Facts:
        """What workers have published of the account; where none has, this process's own settings say it."""
        try:
            return read_facts(self.lanes, account)
        except UnknownAccount:
            if account not in self.settings.accounts:
                raise
        publish_facts(self.lanes, self.settings)
        return read_facts(self.lanes, account)

    def standing(self, facts: Facts, campaign: str, operation: str, key: str) -> Standing:
        """What has become of an idempotency key so far. Raises Unreachable."""

        def look() -> Standing:
            job = self.jobs.known(_hidden(facts, campaign, operation, key))
            fields = self.jobs.fields(job) if job else {}
            if not job or not fields:
                return Standing("", "new")
            rows, began = int(fields.get("leads", 0)), int(fields.get("created", 0))
            if "sealed" in fields:
                return Standing(job, "complete", rows, began)
            if job not in self._given_up and self.jobs.has_producer(fields):
                return Standing(job, "at work", rows, began)
            return Standing(job, "broken off", rows, began)

        return reaching_redis(look)

    def send(
        self, facts: Facts, operation: str, rows: Iterable[object], command: LeadCommand, key: str | None
    ) -> str:
        """Store all rows as batches of one job and seal it: the job's id.

        Raises ImportInterrupted if ``rows`` raises, WrongUse if the key is another producer's or was used for
        other rows, Unreachable.
        """
        intake = Intake(facts, operation)
        campaign = command.campaign.campaign
        self._check_keys()
        job, stored = reaching_redis(lambda: self._open(facts, campaign, operation, key))
        if stored is None:
            return job
        expires_in_ms = None if command.expires_in is None else int(command.expires_in * 1000)

        def submit(draft: Draft) -> None:
            ticket = intake.ticket(
                draft,
                job=job,
                campaign=campaign,
                priority=command.priority,
                on_duplicate=command.on_duplicate,
                expires_in_ms=expires_in_ms,
            )
            if stored.get(draft.start, ticket.id) != ticket.id:
                raise WrongUse(
                    f"idempotency_key: rows from {draft.start} on differ from those stored under this key before "
                    f"(job {job}); use another key for other rows"
                )
            if opt_out := intake.opt_out(draft, ticket):
                self.enter(opt_out)
            reaching_redis(lambda: self._submit(ticket))

        with self._renewed(job):
            try:
                rows_of = reaching_redis(lambda: self.jobs.rows_of(list(stored.values())))
                for draft in intake.drafts(
                    rows, {start: rows_of[ticket] for start, ticket in stored.items()}
                ):
                    submit(draft)
                reaching_redis(lambda: self._close(job, intake))
            except LeadlaneError as exc:
                exc.add_note(f"job {job}: {intake.rows} rows were taken; what was stored is kept")
                raise
            except Exception as exc:
                raise ImportInterrupted(job, intake.rows) from exc
        return job

    def command(
        self,
        facts: Facts,
        operation: str,
        campaign: str,
        asked: Mapping[str, Any],
        *,
        after: str = "",
    ) -> str:
        """Put a command into its lane: its id. ``after`` is the job whose end it waits for."""
        ticket = commands.ticket(
            facts,
            operation,
            campaign,
            asked,
            id=uuid4().hex[:16],
            seq=0 if operation in STATE_WORDS else None,
            after=after,
        )
        return self.enter(ticket)

    def enter(self, ticket: Ticket) -> str:
        """Put a ticket that is all of its job into its lane: its id."""
        self._check_keys()
        if call := reaching_redis(lambda: self.jobs.enter(ticket)):
            self._publish(call)
        return ticket.id

    def _check_keys(self) -> None:
        """Raises SettingsError if workers could not open what is stored here, or expect it to be encrypted."""
        reaching_redis(lambda: self.lanes.vault.check(self.lanes.client, self.lanes.key("clock")))

    def ask(self, facts: Facts, what: str, kwargs: Mapping[str, str], *, timeout: float) -> Any:
        """What the account's dialer says; errors as of `leadlane.asking.ask`, and UnsupportedOperation."""
        facts.check(what)
        return ask(self._app, self.lanes, what, facts.name, kwargs, timeout=timeout)

    def _open(
        self, facts: Facts, campaign: str, operation: str, key: str | None
    ) -> tuple[str, dict[int, str] | None]:
        """A job and what it holds already, by first row; None if it is complete."""
        lane = facts.lane(campaign)
        if key is None:
            return self.jobs.open(facts.name, campaign, lane, operation), {}
        hidden = _hidden(facts, campaign, operation, key)
        job = self.jobs.keyed(hidden)
        fields = self.jobs.fields(job)
        if "sealed" in fields:
            return job, None
        if fields and job not in self._given_up and self.jobs.has_producer(fields):
            raise WrongUse(
                f"idempotency_key: another producer is at work with this key (job {job}), or was a minute ago; "
                "wait for it"
            )
        self.jobs.open(facts.name, campaign, lane, operation, job=job, key=hidden)
        return job, {int(ticket.rsplit("-", 2)[1]): ticket for ticket in self.jobs.batches(job)}

    def _submit(self, ticket: Ticket) -> None:
        _, call = self.lanes.submit(ticket)
        if call:
            self._publish(call)

    def _close(self, job: str, intake: Intake) -> None:
        self.jobs.note_uncarried(job, intake.uncarried)
        self.lanes.seal(job)

    @contextmanager
    def _renewed(self, job: str) -> Iterator[None]:
        """While rows are read, say now and then that the job's producer is there; if they break off, that it is not."""
        done = threading.Event()
        self._given_up.discard(job)

        def renew() -> None:
            while not done.wait(RENEW_S):
                try:
                    self.jobs.renew(job)
                except Exception:  # noqa: BLE001, S112  the next batch says what is wrong with Redis
                    continue

        threading.Thread(target=renew, name="leadlane-renew", daemon=True).start()
        try:
            yield
        except BaseException:
            done.set()
            self._given_up.add(job)
            try:
                self.jobs.give_up(job)
            except redis.RedisError:
                pass  # others have to wait until it has not been heard of for a while
            raise
        finally:
            done.set()
