"""What waits for a person: leads of which nobody knows whether they arrived, and batches given up as dead."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from leadlane.schemas.outcomes import Outcome
from leadlane.workers.jobs import Jobs

WORDS = {
    "delivered": "settled by hand: it did arrive",
    "discard": "settled by hand: given up, whether it arrived or not",
    "resend": "",
}
"""The reasons that a report gives for leads settled so."""

Resolution = Literal["delivered", "discard", "resend"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which of them are meant; what is empty leaves all.

    ``campaign`` is an address ``ACCOUNT/ID``; ``reason`` a part of the reason, in any case; ``older_than_s`` seconds
    since it came about.
    """

    account: str = ""
    campaign: str = ""
    job: str = ""
    reason: str = ""
    older_than_s: float = 0.0

    def admits(self, campaign: str, job: str) -> bool:
        """Whether a batch of this campaign address and job is meant."""
        return (
            self.account in ("", campaign.partition("/")[0])
            and self.campaign in ("", campaign)
            and self.job in ("", job)
        )

    def admits_reason(self, reason: str) -> bool:
        """Whether one with this reason is meant."""
        return self.reason.casefold() in reason.casefold()


@dataclass(frozen=True, slots=True)
class UncertainLead:
    """One lead that was sent without answer; ``row`` is its place in the batch, ``index`` that in the job."""

    job: str
    index: int
    phone_number: str
    campaign: str
    operation: str
    since_ms: int
    reason: str
    batch: str
    row: int


@dataclass(frozen=True, slots=True)
class DeadBatch:
    """A batch that will not be tried again by itself; ``leads`` counts those that have no outcome."""

    batch: str
    job: str
    campaign: str
    operation: str
    leads: int
    attempts: int
    since_ms: int
    reason: str


class Unsettled:
    """The uncertain leads and dead batches of one Redis, and what a person does with them."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs
        self.lanes = jobs.lanes

    def uncertain(self, wanted: Filter) -> Iterator[UncertainLead]:
        """The uncertain leads that are meant, those of the oldest batch first."""
        for batch, since_ms, fields in self._tickets("uncertain", wanted):
            for row, lead in enumerate(self.jobs.rows(batch)):
                if lead.outcome == Outcome.UNCERTAIN and wanted.admits_reason(lead.reason):
                    yield UncertainLead(
                        job=fields["job"],
                        index=lead.index,
                        phone_number=lead.phone_number.removesuffix("+"),  # a command has none
                        campaign=_campaign(fields),
                        operation=fields["op"],
                        since_ms=since_ms,
                        reason=lead.reason,
                        batch=batch,
                        row=row,
                    )

    def dead(self, wanted: Filter) -> Iterator[DeadBatch]:
        """The dead batches that are meant, the oldest first."""
        for batch, since_ms, fields in self._tickets("dead", wanted):
            if wanted.admits_reason(reason := fields.get("reason", "")):
                yield DeadBatch(
                    batch=batch,
                    job=fields["job"],
                    campaign=_campaign(fields),
                    operation=fields["op"],
                    leads=int(fields.get("pending", 0)),
                    attempts=int(fields.get("attempts", 0)),
                    since_ms=since_ms,
                    reason=reason,
                )

    def resolve(self, leads: Iterable[UncertainLead], act: Resolution) -> dict[str, int]:
        """Settle these leads, or have them sent again: how many ``settled``, and how many were not and why.

        ``aboard``: a turn is at work on their batch, later it can be sent again; ``lost``: the batch's payload is
        gone; ``changed``: it has an outcome meanwhile.
        """
        answers: dict[str, int] = {}
        for batch, group in groupby(leads, key=lambda lead: lead.batch):
            rows = [lead.row for lead in group]
            answer, n = self.lanes.resolve(batch, act, WORDS[act], rows)
            if answer == "settled":
                _count(answers, answer, n)
                _count(answers, "changed", len(rows) - n)
            else:
                _count(answers, answer if answer != "unknown" else "changed", len(rows))
        return answers

    def settle_dead(self, batches: Iterable[DeadBatch], act: Literal["retry", "discard"]) -> dict[str, int]:
        """Have these batches tried again, or give them up: how many ``settled``, and how many not and why."""
        answers: dict[str, int] = {}
        for one in batches:
            answer, _ = self.lanes.dead(one.batch, act)
            _count(answers, answer if answer in ("settled", "lost") else "changed", 1)
        return answers

    def _tickets(
        self, index: Literal["uncertain", "dead"], wanted: Filter
    ) -> Iterator[tuple[str, int, dict[str, str]]]:
        """Ids, moments and fields of the tickets of an index that are meant."""
        latest = self.jobs.now_ms() - wanted.older_than_s * 1000 if wanted.older_than_s else "+inf"
        # All names at once: what is settled leaves the index while it is being read.
        found: list[tuple[bytes, float]] = self.lanes.client.zrangebyscore(
            self.lanes.key(index), "-inf", latest, withscores=True
        )  # type: ignore[assignment]
        for name, since_ms in found:
            fields = self.jobs.ticket(name.decode())
            if fields and wanted.admits(_campaign(fields), fields["job"]):
                yield name.decode(), int(since_ms), fields


def _campaign(fields: dict[str, str]) -> str:
    return f"{fields['acct']}/{fields['campaign']}"


def _count(answers: dict[str, int], answer: str, n: int) -> None:
    if n:
        answers[answer] = answers.get(answer, 0) + n
