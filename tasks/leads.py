"""Lead batches: ``leadlane.leads.import``, ``.upload``, ``.update`` and ``.remove``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadlane.schemas.commands import LeadCommand, load_lead_command
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers.accounts import canonical, read_facts
from leadlane.workers.intake import Intake


def push(self: LaneTask, operation: str, kwargs: Mapping[str, Any]) -> Mapping[str, object]:
    """Bring a batch of leads to its campaign: counts per outcome, never a number.

    ``leads`` may be given inline (a producer without this package); they are checked, stored and put into the
    lane first. A called task brings ``batch``, the id of what is stored.
    """
    command = load_lead_command(kwargs)
    ticket = self.ticket_of(command.batch)
    if command.leads is not None:
        stored = self.engine.patiently(lambda: self.engine.jobs.ticket(ticket))
        if stored:
            self.same_as(stored)
        else:
            self.not_for_ever()
            self.engine.patiently(lambda: store(self, operation, command))
        # Also when it comes again: the worker may have died between the two.
        self.engine.patiently(lambda: self.engine.lanes.seal(command.job or ticket))
        if not stored and not self.engine.has_place():
            self.park()  # this thread is for intake
    return self.take_turn(ticket, account=command.campaign.account, operation=operation)


def store(self: LaneTask, operation: str, command: LeadCommand) -> None:
    """Put the leads of a by-name task into the lane, cut into batches; the task's own ticket is the last.

    May be repeated: a batch that is stored already stays as it is.
    """
    engine, own = self.engine, str(self.request.id)
    facts = read_facts(engine.lanes, command.campaign.account)
    facts.check(operation, command.on_duplicate)
    campaign = canonical(facts, command.campaign)
    intake = Intake(facts, operation)
    drafts = list(intake.drafts(command.leads or [])) or [intake.empty()]
    job = engine.jobs.open(facts.name, campaign, facts.lane(campaign), operation, job=command.job or own)
    parked = {"campaign": str(command.campaign), "batch": own, "job": job, "priority": command.priority}
    signature, links, expires_in_ms = self.parked_form(parked)
    if command.expires_in is not None:
        own_ms = int(command.expires_in * 1000)
        expires_in_ms = own_ms if expires_in_ms is None else min(own_ms, expires_in_ms)
    if len(drafts) > 1:
        engine.lanes.expect_pieces(own, len(drafts) - 1)
    for i, draft in enumerate(drafts, 1):
        last = i == len(drafts)
        ticket = intake.ticket(
            draft,
            id=own if last else f"{own}.{i}",
            job=job,
            campaign=campaign,
            priority=command.priority,
            on_duplicate=command.on_duplicate,
            expires_in_ms=expires_in_ms,
            signature=signature if last else "",
            links=links if last else "",
            piece_of="" if last else own,
            cut_into=len(drafts) - 1 if last else 0,
            said=self.said() if last else "",
        )
        if opt_out := intake.opt_out(draft, ticket):
            engine.jobs.enter(opt_out, may_call=False)
            engine.wake(0.0, True)
        engine.lanes.submit(ticket, may_call=False)
    engine.jobs.note_uncarried(job, intake.uncarried)
    if len(drafts) > 1:
        engine.wake(0.0, True)  # one batch alone tries its turn itself


def import_leads(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Import one batch of leads. One positional value, a chain's, is ignored."""
    return push(self, "import", kwargs)


def upload_leads(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Import one batch of leads as a file. One positional value, a chain's, is ignored."""
    return push(self, "upload", kwargs)


def update_leads(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Update one batch of leads. One positional value, a chain's, is ignored."""
    return push(self, "update", kwargs)


def remove_leads(self: LaneTask, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Remove one batch of leads. One positional value, a chain's, is ignored."""
    return push(self, "remove", kwargs)


TASKS = (
    TaskBody("leadlane.leads.import", import_leads, LaneTask),
    TaskBody("leadlane.leads.upload", upload_leads, LaneTask),
    TaskBody("leadlane.leads.update", update_leads, LaneTask),
    TaskBody("leadlane.leads.remove", remove_leads, LaneTask),
)
