"""Campaign states: ``leadlane.campaigns.start``, ``.pause`` and ``.stop``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leadlane.schemas.commands import CampaignCommand, load_state_command
from leadlane.schemas.errors import WrongUse
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers import commands
from leadlane.workers.accounts import canonical, read_facts
from leadlane.workers.providers.contract import STATE_WORDS


def bring(
    self: LaneTask, operation: str, command: CampaignCommand, asked: Mapping[str, Any]
) -> Mapping[str, object]:
    """Bring a command to its campaign: its fate.

    A by-name task enters the lane when it is first received; a called one brings ``batch``, its ticket.
    """
    own, engine = str(self.request.id), self.engine
    ticket = command.batch or own
    if ticket != own and engine.patiently(lambda: engine.jobs.is_under_way(ticket)):
        raise WrongUse(f"batch: '{ticket}' is under way; wait for the task of that id")
    if command.batch is None and not engine.patiently(lambda: engine.jobs.ticket(ticket)):
        engine.patiently(lambda: enter(self, operation, command, asked))
    return self.take_turn(ticket, account=command.campaign.account, operation=operation)


def enter(self: LaneTask, operation: str, command: CampaignCommand, asked: Mapping[str, Any]) -> None:
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
        asked,
        id=own,
        seq=command.seq or 0 if operation in STATE_WORDS else None,
        signature=signature,
        links=links,
        expires_in_ms=expires_in_ms,
    )
    engine.jobs.open(facts.name, campaign, ticket.lane, operation, job=ticket.job)
    engine.lanes.submit(ticket, may_call=False)


def start(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Start a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "start", load_state_command(kwargs), {})


def pause(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Pause a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "pause", load_state_command(kwargs), {})


def stop(self: LaneTask, /, *_: object, **kwargs: object) -> Mapping[str, object]:
    """Stop a campaign. One positional value, a chain's, is ignored."""
    return bring(self, "stop", load_state_command(kwargs), {})


TASKS = (
    TaskBody("leadlane.campaigns.start", start, LaneTask),
    TaskBody("leadlane.campaigns.pause", pause, LaneTask),
    TaskBody("leadlane.campaigns.stop", stop, LaneTask),
)
