"""What tasks about a campaign's state and about its agents share: the way of a command into its lane and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from leadlane.schemas.commands import CampaignCommand
from leadlane.tasks.lane_task import LaneTask
from leadlane.workers import commands
from leadlane.workers.accounts import Facts, canonical, read_facts
from leadlane.workers.providers.contract import STATE_WORDS

Asked = Callable[[Facts], Mapping[str, Any]]


def bring(
    self: LaneTask, operation: str, command: CampaignCommand, asked: Asked = lambda _: {}
) -> Mapping[str, object]:
    """Bring a command to its campaign: its fate.

    A by-name task enters the lane when it is first received; a called one brings ``batch``, its ticket.
    """
    ticket, engine = self.ticket_of(command.batch), self.engine
    if command.batch is None:
        if stored := engine.patiently(lambda: engine.jobs.ticket(ticket)):
            self.same_as(stored)
        else:
            engine.patiently(lambda: enter(self, operation, command, asked))
    return self.take_turn(ticket, account=command.campaign.account, operation=operation)


def enter(self: LaneTask, operation: str, command: CampaignCommand, asked: Asked) -> None:
    """Put the command of a by-name task into its lane."""
    engine, own = self.engine, str(self.request.id)
    facts = read_facts(engine.lanes, command.campaign.account)
    facts.check(operation)
    campaign = canonical(facts, command.campaign)
    parked = {"campaign": str(command.campaign), "batch": own}
    signature, links, expires_in_ms = self.parked_form(parked)
    ticket = commands.ticket(
        facts,
        operation,
        campaign,
        asked(facts),
        id=own,
        seq=command.seq or 0 if operation in STATE_WORDS else None,
        signature=signature,
        links=links,
        expires_in_ms=expires_in_ms,
        said=self.said(),
    )
    engine.jobs.open(facts.name, campaign, ticket.lane, operation, job=ticket.job)
    engine.lanes.submit(ticket, may_call=False)
