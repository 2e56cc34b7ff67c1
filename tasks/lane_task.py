"""The base of tasks that go through a lane."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from celery import Signature, states
from celery.exceptions import Ignore, Reject, Retry

from leadlane.schemas.errors import DeadLetter
from leadlane.workers import finishing, turn
from leadlane.workers.calling import CALL_HEADER
from leadlane.workers.engine import Engine, ShuttingDownError
from leadlane.workers.redaction import SafeTask
from leadlane.workers.runtime import WorkerApp


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

    def take_turn(self, ticket: str, *, account: str, operation: str) -> Mapping[str, object]:
        """The result of the ticket, if its turn is granted and ends it, or if it has one already.

        Raises Retry (parked), Ignore (a twin of it is at work), DeadLetter.
        """
        try:
            end = turn.take(
                self.engine,
                ticket,
                account_name=account,
                operation_name=operation,
                number=int(self.request.get(CALL_HEADER) or 0),
            )
        except ShuttingDownError:
            raise Reject("redis is away and this worker stops", requeue=True) from None
        if end.verdict == "parked":
            raise Retry("parked")
        if end.verdict == "elsewhere":
            raise Ignore
        if end.verdict == "unknown":
            raise DeadLetter("unknown_ticket: it is no longer kept, or never was")
        if end.verdict == "dead":
            raise DeadLetter(end.detail)
        if end.result is not None:
            return end.result
        return self._known_outcome(ticket)

    def _known_outcome(self, ticket: str) -> Mapping[str, object]:
        """The outcome of a ticket that ended elsewhere; told once, so that what is chained runs once."""
        if self.app.backend.get_state(ticket) in (states.SUCCESS, states.REVOKED):
            raise Ignore
        jobs = self.engine.jobs
        fields = self.engine.patiently(lambda: jobs.ticket(ticket))
        if fields.get("end") in ("cancelled", "expired"):
            self.app.backend.mark_as_revoked(ticket, fields["end"], request=self.request)
            raise Ignore
        return self.engine.patiently(lambda: finishing.outcome(jobs, ticket, fields))

    def parked_form(self, kwargs: Mapping[str, Any]) -> tuple[str, bool, int | None]:
        """This task as the lane stores it, with these kwargs (no leads in them).

        Its signature as JSON; whether other tasks wait for it; ms until it expires, if it does.
        """
        request = self.request
        signature: Signature[Any] = self.signature_from_request(request, args=(), kwargs=dict(kwargs))
        expires = signature.options.pop("expires", None)
        for name in ("eta", "countdown", "queue", "exchange", "routing_key", "delivery_info"):
            signature.options.pop(name, None)
        linked = bool(request.callbacks or request.errbacks or request.chain or request.chord)
        return json.dumps(signature), linked, _ms_until(expires)


def _ms_until(expires: object) -> int | None:
    if expires is None:
        return None
    moment = datetime.fromisoformat(expires) if isinstance(expires, str) else expires
    if not isinstance(moment, datetime):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(int((moment - datetime.now(UTC)).total_seconds() * 1000), 0)
