"""Voicery's operations as an OpenAPI document [seed 003], and those of its siblings."""

from __future__ import annotations

from typing import Any, Final

from .openapi import (
    COUNT,
    E164,
    FLAG,
    ID,
    STRINGS,
    TEXT,
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
from .voicery_leads import LEAD_STATUSES

STATUS: Final[Schema] = {"enum": list(LEAD_STATUSES)}
CAMPAIGN_ID: Final[Schema] = {**ID, "examples": [3]}
CONTACT: Final[dict[str, Schema]] = {"phone_number": E164, "variables": STRINGS}
STORED: Final[dict[str, Schema]] = {
    "id": ID,
    "phone_number": E164,
    "variables": STRINGS,
    "status": STATUS,
    "created_at": TEXT,
    "updated_at": TEXT,
}

SCHEMAS: Final[dict[str, Schema]] = {
    "VoiceryNewLead": given(
        {
            **CONTACT,
            "campaign_id": CAMPAIGN_ID,
            "allow_dupplicate": FLAG,
            "secondary_contacts": array(given(CONTACT, "phone_number")),
        },
        "phone_number",
        "campaign_id",
    ),
    "VoiceryCreated": told(
        message=TEXT,
        data=told(
            **STORED,
            campaign_id=ID,
            campaign=told(id=ID, name=TEXT),
            secondary_contacts=array(told(**STORED)),
        ),
    ),
    "VoiceryLead": told(**STORED, campaign_id=ID),
    "VoiceryLeadUpdate": given(
        {
            **CONTACT,
            "campaign_id": CAMPAIGN_ID,
            "status": {"enum": ["created", "completed", "reached-max-retries"]},
        }
    ),
    "VoiceryCampaign": told(
        id=ID,
        name=TEXT,
        status={"enum": ["draft", "in-progress", "stopped"]},
        max_calls_in_parallel=ID,
        allowed_hours_start_time=TEXT,
        allowed_hours_end_time=TEXT,
        allowed_days=array(TEXT),
        max_retries=COUNT,
        retry_interval=COUNT,
    ),
    "VoiceryError": given(
        {"message": TEXT, "errors": {"type": "object", "additionalProperties": array(TEXT, minItems=1)}},
        "message",
    ),
}

_document = Document("voicery", ref("VoiceryError"), (400, 401, 404, 405, 429))
_LEAD_PATH = path("lead", {**ID, "examples": [1]})

PATHS: Final[dict[str, Any]] = {
    "/api/user/lead": {
        "post": _document.operation(
            "import",
            "Add one lead and its secondary contacts",
            body=ref("VoiceryNewLead"),
            answer=ref("VoiceryCreated"),
            refused=(422,),
        ),
    },
    "/api/user/leads": {
        "get": _document.operation(
            "list_leads",
            "A page of leads; a sibling's, as all that follow",
            answer=told(
                current_page=ID,
                data=array(ref("VoiceryLead")),
                last_page=ID,
                per_page=ID,
                total=COUNT,
                next_page_url=nullable(TEXT),
            ),
            refused=(422,),
            parameters=[
                query("status", STATUS),
                query("campaign_id", ID),
                query("page", ID),
                query("per_page", {"type": "integer", "minimum": 1, "maximum": 100}),
            ],
        ),
    },
    "/api/user/leads/{lead}": {
        "put": _document.operation(
            "update",
            "Change a lead; variables are merged",
            body=ref("VoiceryLeadUpdate"),
            answer=told(message=TEXT),
            refused=(422,),
            parameters=[_LEAD_PATH],
        ),
        "delete": _document.operation(
            "remove", "Remove a lead for good", answer=told(message=TEXT), parameters=[_LEAD_PATH]
        ),
    },
    "/api/user/campaigns": {
        "get": _document.operation(
            "list_campaigns", "All campaigns, not in pages", answer=array(ref("VoiceryCampaign"))
        ),
    },
    "/api/user/campaigns/update-status": {
        "post": _document.operation(
            "start",
            "Start or stop a campaign; success false if that could not be",
            body=given(
                {"campaign_id": CAMPAIGN_ID, "action": {"enum": ["start", "stop"]}}, "campaign_id", "action"
            ),
            answer=told(message=TEXT, success=FLAG, data=told(campaign_id=ID, status=TEXT)),
            refused=(422,),
        ),
    },
}
