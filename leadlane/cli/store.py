"""The lanes of the fleet that the settings name, for commands that look and operate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from leadlane.workers.accounts import Facts
    from leadlane.workers.lanes import Lanes

BY_AN_OPERATOR: Final = "by an operator"
"""The reason of a hold for which none is given."""


def open_lanes() -> Lanes:
    """Lanes behind an open connection; raises SettingsError, Unreachable."""
    from leadlane.reaching import reaching_redis
    from leadlane.schemas.settings import load_settings
    from leadlane.workers.lanes import Lanes

    settings = load_settings()
    return reaching_redis(lambda: Lanes.of(settings))


def lane_of(store: Lanes, address: str, kind: str) -> tuple[Facts, str]:
    """The lane of a campaign, with its account; raises BadCampaign, UnknownAccount, Unreachable."""
    from leadlane.reaching import reaching_redis
    from leadlane.schemas.addresses import CampaignAddress
    from leadlane.workers.accounts import canonical, read_facts

    parsed = CampaignAddress.parse(address)
    facts = reaching_redis(lambda: read_facts(store, parsed.account))
    return facts, facts.lane(canonical(facts, parsed), kind)
