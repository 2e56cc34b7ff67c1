"""Intake: rows of any form become batches that can be stored, one after another, lazily.

Each lead is checked once, brought into the provider's wire form once and compressed; what is wrong with a row
is told with its index and never stops the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from leadlane.schemas.leads import Clean, Invalid, clean
from leadlane.schemas.wire import encoded
from leadlane.workers import payloads
from leadlane.workers.accounts import Facts
from leadlane.workers.lanes import ADDING, Class, Ticket
from leadlane.workers.optouts import suppress
from leadlane.workers.providers import Operation

BATCH = 1000
"""Leads of one batch at most, for every provider."""
REMEMBERED = 2_000_000
"""Numbers of a job that are remembered to find duplicates; beyond it they are found within a batch."""
OPTED_OUT = "do_not_call is true: not sent, nor any later row of this number"
CANNOT_REQUEUE = "mark_as_unanswered: only updates, and not at every dialer, re-queue a lead; leave it out"
TWIN = "the same number came earlier in this job"


@dataclass(slots=True)
class Seen:
    """The numbers of a job so far. About 60 bytes each."""

    numbers: set[int] = field(default_factory=set)

    def again(self, digits: str) -> bool:
        """Whether the number came before; remembers it."""
        number = int(digits)
        if number in self.numbers:
            return True
        if len(self.numbers) < REMEMBERED:
            self.numbers.add(number)
        return False


@dataclass(slots=True)
class Draft:
    """A batch that is being filled: rows in order, of which ``size`` are to be sent.

    ``opted_out`` are the numbers, in digits, whose rows say do_not_call.
    """

    start: int
    numbers: list[str] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    why: dict[int, str] = field(default_factory=dict)
    size: int = 0
    opted_out: list[str] = field(default_factory=list)

    def tell(self, number: str, code: str, reason: str) -> None:
        """A row that is not sent, and why."""
        self.why[len(self.numbers)] = reason
        self.numbers.append(" ".join(number.split()))
        self.wires.append("")
        self.codes.append(code)

    def take(self, digits: str, wire: str) -> None:
        """A lead to send."""
        self.numbers.append(digits)
        self.wires.append(wire)
        self.codes.append(".")
        self.size += 1

    @property
    def full(self) -> bool:
        """Whether it holds a call's worth of leads, or of complaints."""
        return self.size >= BATCH or len(self.numbers) >= 2 * BATCH


