"""Ringly's record: what `docs/add-a-dialer.md` calls the second file. One lead a call, named by its id."""

import json
from collections.abc import Sequence
from typing import Any

from leadlane.workers.answers import Meaning
from leadlane.workers.providers.contract import (
    Operation,
    OptOut,
    Provider,
    Reading,
    always,
    never,
    no_body,
)
from tests.unit.workers.providers import ringly_schema as wire

PAGE = "https://ringly.example/docs"


def _created(body: Any, _sent: Sequence[str]) -> Reading:
    return Reading(all="c", lead_id=wire.taken(body))


RINGLY = Provider(
    name="ringly",
    gap_s=0.0,
    exclusive=False,
    parallel=3,
    rates=("20/s",),
    headers=lambda key: {"X-Key": key},
    canonical_campaign=wire.canonical_campaign,
    look=None,
    problem=wire.problem_text,
    bad_leads=lambda _body, _n: None,
    closed_words=(),
    source=PAGE,
    opt_out=OptOut("remove"),
    operations={
        "import": Operation(
            method="PUT",
            path="/c/{campaign}/people",
            leads_per_call=1,
            carries=wire.CARRIES["import"],
            resend_safe=never,
            wire=lambda lead: wire.to_wire(lead, "import"),
            refuses=wire.refuses,
            body=lambda lines, _campaign: json.dumps({"person": json.loads(lines)}).encode(),
            read=_created,
            answers={418: Meaning.REFUSED},
            source=f"{PAGE}/people",
        ),
        "remove": Operation(
            method="DELETE",
            path="/c/{campaign}/people/{lead}",
            leads_per_call=1,
            carries=wire.CARRIES["remove"],
            resend_safe=always,
            wire=lambda lead: wire.to_wire(lead, "remove"),
            body=no_body,
            read=lambda _body, _sent: Reading(all="m"),
            judge=lambda status, _body: "m" if status == 404 else "",
            silences=always,
            source=f"{PAGE}/people#remove",
        ),
    },
)
