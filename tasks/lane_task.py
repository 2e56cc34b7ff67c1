"""The base of tasks that go through a lane."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

import structlog
from celery import Signature, states
from celery.exceptions import Ignore, Reject, Retry
from kombu.utils.json import dumps, loads

from leadlane.schemas.errors import DeadLetter, WrongUse
from leadlane.workers import finishing, turn
from leadlane.workers.calling import CALL_HEADER, LINKS_HEADER
from leadlane.workers.engine import Engine, ShuttingDownError
from leadlane.workers.loopback import BEGINS_HEADER, HERE_HEADER
from leadlane.workers.redaction import SafeTask
from leadlane.workers.runtime import WorkerApp
from leadlane.workers.vault import KeyMissingError

log = structlog.get_logger(__name__)


class LaneTask(SafeTask):
    """A task that takes the turn of its ticket when it has come, and parks otherwise.

    Parked means: the task ends in state RETRY without a message; the lane publishes it again under the same
    id when it is its turn.
    """

    abstract = True

    @property
    def engine(self) -> Engine:
        """The engine of this worker process."""
        return cast(WorkerApp, self.app).engine

    def ticket_of(self, batch: str | None) -> str:
        """The ticket a task is about: its own, or the one it brings, which must not be another task's at work.

        Raises WrongUse.
        """
        own = str(self.request.id)
        ticket = batch or own
        if ticket != own and self.engine.patiently(lambda: self.engine.jobs.is_under_way(ticket)):
            raise WrongUse(f"batch: '{ticket}' is under way; wait for the task of that id")
        return ticket

    def not_for_ever(self) -> None:
        """Raises DeadLetter if its message has come back too often: whoever works on it seems to die of it."""
        engine = self.engine
        if (self.request.delivery_info or {}).get("redelivered"):
            times = engine.patiently(lambda: engine.lanes.came_back(str(self.request.id)))
            if times >= engine.settings.max_attempts:
                raise DeadLetter(f"too_many_attempts: {times} workers ended or gave up before it was stored")

    def said(self) -> str:
        """What its message asks for, as a digest; '' if that is nothing that can be told."""
        try:
            return hashlib.blake2b(
                dumps(self.request.kwargs, sort_keys=True).encode(), digest_size=8
            ).hexdigest()
        except (TypeError, ValueError, RecursionError):
            return ""

    def same_as(self, stored: Mapping[str, str]) -> None:
        """Raises Reject if the ticket that is stored under its id was made by a task that asked for something else.

        Nothing is written: the id is that one's, and so is the result.
        """
        before, now = stored.get("said"), self.said()
        if before and now and before != now:
            log.error("task refused, its id was used before for something else", task=self.name)
            raise Reject("its id was used before for something else", requeue=False)

    def park(self) -> NoReturn:
        """Leave the ticket to its lane, which calls it when its turn has come. Raises Retry."""
        self.engine.wake(0.0, True)
        raise Retry("parked")

    def take_turn(self, ticket: str, *, account: str, operation: str) -> Mapping[str, object]:
        """The result of the ticket, if its turn is granted and ends it, or if it has one already.

        Raises Retry (parked), Ignore (a twin of it is at work), DeadLetter.
        """
        if early := self.request.get(BEGINS_HEADER):
            self.engine.sleep(max(early - time.monotonic(), 0.0))
        try:
            end = turn.take(
                self.engine,
                ticket,
                account_name=account,
                operation_name=operation,
                number=int(self.request.get(CALL_HEADER) or 0),
                here=bool(self.request.get(HERE_HEADER)),
            )
        except ShuttingDownError:
            raise Reject("redis is away and this worker stops", requeue=True) from None
        except turn.BrokenOffError:
            raise Reject("the turn broke off", requeue=True) from None
        if end.verdict == "parked":
            self.park()
        if end.verdict == "elsewhere":
            raise Ignore
        if end.verdict == "unknown":
            raise DeadLetter("unknown_ticket: it is no longer kept, or never was")
        self._tell_once(ticket, known=end.result is None)
        if end.verdict == "dead":
            raise DeadLetter(end.detail)
        return end.result or self._outcome(ticket)

    def _tell_once(self, ticket: str, *, known: bool) -> None:
        """Go on only if this end of the ticket is the first: what is linked to the task runs once.

        ``known`` says that the end may have been told before: it came about elsewhere, or a dead ticket was
        tried again. Then only the record is written. Raises Ignore.
        """
        engine, jobs, request = self.engine, self.engine.jobs, self.request
        stored_links = bool(request.get(LINKS_HEADER))
        linked = stored_links or any(getattr(request, name) for name in _LINKS)
        if ticket != request.id or not (known or linked):
            return  # a task that asks for the batch of another has nothing linked to it by a lane
        fields = engine.patiently(lambda: jobs.ticket(ticket))
        told = self.app.backend.get_state(ticket) in states.READY_STATES
        if told or request.get(HERE_HEADER) or fields.get("end") in finishing.REVOKED:
            engine.patiently(lambda: finishing.write(self.app, jobs, [ticket], hostname=request.hostname))
            raise Ignore
        if linked and not engine.patiently(lambda: jobs.first_to_tell(ticket)):
            raise Ignore
        if stored_links:
            try:
                links = engine.patiently(lambda: jobs.links(ticket))
            except KeyMissingError as missing:
                raise Reject(str(missing), requeue=True) from None  # its message is for another worker
            request.update(loads(links) if links else {})

    def _outcome(self, ticket: str) -> Mapping[str, object]:
        jobs = self.engine.jobs
        return self.engine.patiently(lambda: finishing.outcome(jobs, ticket, jobs.ticket(ticket)))

    def parked_form(self, kwargs: Mapping[str, Any]) -> tuple[str, str, int | None]:
        """This task as the lane stores it, with these kwargs (no leads in them).

        Its signature as JSON; what waits for its end as JSON, or ''; ms until it expires, if it does.
        """
        request = self.request
        signature: Signature[Any] = self.signature_from_request(request, args=(), kwargs=dict(kwargs))
        options = signature.options
        expires = options.pop("expires", None)
        for name in ("eta", "countdown", "queue", "exchange", "routing_key", "delivery_info", *_LINK_OPTIONS):
            options.pop(name, None)
        links = {name: found for name in _LINKS if (found := getattr(request, name))}
        if links:
            options["headers"] = {**(options.get("headers") or {}), LINKS_HEADER: 1}
            links |= {"group": request.group, "group_index": request.group_index}
        return dumps(signature), dumps(links) if links else "", _ms_until(expires)


# What waits for a task, as its request and as the options of a signature call it.
_LINKS = ("callbacks", "errbacks", "chain", "chord")
_LINK_OPTIONS = ("link", "link_error", "chain", "chord")


def _ms_until(expires: object) -> int | None:
    if expires is None:
        return None
    moment = datetime.fromisoformat(expires) if isinstance(expires, str) else expires
    if not isinstance(moment, datetime):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(int((moment - datetime.now(UTC)).total_seconds() * 1000), 0)
