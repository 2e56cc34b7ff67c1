"""How a producer's rows get into a lane: one job, its batches one after another, sealed at the end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal
from uuid import uuid4

import redis
from celery import Celery

from leadlane.asking import ask
from leadlane.keys import Said, checked, hidden
from leadlane.reaching import reaching_redis
from leadlane.room import OnFull, heed, wait_for_room
from leadlane.schemas.commands import LeadCommand
from leadlane.schemas.errors import (
    ImportInterrupted,
    LaneFull,
    LeadlaneError,
    UnknownAccount,
    Unreachable,
    WrongUse,
)
from leadlane.schemas.settings import Settings
from leadlane.workers import commands
from leadlane.workers.accounts import Facts, publish_facts, read_facts
from leadlane.workers.celery_app import make_app
from leadlane.workers.intake import Draft, Intake
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes, NoRoomError, TakenOverError, Ticket
from leadlane.workers.providers.contract import STATE_WORDS
from leadlane.workers.runtime import publisher

RENEW_S = 20.0
"""How often an open job says that its producer is there."""
REMEMBERED = 200
"""Batches that a producer keeps in memory until its job is sealed, should Redis lose them in a failover; some 5 MB."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What an idempotency key stands for: its job, rows stored so far, and when it began (ms since 1970)."""

    job: str
    state: Literal["new", "at work", "broken off", "complete"]
    rows: int = 0
    began_ms: int = 0


class _Bringing:
    """Brings the batches of one job into its lane, and remembers the last of them."""

    def __init__(self, producer: Producer, job: str, me: str, told: Callable[[LaneFull], object]) -> None:
        self._producer, self._job, self._me, self._told = producer, job, me, told
        self._said: deque[tuple[Ticket, int]] = deque(maxlen=REMEMBERED)

    def put(self, ticket: Ticket, start: int) -> None:
        """Store a batch whose first row is this, or an opt-out that comes with it. The same again changes nothing."""
        self._put(ticket, start)
        self._said.append((ticket, start))

    def put_again(self, rows: int) -> None:
        """Store what Redis has forgotten of the job. Raises Unreachable if that is more than is remembered."""
        for ticket, start in self._said:
            self._put(ticket, start)
        if not self._producer.has(self._job, rows):
            raise Unreachable(
                "Redis",
                "has lost batches that it had stored",
                "give all rows again, with the same idempotency key",
            )

    def _put(self, ticket: Ticket, start: int) -> None:
        if ticket.job != self._job:
            self._producer.enter(ticket)
            return
        while not reaching_redis(lambda: self._producer.submit(replace(ticket, by=self._me))):
            wait_for_room(self._producer.lanes, ticket, self._told, rows_stored=start)


