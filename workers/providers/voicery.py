"""Voicery: https://voicery.mintlify.app/api-reference/leads/create, its one documented operation. One lead a call.

What stands behind the switch is documented for products of the same making only, with the same paths.

A lead whose number the campaign has is refused unless duplicates are allowed: so most may be sent again after
a lost answer, and what is then refused as a duplicate was delivered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

from leadlane.schemas import voicery as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import (
    CallRefusedError,
    Endpoint,
    Listing,
    Operation,
    OptOut,
    Page,
    Provider,
    Reading,
    States,
    alone,
    always,
    no_body,
)

CREATE = "https://voicery.mintlify.app/api-reference/leads/create"
SIBLING = "https://docs.intellixent.ai/api-reference"
SWITCH = "sibling_operations"
REFUSED = "the answer says that it was not done"


def _body(lines: bytes, campaign: str) -> bytes:
    return json.dumps(wire.with_campaign(json.loads(lines), campaign)).encode()


def _without(lead: str, numbers: Collection[str]) -> str:
    return json.dumps(wire.without_numbers(json.loads(lead), numbers))


def _read(operation: wire.Operation) -> Callable[[Any, Sequence[str]], Reading]:
    def read(body: Any, _sent: Sequence[str]) -> Reading:
        taken = wire.read_answer(body, operation)
        if taken is None and operation != "import":
            raise CallRefusedError(wire.problem_text(body) or REFUSED)
        if taken is None:
            raise ValueError("no lead in the answer")
        return Reading(all=CODE_OF[taken.outcome], lead_id=taken.lead_id)

    return read


def _duplicate(status: int, body: Any) -> str:
    """A contact whose number is there already is no duplicate of the lead, which was not taken."""
    errors = body.get("errors") if isinstance(body, dict) else None
    about_another = isinstance(errors, dict) and bool(errors) and "phone_number" not in errors
    return "d" if 400 <= status < 500 and not about_another and wire.is_duplicate(body) else ""


def _gone(code: str) -> Callable[[int, Any], str]:
    """A 404 is about the lead if it says so; else the account has no such operation."""
    return lambda status, body: code if status == 404 and wire.is_unknown_lead(body) else ""


def _status(body: Any, campaign: str) -> str:
    if isinstance(body, dict) and body.get("success") is False:
        raise CallRefusedError(wire.problem_text(body) or REFUSED)
    return wire.campaign_status(body, campaign)


def _campaigns(body: Any, _page: int) -> Page:
    return Page(wire.campaigns(body), more=False)


def _command(action: str) -> Endpoint:
    return Endpoint(
        "POST",
        "/api/user/campaigns/update-status",
        f"{SIBLING}/campaigns/update-status",
        lambda campaign, _agents: json.dumps({"campaign_id": int(campaign), "action": action}).encode(),
        SWITCH,
    )


LIST = Endpoint("GET", "/api/user/campaigns", f"{SIBLING}/campaigns/get-campaigns", behind=SWITCH)
STATES = States(
    commands={action: _command(action) for action in ("start", "stop")},
    look=LIST,  # one campaign alone cannot be asked for
    status=_status,
    reached={"start": frozenset({"in-progress"}), "stop": frozenset({"stopped"})},
    by_itself={},
    passing=frozenset(),
    listing=Listing(LIST, lambda _page: "", _campaigns),
)


VOICERY = Provider(
    name="voicery",
    gap_s=0.0,
    exclusive=False,
    parallel=2,
    rates=("1/s",),  # nothing is documented
    headers=lambda key: {"Authorization": f"Bearer {key}", "Accept": "application/json"},
    canonical_campaign=wire.canonical_campaign,
    look=None,
    problem=wire.problem_text,
    bad_leads=lambda _body, _n: None,
    closed_words=(),
    source=CREATE,
    states=STATES,
    opt_out=OptOut("remove"),  # where the account has it
    operations={
        "import": Operation(
            method="POST",
            path="/api/user/lead",
            leads_per_call=1,
            carries=wire.CARRIES["import"],
            resend_safe=lambda lead: wire.resend_safe(json.loads(lead)),
            wire=lambda lead: wire.to_wire(lead, "import"),
            refuses=lambda lead: wire.refuses(lead, "import"),
            body=_body,
            read=_read("import"),
            judge=_duplicate,
            others=lambda lead: wire.secondary_numbers(json.loads(lead)),
            without=_without,
            source=CREATE,
        ),
        "update": Operation(
            method="PUT",
            path="/api/user/leads/{lead}",
            leads_per_call=1,
            behind=SWITCH,
            carries=wire.CARRIES["update"],
            resend_safe=always,
            wire=lambda lead: wire.to_wire(lead, "update"),
            refuses=lambda lead: wire.refuses(lead, "update"),
            body=alone,
            read=_read("update"),
            judge=_gone("r"),
            source=f"{SIBLING}/leads/update-lead",
        ),
        "remove": Operation(
            method="DELETE",
            path="/api/user/leads/{lead}",
            leads_per_call=1,
            behind=SWITCH,
            carries=wire.CARRIES["remove"],
            resend_safe=always,
            wire=lambda lead: wire.to_wire(lead, "remove"),
            body=no_body,
            read=_read("remove"),
            judge=_gone("m"),
            silences=always,
            source=f"{SIBLING}/leads/delete",
        ),
    },
)
