"""DialNexa's operations as an OpenAPI document [seed 002, dialnexa.mintlify.app/api-reference]."""

from __future__ import annotations

from typing import Any, Final

from .dialnexa_campaign import STATUSES
from .dialnexa_leads import LEAD_STATUSES, NOTES
from .openapi import (
    COUNT,
    E164,
    FILLED,
    ID,
    STRINGS,
    TEXT,
    WHOLE,
    Document,
    Schema,
    array,
    given,
    nullable,
    path,
    query,
    ref,
    told,
)

LEAD: Final[dict[str, Schema]] = {
    "name": FILLED,
    "phoneNumber": {"type": "string", "pattern": "^[0-9]{4,12}$"},
    "countryCode": {"type": "string", "pattern": r"^\+[1-9][0-9]{0,2}$", "default": "+91"},
    "notes": {**STRINGS, "maxProperties": NOTES},
}
RETRY: Final = given({"max_retries": WHOLE, "retry_interval_minutes": WHOLE})
CAMPAIGN_ID: Final[Schema] = {**FILLED, "examples": ["cmp_3"]}
RATE_HEADERS: Final = {
    name: {"required": True, "description": words, "schema": COUNT}
    for name, words in (
        ("X-RateLimit-Limit", "Requests allowed in the window that has the least left"),
        ("X-RateLimit-Remaining", "Requests left in it"),
        ("X-RateLimit-Reset", "Unix seconds when all are left again"),
    )
}

SCHEMAS: Final[dict[str, Schema]] = {
    "DialNexaNewLead": given({**LEAD, "campaignId": CAMPAIGN_ID}, "name", "phoneNumber", "campaignId"),
    "DialNexaLeadUpdate": {
        **given(LEAD),
        "dependentRequired": {"phoneNumber": ["countryCode"], "countryCode": ["phoneNumber"]},
    },
    "DialNexaLead": told(
        id=TEXT,
        name=TEXT,
        phone_number=E164,
        campaign_id=TEXT,
        status={"enum": list(LEAD_STATUSES)},
        notes=STRINGS,
        call_log_id=nullable(TEXT),
        created_at=TEXT,
    ),
    "DialNexaCampaign": told(
        id=TEXT,
        name=TEXT,
        status={"enum": list(STATUSES)},
        agent_id=TEXT,
        from_phone_number=E164,
        max_concurrent_calls=WHOLE,
        retry_config=RETRY,
        total_leads=COUNT,
        completed_calls=COUNT,
        pending_calls=COUNT,
        created_at=TEXT,
    ),
    "DialNexaError": given(
        {
            "statusCode": {"type": "integer"},
            "message": {"oneOf": [TEXT, array(TEXT, minItems=1)]},
            "error": TEXT,
            "errors": array(told(reason=TEXT, rows=array(ID))),
        },
        "statusCode",
        "message",
        "error",
    ),
}

_document = Document("dialnexa", ref("DialNexaError"), (400, 401, 404, 405, 429), RATE_HEADERS)
_LEAD_PATH = path("lead", {**FILLED, "examples": ["lead_1"]})
_CAMPAIGN_PATH = path("campaign", {**FILLED, "examples": ["cmp_3"]})

PATHS: Final[dict[str, Any]] = {
    "/v1/campaigns-leads": {
        "post": _document.operation(
            "import",
            "Add one lead, also one that is there already",
            body=ref("DialNexaNewLead"),
            answer=ref("DialNexaLead"),
            status=201,
            refused=(403, 409, 422),
        ),
    },
    "/v1/campaigns-leads/{lead}": {
        "get": _document.operation(
            "get_lead", "One lead", answer=ref("DialNexaLead"), parameters=[_LEAD_PATH]
        ),
        "patch": _document.operation(
            "update",
            "Change a lead while it is pending",
            body=ref("DialNexaLeadUpdate"),
            answer=ref("DialNexaLead"),
            refused=(403, 409, 422),
            parameters=[_LEAD_PATH],
        ),
        "delete": _document.operation(
            "remove", "Remove a lead", answer=told(message=TEXT), refused=(409,), parameters=[_LEAD_PATH]
        ),
    },
    "/v1/campaigns-leads/upload-file/{campaign}": {
        "post": _document.operation(
            "upload_file",
            "Add the rows of a CSV or XLSX file of at most 10 MB, all of them or none",
            form=given({"file": {"type": "string", "format": "binary"}}, "file"),
            answer=told(campaign_id=TEXT, leads_created=COUNT, leads_skipped=COUNT, message=TEXT),
            status=201,
            refused=(409,),
            parameters=[_CAMPAIGN_PATH],
        ),
    },
    "/v1/campaigns": {
        "get": _document.operation(
            "list_campaigns",
            "A page of campaigns; assumed",
            answer=told(
                data=array(ref("DialNexaCampaign")),
                meta=told(page=ID, limit=ID, total=COUNT, totalPages=COUNT),
            ),
            parameters=[
                query("page", ID),
                query("limit", {"type": "integer", "minimum": 1, "maximum": 100}),
            ],
        ),
    },
    "/v1/campaigns/{campaign}": {
        "get": _document.operation(
            "get_campaign", "One campaign", answer=ref("DialNexaCampaign"), parameters=[_CAMPAIGN_PATH]
        ),
        "patch": _document.operation(
            "edit_campaign",
            "Change a campaign's settings; its status only with the sandbox's setting dialnexa_pausing",
            body=given(
                {
                    "name": FILLED,
                    "max_concurrent_calls": WHOLE,
                    "retry_config": RETRY,
                    "status": {"enum": ["active", "paused"]},
                }
            ),
            answer=ref("DialNexaCampaign"),
            refused=(409,),
            parameters=[_CAMPAIGN_PATH],
        ),
    },
}