class Producer:
    """The producer's end of the lanes of one Redis. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lanes = Lanes.of(settings)
        self.jobs = Jobs(self.lanes)
        self._app: Celery = make_app(settings)
        self._publish = publisher(self._app)
        self._given_up: dict[str, str] = {}  # open jobs whose rows broke off here, and who filled them

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
            job = self.jobs.known(hidden(f"{facts.name}/{campaign}", operation, key))
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
        self,
        facts: Facts,
        operation: str,
        rows: Iterable[object],
        command: LeadCommand,
        key: str | None,
        on_full: OnFull = "wait",
    ) -> str:
        """Store all rows as batches of one job and seal it: the job's id.

        Raises ImportInterrupted if ``rows`` raises, or a function as ``on_full``; LaneFull; WrongUse if the key is
        another producer's or was used for other rows; Unreachable.
        """
        told = heed(on_full)
        intake, me = Intake(facts, operation), uuid4().hex[:16]
        campaign = command.campaign.campaign
        self._check_keys()
        job, stored = reaching_redis(lambda: self._open(facts, campaign, operation, key, me))
        if stored is None:
            return job
        expires_in_ms = None if command.expires_in is None else int(command.expires_in * 1000)
        bringing = _Bringing(self, job, me, told)

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
                raise _other_rows(job, draft.start)
            for one in filter(None, (intake.opt_out(draft, ticket), ticket)):
                bringing.put(one, draft.start)

        taken = 0
        with self._renewed(job, me):
            try:
                rows_of = reaching_redis(lambda: self.jobs.rows_of(list(stored.values())))
                for draft in intake.drafts(
                    rows, {start: rows_of[ticket] for start, ticket in stored.items()}
                ):
                    submit(draft)
                    taken = draft.start + len(draft.numbers)
                if not self.has(job, intake.rows):
                    reaching_redis(lambda: self._open(facts, campaign, operation, key, me, job))
                    bringing.put_again(intake.rows)
                reaching_redis(lambda: self._close(job, me if key else "", intake, stored))
            except LaneFull:
                raise
            except LeadlaneError as exc:
                exc.add_note(f"job {job}: {intake.rows} rows were taken; what was stored is kept")
                raise
            except Exception as exc:
                raise ImportInterrupted(job, taken) from exc
        return job

    def command(
        self,
        facts: Facts,
        operation: str,
        campaign: str,
        asked: Mapping[str, Any],
        *,
        after: str = "",
        key: str | None = None,
    ) -> str:
        """Put a command into its lane: its id. ``after`` is the job whose end it waits for."""
        content = {"user_ids": sorted(asked.get("agents", ())), "after": after}
        said = self.said(f"{facts.name}/{campaign}", operation, key, content)
        ticket = commands.ticket(
            facts,
            operation,
            campaign,
            asked,
            id=self.id_of(said),
            seq=0 if operation in STATE_WORDS else None,
            after=after,
        )
        return self.enter(ticket, said)

    @staticmethod
    def said(where: str, operation: str, key: str | None, content: Mapping[str, object]) -> Said | None:
        """What is said under an idempotency key, if there is one. Raises WrongUse."""
        return None if key is None else Said.of(where, operation, checked(key), content)

    def id_of(self, said: Said | None) -> str:
        """The id of a command: its key's, or a new one."""
        return uuid4().hex[:16] if said is None else reaching_redis(lambda: self.jobs.keyed(said.key))

    def enter(self, ticket: Ticket, said: Said | None = None) -> str:
        """Put a ticket that is all of its job into its lane: its id. One whose key was given before is there already.

        Raises WrongUse if something else was said under the key.
        """
        self._check_keys()
        if said is None:
            call = reaching_redis(lambda: self.jobs.enter(ticket))
        else:
            call = None
            # Only looked at where it is there: what is stored anew, or sealed again, would live longer than it.
            if not reaching_redis(lambda: self.jobs.ticket(ticket.id)):
                keyed = replace(ticket, said=said.digests)
                call = reaching_redis(lambda: self.jobs.enter(keyed, key=said.key))
            said.check(reaching_redis(lambda: self.jobs.ticket(ticket.id)).get("said", ""), ticket.id)
        if call:
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
        self, facts: Facts, campaign: str, operation: str, key: str | None, me: str, job: str = ""
    ) -> tuple[str, dict[int, str] | None]:
        """A job and what it holds already, by first row; None if it is complete. ``job`` is one of ours again."""
        lane = facts.lane(campaign)
        if key is None:
            return self.jobs.open(facts.name, campaign, lane, operation, job=job, by=me), {}
        stored = hidden(f"{facts.name}/{campaign}", operation, checked(key))
        keyed = self.jobs.keyed(stored)
        job = job or keyed
        answer = self.jobs.claim(job, me, before=self._given_up.get(job, ""))
        if answer == "sealed":
            return job, None
        if answer == "busy":
            raise WrongUse(
                f"idempotency_key: another producer is at work with this key (job {job}), or was a minute ago; "
                "wait for it"
            )
        self.jobs.open(facts.name, campaign, lane, operation, job=job, key=stored)
        return job, {int(ticket.rsplit("-", 2)[1]): ticket for ticket in self.jobs.batches(job)}

    def submit(self, ticket: Ticket) -> bool:
        """Whether there was room for it."""
        try:
            _, call = self.lanes.submit(ticket, bounded=True)
        except TakenOverError:
            raise _taken_over(ticket.job) from None
        except NoRoomError:
            return False
        if call:
            self._publish(call)
        return True

    def has(self, job: str, rows: int) -> bool:
        """Whether Redis holds all rows of the job: a failover may have lost the last of them, and the job with them."""
        return int(reaching_redis(lambda: self.jobs.fields(job)).get("leads", 0)) >= rows

    def _close(self, job: str, me: str, intake: Intake, stored: Iterable[int]) -> None:
        if beyond := [start for start in stored if start >= intake.rows]:
            raise _other_rows(job, min(beyond))
        if me and self.lanes.claim(job, me, "renew") != "ours":  # without a key nobody else finds the job
            raise _taken_over(job)
        self.jobs.note_uncarried(job, intake.uncarried)
        self.lanes.seal(job)

    @contextmanager
    def _renewed(self, job: str, me: str) -> Iterator[None]:
        """While rows are read, say now and then that the job's producer is there; if they break off, that it is not."""
        done = threading.Event()
        self._given_up.pop(job, None)

        def renew() -> None:
            while not done.wait(RENEW_S):
                try:
                    self.lanes.claim(job, me, "renew")
                except Exception:  # noqa: BLE001, S112  the next batch says what is wrong with Redis
                    continue

        threading.Thread(target=renew, name="leadlane-renew", daemon=True).start()
        try:
            yield
        except BaseException:
            done.set()
            self._given_up[job] = me
            try:
                self.lanes.claim(job, me, "leave")
            except redis.RedisError:
                pass  # others have to wait until it has not been heard of for a while
            raise
        finally:
            done.set()


def _other_rows(job: str, start: int) -> WrongUse:
    return WrongUse(
        f"idempotency_key: rows from {start} on differ from those stored under this key before (job {job}); "
        "use another key for other rows"
    )


def _taken_over(job: str) -> WrongUse:
    return WrongUse(
        f"idempotency_key: another producer has taken job {job} over, since nothing was heard of this one for a "
        "minute; wait for it"
    )
