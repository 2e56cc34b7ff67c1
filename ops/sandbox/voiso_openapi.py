"""Voiso's operations as an OpenAPI document [seeds 000 and 001, developers.voiso.com/reference]."""

from __future__ import annotations

from typing import Any, Final

from .openapi import (
    COUNT,
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
from .voiso_campaign import STATUSES

NUMBERS: Final = array(TEXT)
CAMPAIGN: Final = path("campaign", {**ID, "examples": [3]})
SOURCE: Final = given({"system": TEXT, "url": TEXT})
UPDATE: Final[dict[str, Schema]] = {
    "phone_number": {"type": "string", "pattern": "^[0-9]+$"},
    "name": TEXT,
    "source": SOURCE,
    "priority": {"type": "integer", "minimum": 1, "maximum": 1000},
    "active": FLAG,
}
HEADERS: Final[Schema] = {**STRINGS, "propertyNames": {"pattern": r"^X-[A-Za-z0-9\-_.!~*+]+$"}}
PAGING: Final = (
    query("limit", {"type": "integer", "minimum": 1, "maximum": 100}),
    query("offset", {"type": "integer", "minimum": 0, "maximum": 999_999_999}),
)

SCHEMAS: Final[dict[str, Schema]] = {
    "VoisoLead": given({**UPDATE, "context_headers": HEADERS}, "phone_number"),
    "VoisoLeadUpdate": given(UPDATE, "phone_number"),
    "VoisoCampaign": told(
        id=ID,
        name=TEXT,
        status={"enum": sorted(STATUSES)},
        strategy=TEXT,
        method=TEXT,
        live=FLAG,
        dial_level=nullable({"type": "number"}),
        created_at=TEXT,
        updated_at=TEXT,
    ),
    "VoisoUser": told(
        id=ID,
        name=TEXT,
        email=TEXT,
        sip_account=TEXT,
        security_access_group_id=ID,
        extension=TEXT,
        caller_id=nullable(TEXT),
        timezone=TEXT,
    ),
    "VoisoError": {
        "oneOf": [
            told(error=TEXT),
            told(
                errors={"type": "object", "additionalProperties": array(TEXT, minItems=1), "minProperties": 1}
            ),
        ]
    },
}
METADATA: Final = told(total=COUNT)

_document = Document("voiso", ref("VoisoError"), (401, 403, 404, 405, 406, 429))


def _leads(name: str, summary: str, lead: str, answer: Schema) -> dict[str, Any]:
    body = array(ref(lead), minItems=1, maxItems=1000)
    refused = (400, 409, 422)
    return _document.operation(
        name, summary, body=body, answer=answer, refused=refused, parameters=[CAMPAIGN]
    )


def _update(name: str) -> dict[str, Any]:
    answer = told(leads_update=told(updated=NUMBERS, rejected=NUMBERS))
    return _leads(name, "Change leads; path and method are assumed", "VoisoLeadUpdate", answer)


def _command(name: str, summary: str) -> dict[str, Any]:
    answer = ref("VoisoCampaign")
    return _document.operation(name, summary, answer=answer, refused=(400, 409), parameters=[CAMPAIGN])


PATHS: Final[dict[str, Any]] = {
    "/api/v4/campaigns/{campaign}/leads": {
        "post": _leads(
            "import",
            "Add leads, one call per campaign at a time",
            "VoisoLead",
            told(leads_import=told(created=NUMBERS, rejected=NUMBERS, duplicates=NUMBERS)),
        ),
        "put": _update("update"),
        "patch": _update("update_by_patch"),
    },
    "/api/v4/campaigns": {
        "get": _document.operation(
            "list_campaigns",
            "A page of campaigns",
            answer=told(campaigns=array(ref("VoisoCampaign")), metadata=METADATA),
            refused=(400, 422),
            parameters=[
                *PAGING,
                *(query(name, TEXT) for name in ("name", "status", "strategy", "method", "live")),
            ],
        ),
    },
    "/api/v4/campaigns/{campaign}": {
        "get": _document.operation(
            "get_campaign",
            "One campaign",
            answer=told(campaign=ref("VoisoCampaign")),
            refused=(400,),
            parameters=[CAMPAIGN],
        ),
    },
    "/api/v4/campaigns/{campaign}/start": {"post": _command("start", "Start a campaign")},
    "/api/v4/campaigns/{campaign}/pause": {"post": _command("pause", "Pause a campaign")},
    "/api/v4/campaigns/{campaign}/stop": {"post": _command("stop", "Stop a campaign")},
    "/api/v4/campaigns/{campaign}/users": {
        "get": _document.operation(
            "list_agents",
            "A page of a campaign's agents",
            answer=told(users=array(ref("VoisoUser")), metadata=METADATA),
            refused=(400, 422),
            parameters=[CAMPAIGN, *PAGING],
        ),
        "post": _document.operation(
            "add_agents",
            "Add agents, up to 100",
            body=given({"user_ids": array({"type": "integer"}, minItems=1, maxItems=100)}, "user_ids"),
            answer=told(added_users=array(ref("VoisoUser"))),
            refused=(400, 422),
            parameters=[CAMPAIGN],
        ),
    },
    "/api/v4/campaigns/{campaign}/users/{user}": {
        "delete": _document.operation(
            "remove_agent",
            "Remove one agent",
            answer=told(user=ref("VoisoUser")),
            refused=(400,),
            parameters=[CAMPAIGN, path("user", {**ID, "examples": [7]})],
        ),
    },
    "/api/v4/users": {
        "get": _document.operation(
            "list_users",
            "A page of users",
            answer=told(users=array(ref("VoisoUser")), metadata=METADATA),
            refused=(400, 422),
            parameters=[
                *PAGING,
                *(query(name, TEXT) for name in ("name", "email", "sip_account", "security_access_group_id")),
                *(query(name, TEXT) for name in ("extension", "caller_id", "timezone")),
            ],
        ),
    },
}