class Intake:
    """Turns the rows of one job into drafts; notes on the way which fields the dialer cannot carry."""

    def __init__(self, facts: Facts, operation_name: str) -> None:
        self.facts = facts
        self.operation: Operation = facts.operation(operation_name)
        self.operation_name = operation_name
        self.rows = 0
        self.uncarried: set[str] = set()
        self._seen = Seen()
        self._silent: set[str] = set()

    def drafts(
        self, rows: Iterable[object], cuts: Mapping[int, int] = MappingProxyType({})
    ) -> Iterator[Draft]:
        """Full drafts, and the rest. What ``rows`` raises goes through, after the rest of what it gave.

        ``cuts`` has, by first row, the rows of batches that were stored before: those are cut as they were,
        since one that its producer broke off is shorter.
        """
        draft = Draft(0)
        try:
            for row in clean(rows, region=self.facts.region, phone_check=self.facts.phone_check):
                self._add(draft, row)
                self.rows = row.index + 1
                if draft.full or len(draft.numbers) == cuts.get(draft.start):
                    yield draft
                    draft = Draft(self.rows)
        except Exception as exc:
            if draft.numbers:
                yield draft
            raise exc from None
        if draft.numbers:
            yield draft

    @staticmethod
    def empty() -> Draft:
        """A batch of no rows."""
        return Draft(0)

    def _add(self, draft: Draft, row: Clean | Invalid) -> None:
        if isinstance(row, Invalid):
            draft.tell(row.phone, "i", row.problems)
        elif self._opted_out(draft, row):
            draft.tell(f"+{row.digits}", "s", OPTED_OUT)
        elif self.operation_name in ADDING and self._seen.again(row.digits):
            draft.tell(f"+{row.digits}", "d", TWIN)
        elif reason := self._unable(row.lead) or self.operation.refuses(row.lead):
            draft.tell(f"+{row.digits}", "i", reason)
        else:
            if self.operation_name != "remove":
                self.uncarried.update(row.lead.keys() - self.operation.carries)
            draft.take(row.digits, encoded(self.operation.wire(row.lead)))

    def _unable(self, lead: dict[str, Any]) -> str:
        """Why the lead cannot be sent if what it asks for is more than a field that may be left out."""
        if self.operation_name == "remove" or "mark_as_unanswered" in self.operation.carries:
            return ""
        return CANNOT_REQUEUE if lead.pop("mark_as_unanswered", False) else ""

    def _opted_out(self, draft: Draft, row: Clean) -> bool:
        """Whether the row is not to be sent since it, or one of the same number before it, says do_not_call.

        An update in which the dialer itself is told so goes.
        """
        if self.operation_name == "remove":
            return False  # the lead goes from the dialer anyway
        if row.lead.pop("do_not_call", False):
            self._silent.add(row.digits)
            draft.opted_out.append(row.digits)
            opt_out = self.facts.dialer.opt_out
            if opt_out and opt_out.operation == self.operation_name:
                row.lead.update(opt_out.fields)
                return False
        return row.digits in self._silent

    def opt_out(self, draft: Draft, ticket: Ticket) -> Ticket | None:
        """What the rows of the draft say of opt-outs, to be stored before its own ticket; None if nothing."""
        if not draft.opted_out:
            return None
        scope = self.facts.scope(self.facts.suppress_scope, ticket.campaign)
        return suppress(scope, draft.opted_out, source=ticket.job, id=f"{ticket.id}-optout")

    def _company(self, draft: Draft, ticket: str, on_duplicate: str) -> str:
        """What must be equal in batches that share a call.

        Which rows of a batch travel must follow from the batch alone: after a crash they are found again by the
        same choice. So one whose rows cannot all share a call has no company.
        """
        if on_duplicate == "update" and self.operation_name == "import":
            return "update"
        wires = [wire for wire in draft.wires if wire]
        kinds = {self.operation.apart(wire) for wire in wires} or {""}
        return kinds.pop() if len(kinds) == 1 and self.operation.fits is len else f"alone {ticket}"

    def ticket(
        self,
        draft: Draft,
        *,
        job: str,
        campaign: str,
        priority: Class,
        id: str | None = None,  # noqa: A002  the ticket's own word
        on_duplicate: str = "keep",
        expires_in_ms: int | None = None,
        signature: str = "",
        links: str = "",
        piece_of: str = "",
        cut_into: int = 0,
        said: str = "",
    ) -> Ticket:
        """The draft as a ticket; its id is job, place and a digest of its content unless one is given."""
        batch = payloads.Batch.of(draft.start, self.operation_name, draft.numbers, draft.wires, links)
        if id is None:
            content = "\n".join((*draft.numbers, *draft.wires)).encode(errors="surrogatepass")
            id = f"{job}-{draft.start}-{hashlib.blake2b(content, digest_size=6).hexdigest()}"  # noqa: A001
        return Ticket(
            id=id,
            lane=self.facts.lane(campaign),
            address={"campaign": campaign, "provider": self.facts.provider, "base_url": self.facts.base_url},
            account=self.facts.name,
            operation=self.operation_name,
            campaign=campaign,
            job=job,
            payload=payloads.pack(batch),
            n=len(draft.numbers),
            size=draft.size,
            priority=priority,
            codes="".join(draft.codes) if draft.why else "",
            why=draft.why,
            options=self._company(draft, id, on_duplicate),
            expires_in_ms=expires_in_ms,
            signature=signature,
            linked=bool(links),
            piece_of=piece_of,
            cut_into=cut_into,
            said=said,
        )


def own_ticket(
    facts: Facts,
    operation: str,
    campaign: str,
    batch: payloads.Batch,
    *,
    id: str,  # noqa: A002  the ticket's own word
    job: str,
    lane: str,
    codes: str = "",
    why: Mapping[int | str, str] = MappingProxyType({}),
    undoes: str = "",
    front: bool = False,
) -> Ticket:
    """What the fleet itself has to tell a dialer of leads, as a ticket."""
    return Ticket(
        id=id,
        lane=lane,
        address={"campaign": campaign, "provider": facts.provider, "base_url": facts.base_url},
        account=facts.name,
        operation=operation,
        campaign=campaign,
        job=job,
        payload=payloads.pack(batch),
        n=len(batch.numbers),
        size=len(batch.numbers) - codes.count("f"),
        codes=codes,
        why=why,
        undoes=undoes,
        front=front,
    )
