"""DialNexa, API v1: https://dialnexa.mintlify.app/api-reference. One lead a call; the limit is per key.

A lead sent twice is called twice, and nothing finds it by its number: what got no answer is never sent again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leadlane.schemas import dialnexa as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import Look, Operation, OptOut, Provider, Reading, always, never

LEADS = "https://dialnexa.mintlify.app/api-reference/campaign-leads"
CLOSED = frozenset({"completed", "cancelled"})


def _read(operation: wire.Operation) -> Callable[[Any, Sequence[str]], Reading]:
    def read(body: Any, _sent: Sequence[str]) -> Reading:
        taken = wire.read_answer(body, operation)
        if taken is None:
            raise ValueError("no lead id in the answer")
        return Reading(all=CODE_OF[taken.outcome], lead_id=taken.lead_id)

    return read


def _to_wire(operation: wire.Operation) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda lead: wire.to_wire(lead, operation)


def _refuses(operation: wire.Operation) -> Callable[[Mapping[str, Any]], str]:
    return lambda lead: wire.refuses(lead, operation)


def _import_body(wires: Sequence[str], campaign: str) -> bytes:
    return json.dumps(wire.with_campaign(json.loads(wires[0]), campaign)).encode()


def _blocked(status: int, body: Any) -> str:
    """A 403 about the destination is about this lead, not about our key."""
    return "r" if status == 403 and wire.blocks_destination(body) else ""


def _closed(body: Any) -> str:
    status = body.get("status") if isinstance(body, dict) else None
    return f"the campaign is {status}" if status in CLOSED else ""


DIALNEXA = Provider(
    name="dialnexa",
    gap_s=0.0,
    exclusive=False,
    parallel=5,
    rates=("5/s",),  # the number is not published; headers tell more
    budget=("x-ratelimit-remaining", "x-ratelimit-reset"),
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    canonical_campaign=wire.canonical_campaign,
    look=Look(
        "/v1/campaigns/{campaign}", _closed, "https://dialnexa.mintlify.app/api-reference/campaigns/get"
    ),
    problem=wire.problem_text,
    bad_leads=lambda _body, _n: None,
    closed_words=(),
    source="https://dialnexa.mintlify.app/api-reference/rate-limits",
    opt_out=OptOut("remove"),
    operations={
        "import": Operation(
            method="POST",
            path="/v1/campaigns-leads",
            leads_per_call=1,
            carries=wire.CARRIES["import"],
            resend_safe=never,
            wire=_to_wire("import"),
            refuses=_refuses("import"),
            body=_import_body,
            read=_read("import"),
            judge=_blocked,
            source=f"{LEADS}/create",
        ),
        "update": Operation(
            method="PATCH",
            path="/v1/campaigns-leads/{lead}",
            leads_per_call=1,
            carries=wire.CARRIES["update"],
            resend_safe=always,
            wire=_to_wire("update"),
            refuses=_refuses("update"),
            body=lambda wires, _campaign: wires[0].encode(),
            read=_read("update"),
            judge=lambda status, _body: "r" if status in (404, 409) else "",  # gone, or dialled already
            source=f"{LEADS}/update",
        ),
        "remove": Operation(
            method="DELETE",
            path="/v1/campaigns-leads/{lead}",
            leads_per_call=1,
            carries=wire.CARRIES["remove"],
            resend_safe=always,
            wire=_to_wire("remove"),
            body=lambda _wires, _campaign: None,
            read=_read("remove"),
            silences=always,
            judge=lambda status, _body: {404: "m", 409: "r"}.get(status, ""),
            source=f"{LEADS}/delete",
        ),
    },
)
