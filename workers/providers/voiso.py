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
from leadlane.workers.providers.contract import Look, Operation, OptOut, Provider, Reading, always

ADD_LEADS = "https://developers.voiso.com/reference-link/addleads"
GET_CAMPAIGN = "https://developers.voiso.com/reference/getcampaign"
RUNNING = "https://docs.voiso.com/v1/docs/running-an-api-campaign"
FINAL_STATES = frozenset({"stopped", "completed", "stopping", "import_error"})


def _array(wires: Sequence[str], _campaign: str) -> bytes:
    return b"[%s]" % ",".join(wires).encode()


def _read(operation: wire.Operation) -> Callable[[Any, Sequence[str]], Reading]:
    def read(body: Any, _sent: Sequence[str]) -> Reading:
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
    campaign = body.get("campaign", body) if isinstance(body, dict) else {}
    if campaign.get("live") is False:
        return "the campaign is not live"
    status = campaign.get("status")
    return f"the campaign is {status}" if status in FINAL_STATES else ""


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
    operations={
        "import": Operation(
            method="POST",
            path="/api/v4/campaigns/{campaign}/leads",
            leads_per_call=1000,
            carries=wire.CARRIES["import"],
            resend_safe=always,  # a number that is there already comes back as a duplicate
            wire=_to_wire("import"),
            body=_array,
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
            body=_array,
            adapt=_adapt("update"),
            read=_read("update"),
            unreadable="u",
            silences=lambda lead: json.loads(lead).get("active") is False,
            source=RUNNING,
        ),
    },
)
