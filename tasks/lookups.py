"""Look-ups: ``leadlane.campaigns.get``, ``leadlane.campaigns.list`` and ``leadlane.agents.list``."""

from __future__ import annotations

from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.commands import load_account_question, load_campaign_question
from leadlane.tasks.lane_task import LaneTask
from leadlane.tasks.registry import TaskBody
from leadlane.workers.accounts import canonical, read_facts
from leadlane.workers.lookups import LookUp


def get_campaign(self: LaneTask, /, *_: object, **kwargs: object) -> dict[str, str]:
    """What the dialer says of a campaign (`LookUp.status`). One positional value, a chain's, is ignored."""
    asked = load_campaign_question(kwargs)
    campaign = _checked(self, "status", asked)
    return LookUp.of(self.engine, asked.account).status(campaign)


def list_campaigns(self: LaneTask, /, *_: object, **kwargs: object) -> list[dict[str, str]]:
    """The campaigns of an account (`LookUp.campaigns`). One positional value, a chain's, is ignored."""
    account = load_account_question(kwargs)
    read_facts(self.engine.lanes, account).check("campaigns")
    return LookUp.of(self.engine, account).campaigns()


def list_agents(self: LaneTask, /, *_: object, **kwargs: object) -> list[dict[str, str]]:
    """The agents of a campaign (`LookUp.agents`). One positional value, a chain's, is ignored."""
    asked = load_campaign_question(kwargs)
    campaign = _checked(self, "agents", asked)
    return LookUp.of(self.engine, asked.account).agents(campaign)


def _checked(self: LaneTask, what: str, asked: CampaignAddress) -> str:
    """The campaign's id in its one form; raises UnsupportedOperation, BadCampaign, UnknownAccount."""
    facts = read_facts(self.engine.lanes, asked.account)
    facts.check(what)
    return canonical(facts, asked)


TASKS = (
    TaskBody("leadlane.campaigns.get", get_campaign, LaneTask),
    TaskBody("leadlane.campaigns.list", list_campaigns, LaneTask),
    TaskBody("leadlane.agents.list", list_agents, LaneTask),
)
