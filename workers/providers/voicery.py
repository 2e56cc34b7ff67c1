"""Voicery: https://voicery.mintlify.app/api-reference/leads/create, its one documented operation. One lead a call.

A lead whose number the campaign has is refused unless duplicates are allowed: so most may be sent again after
a lost answer, and what is then refused as a duplicate was delivered.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

from leadlane.schemas import voicery as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import Operation, Provider, Reading

CREATE = "https://voicery.mintlify.app/api-reference/leads/create"


def _body(wires: Sequence[str], campaign: str) -> bytes:
    return json.dumps(wire.with_campaign(json.loads(wires[0]), campaign)).encode()


def _without(lead: str, numbers: Collection[str]) -> str:
    return json.dumps(wire.without_numbers(json.loads(lead), numbers))


def _read(body: Any, _sent: Sequence[str]) -> Reading:
    taken = wire.read_answer(body, "import")
    if taken is None:
        raise ValueError("no lead in the answer")
    return Reading(all=CODE_OF[taken.outcome], lead_id=taken.lead_id)


def _duplicate(status: int, body: Any) -> str:
    """A contact whose number is there already is no duplicate of the lead, which was not taken."""
    errors = body.get("errors") if isinstance(body, dict) else None
    about_another = isinstance(errors, dict) and bool(errors) and "phone_number" not in errors
    return "d" if 400 <= status < 500 and not about_another and wire.is_duplicate(body) else ""


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
            read=_read,
            judge=_duplicate,
            others=lambda lead: wire.secondary_numbers(json.loads(lead)),
            without=_without,
            source=CREATE,
        ),
    },
)
