"""DialNexa, API v1: https://dialnexa.mintlify.app/api-reference. One lead a call; the limit is per key.

A lead sent twice is called twice, and nothing finds it by its number: what got no answer is never sent again.
A file brings a whole batch at once, but no lead ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from leadlane.schemas import dialnexa as wire
from leadlane.schemas.outcomes import CODE_OF
from leadlane.workers.providers.contract import (
    Endpoint,
    Listing,
    Look,
    Operation,
    OptOut,
    Page,
    Provider,
    Reading,
    States,
    alone,
    always,
    never,
    no_body,
)

LEADS = "https://dialnexa.mintlify.app/api-reference/campaign-leads"
CAMPAIGNS = "https://dialnexa.mintlify.app/api-reference/campaigns"
ASSUMED = "assumed_operations"
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


def _import_body(lines: bytes, campaign: str) -> bytes:
    return json.dumps(wire.with_campaign(json.loads(lines), campaign)).encode()


def _blocked(status: int, body: Any) -> str:
    """A 403 about the destination is about this lead, not about our key."""
    return "r" if status == 403 and wire.blocks_destination(body) else ""


def _closed(body: Any) -> str:
    status = str(body.get("status")) if isinstance(body, dict) else ""
    return f"the campaign is {status}" if status in CLOSED else ""


def _upload(lines: bytes, _campaign: str) -> bytes:
    return wire.form(next(wire.to_files(map(json.loads, lines.split(b"\n")))))


def _fits(wires: Sequence[str]) -> int:
    first = next(wire.to_files(map(json.loads, wires)), None)
    return first.rows if first else 0


def _uploaded(body: Any, sent: Sequence[str]) -> Reading:
    outcome = wire.read_upload(body, len(sent))
    if outcome is None:
        raise ValueError("the answer does not count the leads of the file")
    return Reading(all=CODE_OF[outcome], words={"": wire.upload_words(body, outcome)})


def _status(body: Any, _campaign: str) -> str:
    status = body.get("status") if isinstance(body, dict) else None
    if not isinstance(status, str):
        raise ValueError("no status in the answer")  # noqa: TRY004  one kind of error for the engine
    return status


def _campaigns(body: Any, page: int) -> Page:
    return Page(*wire.read_campaigns(body, page + 1))


def _command(status: str) -> Endpoint:
    return Endpoint(
        "PATCH",
        CAMPAIGN,
        f"{CAMPAIGNS}/update",
        lambda _c, _a: json.dumps({"status": status}).encode(),
        ASSUMED,
    )


CAMPAIGN = "/v1/campaigns/{campaign}"
STATES = States(
    # Told of in words only: neither the field nor its values are on the page.
    commands={"start": _command("active"), "pause": _command("paused")},
    look=Endpoint("GET", CAMPAIGN, f"{CAMPAIGNS}/get"),
    status=_status,
    reached={"start": frozenset({"active", "running"}), "pause": frozenset({"paused"})},
    by_itself={},
    passing=frozenset(),
    listing=Listing(
        Endpoint("GET", "/v1/campaigns", f"{CAMPAIGNS}/get", behind=ASSUMED),
        lambda page: f"page={page + 1}&limit=100",
        _campaigns,
    ),
)


DIALNEXA = Provider(
    name="dialnexa",
    gap_s=0.0,
    exclusive=False,
    parallel=5,
    rates=("5/s",),  # the number is not published; headers tell more
    budget=("x-ratelimit-remaining", "x-ratelimit-reset"),
    headers=lambda key: {"Authorization": f"Bearer {key}"},
    canonical_campaign=wire.canonical_campaign,
    look=Look(CAMPAIGN, _closed, f"{CAMPAIGNS}/get"),
    problem=wire.problem_text,
    bad_leads=wire.bad_rows,
    closed_words=(),
    source="https://dialnexa.mintlify.app/api-reference/rate-limits",
    opt_out=OptOut("remove"),
    states=STATES,
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
        "upload": Operation(
            method="POST",
            path="/v1/campaigns-leads/upload-file/{campaign}",
            leads_per_call=1000,
            behind="file_upload",
            carries=wire.CARRIES["upload"],
            resend_safe=never,
            wire=_to_wire("upload"),
            refuses=_refuses("upload"),
            body=_upload,
            content_type=wire.form_type,
            fits=_fits,
            read=_uploaded,
            unreadable="?",
            source=f"{LEADS}/upload",
        ),
        "update": Operation(
            method="PATCH",
            path="/v1/campaigns-leads/{lead}",
            leads_per_call=1,
            carries=wire.CARRIES["update"],
            resend_safe=always,
            wire=_to_wire("update"),
            refuses=_refuses("update"),
            body=alone,
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
            body=no_body,
            read=_read("remove"),
            silences=always,
            judge=lambda status, _body: {404: "m", 409: "r"}.get(status, ""),
            source=f"{LEADS}/delete",
        ),
    },
)
