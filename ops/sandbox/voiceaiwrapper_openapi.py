"""VoiceAIWrapper's operations as an OpenAPI document [seed 004, docs.voiceaiwrapper.app/api-reference]."""

from __future__ import annotations

from typing import Any, Final

from .openapi import (
    COUNT,
    E164,
    EMAIL,
    FILLED,
    FLAG,
    STRINGS,
    TEXT,
    Document,
    Schema,
    array,
    given,
    nullable,
    path,
    ref,
    told,
)

LEAD: Final[dict[str, Schema]] = {
    "phone_number": E164,
    "first_name": TEXT,
    "last_name": TEXT,
    "email": EMAIL,
    "custom_fields": STRINGS,
}
REMOVE: Final[dict[str, Schema]] = {
    "phone_number": E164,
    "campaign_lead_id": {**FILLED, "examples": ["VoiceCampaignLead:42"]},
}
RESULT: Final = told(index=COUNT, phone_number=nullable(TEXT), success=FLAG, message=TEXT)

SCHEMAS: Final[dict[str, Schema]] = {
    "VoiceAIWrapperLead": given(LEAD, "phone_number"),
    "VoiceAIWrapperLeadUpdate": given(
        {**LEAD, "do_not_call": FLAG, "mark_as_unanswered": FLAG}, "phone_number"
    ),
    "VoiceAIWrapperLeadRemoval": {
        **given(REMOVE),
        "anyOf": [{"required": ["phone_number"]}, {"required": ["campaign_lead_id"]}],
    },
    "VoiceAIWrapperResults": told(
        status={"const": "success"}, message=TEXT, results=array(RESULT, minItems=1)
    ),
    "VoiceAIWrapperError": {"oneOf": [told(detail=TEXT), told(status={"const": "error"}, message=TEXT)]},
}

_document = Document("voiceaiwrapper", ref("VoiceAIWrapperError"), (400, 401, 404, 405, 429))


def _bulk(name: str, summary: str, item: str, answer: Schema) -> dict[str, Any]:
    return _document.operation(
        name,
        summary,
        body=array(ref(item), minItems=1, maxItems=100),
        answer=answer,
        parameters=[path("campaign", {**FILLED, "examples": ["camp_3"]})],
    )


PATHS: Final[dict[str, Any]] = {
    "/api/v2/voice-campaigns/{campaign}/leads/bulk": {
        "post": _bulk(
            "import",
            "Queue leads; what becomes of each is not told",
            "VoiceAIWrapperLead",
            told(status={"const": "success"}, message=TEXT),
        ),
    },
    "/api/v2/voice-campaigns/{campaign}/leads/update/bulk": {
        "patch": _bulk(
            "update", "Change leads one by one", "VoiceAIWrapperLeadUpdate", ref("VoiceAIWrapperResults")
        ),
    },
    "/api/v2/voice-campaigns/{campaign}/leads/remove/bulk": {
        "delete": _bulk(
            "remove", "Remove leads one by one", "VoiceAIWrapperLeadRemoval", ref("VoiceAIWrapperResults")
        ),
    },
}
