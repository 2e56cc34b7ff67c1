"""Voiso, API v4: https://developers.voiso.com/reference-link/addleads and
https://docs.voiso.com/v1/docs/running-an-api-campaign (1000 leads a call, one call per campaign at a time,
2 s from the end of one to the start of the next).
"""  # noqa: D205

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leadlane.schemas import voiso as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import (
    Agents,
    Endpoint,
    Listing,
    Look,
    Operation,
    OptOut,
    Page,
    Provider,
    Reading,
    States,
    TakingBack,
    always,
    array,
)

ADD_LEADS = "https://developers.voiso.com/reference-link/addleads"
GET_CAMPAIGN = "https://developers.voiso.com/reference/getcampaign"
RUNNING = "https://docs.voiso.com/v1/docs/running-an-api-campaign"
PAUSE_CAMPAIGN = "https://developers.voiso.com/reference/pausecampaign"
LIST_CAMPAIGNS = "https://developers.voiso.com/reference-link/getcampaigns"
CAMPAIGN_USERS = "https://developers.voiso.com/reference/getcampaignusers"
PAGE = 100
"""Rows of a page at most, and users of one call that adds them."""
FINAL_STATES = frozenset({"stopped", "completed", "stopping", "import_error"})


def _read(operation: wire.Operation) -> Callable[[Any, Sequence[str]], Reading]:
    def read(body: Any, sent: Sequence[str]) -> Reading:
        if outcome := wire.read_one_outcome(body, operation, sent):
            return Reading(all=CODE_OF[outcome])
        outcomes = wire.read_outcomes(body, operation)
        if outcomes is None:
            raise ValueError("no list of numbers in the answer")
        return Reading({number: CODE_OF[outcome] for number, outcome in outcomes.items()})

    return read


def _campaign_id(text: str) -> str:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise ValueError(f"{text!r} is not a Voiso campaign id; it is a whole number, e.g. 3")
    return str(int(text))


def _closed(body: Any) -> str:
    found = body.get("campaign", body) if isinstance(body, dict) else None
    campaign = found if isinstance(found, dict) else {}
    if campaign.get("live") is False:
        return "the campaign is not live"
    status = str(campaign.get("status"))
    return f"the campaign is {status}" if status in FINAL_STATES else ""


def _status(body: Any, _campaign: str) -> str:
    # The sample of a command's answer is the bare campaign, that of a look is wrapped: both are read.
    found = body.get("campaign", body) if isinstance(body, dict) else None
    status = found.get("status") if isinstance(found, dict) else None
    if not isinstance(status, str):
        raise ValueError("no status in the answer")  # noqa: TRY004  one kind of error for the engine
    return status


def _name(body: Any) -> str:
    found = body.get("campaign", body) if isinstance(body, dict) else None
    return str(found.get("name") or "") if isinstance(found, dict) else ""


def _listing(path: str, name: str, source: str) -> Listing:
    def read(body: Any, page: int) -> Page:
        rows, total = body[name], body.get("metadata", {}).get("total")
        if not (isinstance(rows, list) and all(isinstance(row, dict) and "id" in row for row in rows)):
            raise ValueError(f"no list of {name}")
        seen = page * PAGE + len(rows)
        return Page(rows, seen < total if isinstance(total, int) else len(rows) == PAGE)

    def safely(body: Any, page: int) -> Page:
        try:
            return read(body, page)
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"no list of {name} in the answer") from None

    return Listing(Endpoint("GET", path, source), lambda page: f"limit={PAGE}&offset={page * PAGE}", safely)


def _user_id(value: object) -> str:
    text = str(value)
    if isinstance(value, bool) or not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise ValueError(f"{text!r} is not a Voiso user id; it is a whole number, e.g. 42")
    return str(int(text))


def _user_ids(_campaign: str, agents: Sequence[str]) -> bytes:
    return json.dumps({"user_ids": [int(agent) for agent in agents]}).encode()


CAMPAIGN = "/api/v4/campaigns/{campaign}"
STATES = States(
    commands={
        "start": Endpoint("POST", f"{CAMPAIGN}/start", RUNNING),
        "pause": Endpoint("POST", f"{CAMPAIGN}/pause", PAUSE_CAMPAIGN),
        "stop": Endpoint("POST", f"{CAMPAIGN}/stop", RUNNING),
    },
    look=Endpoint("GET", CAMPAIGN, GET_CAMPAIGN),
    status=_status,
    reached={
        "start": frozenset({"active"}),
        "pause": frozenset({"paused", "auto_paused"}),
        "stop": frozenset({"stopped", "completed"}),
    },
    # A live campaign pauses itself while it has no leads or no agents, and goes on by itself [seed 001].
    by_itself={"start": frozenset({"auto_paused", "auto_pausing"})},
    passing=frozenset({"processing", "pausing", "auto_pausing", "stopping"}),
    listing=_listing("/api/v4/campaigns", "campaigns", LIST_CAMPAIGNS),
    name=_name,
)
AGENTS = Agents(
    listing=_listing(f"{CAMPAIGN}/users", "users", CAMPAIGN_USERS),
    add=Endpoint(
        "POST", f"{CAMPAIGN}/users", "https://developers.voiso.com/reference/addcampaignusers", _user_ids
    ),
    remove=Endpoint(
        "DELETE", f"{CAMPAIGN}/users/{{agent}}", "https://developers.voiso.com/reference/removecampaignuser"
    ),
    most=PAGE,
    canonical=_user_id,
)


def _to_wire(operation: wire.Operation) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda lead: wire.to_wire(lead, operation)


def _adapt(operation: wire.Operation) -> Callable[[str], str]:
    carries = wire.CARRIES[operation]
    return lambda lead: json.dumps(
        {name: value for name, value in json.loads(lead).items() if name in carries}
    )


VOISO = Provider(
    name="voiso",
    gap_s=2.0,
    exclusive=True,
    parallel=1,
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    canonical_campaign=_campaign_id,
    look=Look("/api/v4/campaigns/{campaign}", _closed, GET_CAMPAIGN),
    problem=wire.problem_text,
    bad_leads=wire.bad_indices,
    closed_words=("should be live",),
    source=RUNNING,
    opt_out=OptOut("update", {"active": False}),
    undo=TakingBack(
        "update",
        {"active": False},
        "made inactive: Voiso has no removal, so it keeps the lead and does not call it; an import of the number finds "
        "a duplicate, an update with active: true brings it back",
    ),
    states=STATES,
    agents=AGENTS,
    operations={
        "import": Operation(
            method="POST",
            path="/api/v4/campaigns/{campaign}/leads",
            leads_per_call=1000,
            carries=wire.CARRIES["import"],
            resend_safe=always,  # a number that is there already comes back as a duplicate
            wire=_to_wire("import"),
            body=array,
            adapt=_adapt("import"),
            read=_read("import"),
            source=ADD_LEADS,
        ),
        "update": Operation(
            method="PUT",  # the operation is documented, its path and method are not
            method_setting="update_method",
            path="/api/v4/campaigns/{campaign}/leads",
            leads_per_call=1000,
            carries=wire.CARRIES["update"],
            resend_safe=always,  # it sets fields; the lane keeps the order per lead
            wire=_to_wire("update"),
            body=array,
            adapt=_adapt("update"),
            read=_read("update"),
            unreadable="u",
            silences=lambda lead: json.loads(lead).get("active") is False,
            source=RUNNING,
        ),
    },
)
