"""DialNexa, API v1: dialnexa.mintlify.app/api-reference and the seed 002.

    POST   /v1/campaigns-leads                      import, one lead; campaign in the body
    GET    /v1/campaigns-leads/{lead}               get_lead
    PATCH  /v1/campaigns-leads/{lead}               update, while the lead is pending
    DELETE /v1/campaigns-leads/{lead}               remove
    POST   /v1/campaigns-leads/upload-file/{id}     upload_file, a form with CSV or XLSX
    GET    /v1/campaigns                            list_campaigns (assumed)
    GET    /v1/campaigns/{id}                       get_campaign
    PATCH  /v1/campaigns/{id}                       edit_campaign; start or pause if `dialnexa_pausing`

A number that comes twice is stored twice, and somebody phoned twice. Requests are camelCase, answers
snake_case. Every answer to a known key tells its rate. A lead is known by its id alone. The order of checks is
that of the framework its errors come from: key, rate, path, form of the body, and then what it is about.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

from . import fields
from .api import Api, has_body, media_type, numbered, objections, page_of, pages, routes_below, whole_of
from .calls import Answer, Call, RefusedError
from .dialnexa_campaign import CAMPAIGN, FINAL, STATUS, STATUSES, Campaign
from .dialnexa_leads import CHANGES, LEAD, LEAD_STATUSES, NOTES, Lead, number_of
from .upload import file_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .book import Book
    from .settings import SandboxSettings

FILE_BYTES: Final = 10_000_000
PAGE, LARGEST_PAGE = 20, 100
PLACES: Final = {f"cmp_{status}": status for status in STATUSES[1:]}
"""Campaigns that are in such a state from the start."""


class DialNexa(Api):
    """One workspace with its campaigns and leads."""

    name = "dialnexa"
    prefixes = ("/v1/",)
    leads_operations = frozenset({"import", "update", "remove", "upload_file"})
    body_first = True
    opaque_ids = True
    routes = routes_below(
        "/v1",
        ("POST", "/campaigns-leads", "import"),
        ("GET", "/campaigns-leads/{lead}", "get_lead"),
        ("PATCH", "/campaigns-leads/{lead}", "update"),
        ("DELETE", "/campaigns-leads/{lead}", "remove"),
        ("POST", "/campaigns-leads/upload-file/{campaign}", "upload_file"),
        ("GET", "/campaigns", "list_campaigns"),
        ("GET", "/campaigns/{campaign}", "get_campaign"),
        ("PATCH", "/campaigns/{campaign}", "edit_campaign"),
    )

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self.forget()

    def forget(self) -> None:
        """New campaigns, no leads, empty windows."""
        super().forget()
        self._campaigns: dict[str, Campaign] = {}
        self._leads: dict[str, Lead] = {}
        self._ids = count(1)

    # What the stage asks

    def refusal(self, status: int, words: str | list[str], **headers: str) -> RefusedError:
        """Status, words and the status's own words; a validation's words are a list."""
        return RefusedError(status, _error(status, words), **headers)

    def recognise(self, call: Call) -> None:
        """Find key, campaign and operation; a status in the body of an edit makes it a command."""
        super().recognise(call)
        status = _object(call).get("status")
        if call.record.operation == "edit_campaign" and self.settings.dialnexa_pausing and status:
            call.record.operation = "pause" if status == "paused" else "start"

    def campaign_of(self, call: Call) -> str | None:
        """The campaign in path or body, or that of the lead in the path; if there is one."""
        lead = self._leads.get(call.params.get("lead", ""))
        named = call.params.get("campaign") or _object(call).get("campaignId")
        campaign = lead.campaign if lead else self._find(named)
        return campaign.id if campaign else None

    def admit(self, call: Call) -> Answer | None:
        """Judge it; a refusal tells the rate as well."""
        refused = super().admit(call)
        return refused and self._with_rate(call, refused)

    def check(self, call: Call) -> None:
        """A file comes in a form, everything else as JSON."""
        if call.record.operation != "upload_file" and has_body(call):
            self.check_json(call)

    def arrived(self, call: Call) -> None:
        """Count the leads, and note the numbers that must not be sent twice."""
        record = call.record
        if record.operation not in self.leads_operations:
            return
        numbers = self._numbers(call)
        record.size = len(numbers) if record.operation == "upload_file" else 1
        campaign = self._find(record.campaign)
        if campaign and numbers:
            campaign.book.arrived(numbers, call.record)
            self.watch(call, campaign.book, numbers)

    def _numbers(self, call: Call) -> list[str]:
        """The numbers that a call adds, as far as they can be read."""
        if call.record.operation == "import":
            number = number_of(_object(call))
            return [number] if number else []
        if call.record.operation == "upload_file":
            try:
                return [phone for _, phone, _ in self._rows(call) if phone]
            except RefusedError:
                return []
        return []

    def act(self, call: Call) -> Answer:
        """Do what method and path say, and tell the rate."""
        return self._with_rate(call, super().act(call))

    def books(self) -> Mapping[str, Book]:
        """The books of the campaigns used so far."""
        return {campaign_id: campaign.book for campaign_id, campaign in self._campaigns.items()}

    def alter(self, campaign: str, wanted: Mapping[str, object]) -> None:
        """Set `status` of a campaign, or of some of its leads: `{"leads": {"+4930...": "completed"}}`."""
        found = self._find(campaign)
        status, leads = wanted.get("status"), wanted.get("leads", {})
        if found is None:
            raise ValueError("campaign: DialNexa has none of this id")
        if not wanted.keys() <= {"status", "leads"} or type(leads) is not dict:
            raise ValueError(
                'only status and leads can be set, such as {"leads": {"+4930123456": "completed"}}'
            )
        if status is not None and status not in STATUSES:
            raise ValueError(f"status: must be one of {', '.join(STATUSES)}")
        if not all(state in LEAD_STATUSES[:-1] for state in leads.values()):
            raise ValueError(f"leads: must be one of {', '.join(LEAD_STATUSES[:-1])}")
        if not all(number in found.book for number in leads):
            raise ValueError("leads: one of the numbers is not in this campaign")
        found.status = status if isinstance(status, str) else found.status
        for lead in self._leads.values():
            if lead.campaign is found and lead.number in leads and lead.status != "removed":
                lead.put(leads[lead.number])

    def _with_rate(self, call: Call, answer: Answer) -> Answer:
        record = call.record
        room = self.windows.room(record.key, record.started, self.rates(call))
        if room is None:
            return answer
        limit, left, reset_s = room
        told = {
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-remaining": str(left),
            "x-ratelimit-reset": str(math.ceil(record.wall + reset_s)),
        }
        return Answer(answer.status, answer.body, {**answer.headers, **told})

    # Leads

    def import_lead(self, call: Call) -> Answer:
        """Add one lead, whether its number is there or not."""
        body = self._sound(call, LEAD, ("name", "phoneNumber", "campaignId"))
        campaign = self._campaign(body["campaignId"])
        number = number_of(body)
        self._check_destination(call, campaign, number)
        if campaign.status in FINAL:
            raise self.refusal(409, f"Campaign is {campaign.status}")
        lead = self._add(call, campaign, number, body["name"], body.get("notes", {}))
        self._settle(call, campaign, number)
        return Answer.json(201, lead.as_dict())

    def get_lead(self, call: Call) -> Answer:
        """One lead, also one that was removed."""
        return Answer.json(200, self._lead(call).as_dict())

    def update_lead(self, call: Call) -> Answer:
        """Change a lead that nobody has called yet."""
        body = self._sound(call, CHANGES, ())
        if ("phoneNumber" in body) != ("countryCode" in body):
            # Which country a lone number would be in is not documented; it could be India.
            raise self.refusal(400, ["phoneNumber and countryCode must come together"])
        lead = self._lead(call)
        if lead.status != "pending":
            raise self.refusal(409, f"Lead is {lead.status}")
        if "phoneNumber" in body:
            self._renumber(call, lead, number_of(body))
        lead.name = body.get("name", lead.name)
        lead.notes = body.get("notes", lead.notes)
        self._keep(lead)
        call.record.stored = 1
        return Answer.json(200, lead.as_dict())

    def _renumber(self, call: Call, lead: Lead, number: str) -> None:
        book = lead.campaign.book
        if number != lead.number:
            self._check_destination(call, lead.campaign, number)
            book.remove(lead.number)
            book.arrived([number], call.record)
            book.store(number)
            lead.number = number

    def remove_lead(self, call: Call) -> Answer:
        """Remove a lead; a call in progress goes on."""
        lead = self._lead(call)
        if lead.status == "removed":
            raise self.refusal(404, "Lead not found")
        if lead.campaign.status in FINAL:
            raise self.refusal(409, f"Campaign is {lead.campaign.status}")
        lead.put("removed")
        lead.campaign.book.remove(lead.number)
        call.record.stored = 1
        return Answer.json(200, {"message": "Lead removed from campaign"})

    def upload_file(self, call: Call) -> Answer:
        """Add all rows of a file, or none: one that must not be called refuses the file."""
        campaign = self._campaign(call.params["campaign"])
        if campaign.status in FINAL:
            raise self.refusal(409, f"Campaign is {campaign.status}")
        rows = self._rows(call)
        bad: dict[str, list[int]] = {}
        for number, phone, _ in rows:
            objection = self._objection(phone) if phone else None
            if objection:
                bad.setdefault(objection, []).append(number)
        if bad:
            errors = [{"reason": reason, "rows": numbers} for reason, numbers in bad.items()]
            words = "Some rows cannot be called; nothing was enrolled"
            # That reasons and row numbers are told is documented, how is not.
            raise RefusedError(400, {**_error(400, words), "errors": errors})
        leads = [(phone, notes) for _, phone, notes in rows if phone]
        for phone, notes in leads:
            self._add(call, campaign, phone, notes.get("name", ""), notes)
        self._settle(call, campaign, *(phone for phone, _ in leads))
        told = {"leads_created": len(leads), "leads_skipped": len(rows) - len(leads)}
        words = f"{len(leads)} leads added to campaign"
        return Answer.json(201, {"campaign_id": campaign.id, **told, "message": words})

    def _rows(self, call: Call) -> list[tuple[int, str, dict[str, str]]]:
        """Number of the row, phone number or nothing, and variables, of all rows; read once."""
        if call.parsed is None:
            try:
                name, content = file_of(call.body or b"", call.headers.get("content-type", ""), "file")
                if len(content) > FILE_BYTES:
                    raise self.refusal(400, "The file is larger than 10 MB")
                columns, rows = rows_of(name, content)
            except ValueError as exc:
                raise self.refusal(400, str(exc)) from None
            if "phone_number" not in columns:
                raise self.refusal(400, "The file has no column phone_number")
            if len(columns) > NOTES + 1:
                raise self.refusal(400, f"The file has more than {NOTES} columns besides phone_number")
            call.parsed = [(number, row.pop("phone_number").strip(), row) for number, row in rows]
        parsed: list[tuple[int, str, dict[str, str]]] = call.parsed
        return parsed

    def _add(self, call: Call, campaign: Campaign, number: str, name: str, notes: dict[str, str]) -> Lead:
        lead = Lead(f"lead_{next(self._ids)}", campaign, number, name, notes, _stamp(call.record.wall))
        self._leads[lead.id] = lead
        campaign.statuses[lead.status] += 1
        campaign.book.store(number)
        self._keep(lead)
        call.record.stored += 1
        return lead

    def _objection(self, number: str) -> str | None:
        """What the dialer has against calling a number."""
        if fields.e164(number) or self.rejected(number):
            return "The phone number is invalid"
        if number.startswith(tuple(self.settings.dialnexa_blocked)):
            return "The destination is blocked by the workspace's telephony settings"
        return "The phone number is not acceptable" if self.poisonous(number) else None

    def _check_destination(self, call: Call, campaign: Campaign, number: str) -> None:
        objection = self._objection(number)
        if objection:
            self._settle(call, campaign, number)
            raise self.refusal(403 if "blocked" in objection else 422, objection)

    def _settle(self, call: Call, campaign: Campaign, *numbers: str) -> None:
        call.at_end.append(
            lambda _ended, readable: campaign.book.settle(numbers, call.record, answered=readable)
        )

    def _keep(self, lead: Lead) -> None:
        if self.settings.keep_fields:
            lead.campaign.book.keep(lead.number, {"name": lead.name, "notes": lead.notes})

    # Campaigns

    def list_campaigns(self, call: Call) -> Answer:
        """A page of campaigns."""
        page, limit = whole_of(call.query, "page", 1), whole_of(call.query, "limit", PAGE, LARGEST_PAGE)
        if page is None or limit is None:
            raise self.refusal(400, ["page must be 1 or more", f"limit must be 1 to {LARGEST_PAGE}"])
        ids = [*(f"cmp_{number}" for number in range(1, self.settings.campaigns + 1)), *PLACES]
        rows = [self._campaign(campaign_id).as_dict() for campaign_id in page_of(ids, page, limit)]
        meta = {"page": page, "limit": limit, "total": len(ids), "totalPages": pages(len(ids), limit)}
        return Answer.json(200, {"data": rows, "meta": meta})

    def get_campaign(self, call: Call) -> Answer:
        """One campaign."""
        return Answer.json(200, self._campaign(call.params["campaign"]).as_dict())

    def edit_campaign(self, call: Call) -> Answer:
        """Change a campaign's settings, and its status if that is possible at all."""
        body = self._sound(call, {**CAMPAIGN, **STATUS} if self.settings.dialnexa_pausing else CAMPAIGN, ())
        campaign = self._campaign(call.params["campaign"])
        status = body.pop("status", None)
        if status and campaign.status in FINAL:
            raise self.refusal(409, f"Campaign is {campaign.status}")
        campaign.changes.update(body)
        if status:
            campaign.status = "running" if status == "active" else status
        return Answer.json(200, campaign.as_dict())

    acts: ClassVar[Mapping[str, Callable[[DialNexa, Call], Answer]]] = {
        "import": import_lead,
        "get_lead": get_lead,
        "update": update_lead,
        "remove": remove_lead,
        "upload_file": upload_file,
        "list_campaigns": list_campaigns,
        "get_campaign": get_campaign,
        "edit_campaign": edit_campaign,
        "start": edit_campaign,
        "pause": edit_campaign,
    }

    def _sound(
        self, call: Call, checks: Mapping[str, fields.Check], required: tuple[str, ...]
    ) -> dict[str, Any]:
        """The body if there is nothing to say against it."""
        body = call.json()
        if type(body) is not dict:
            raise self.refusal(400, "The body must be a JSON object")
        errors = objections(fields.problems(body, checks, required))
        if errors:
            raise self.refusal(400, [f"{name} {words}" for name, said in errors.items() for words in said])
        return dict(body)

    def _lead(self, call: Call) -> Lead:
        lead = self._leads.get(call.params["lead"])
        if lead is None:
            raise self.refusal(404, "Lead not found")
        return lead

    # Which campaigns there are

    def _find(self, campaign_id: object) -> Campaign | None:
        """The campaign of that id, made at its first use."""
        if not isinstance(campaign_id, str):
            return None
        if campaign_id not in PLACES and not numbered(campaign_id, "cmp_", self.settings.campaigns):
            return None
        status = PLACES.get(campaign_id, STATUSES[0])
        return self._campaigns.setdefault(campaign_id, Campaign(campaign_id, status))

    def _campaign(self, campaign_id: str) -> Campaign:
        campaign = self._find(campaign_id)
        if campaign is None:
            raise self.refusal(404, "Campaign not found")
        return campaign


def _object(call: Call) -> dict[str, Any]:
    """The body if it is an object; a file is not looked into."""
    body = call.json() if media_type(call) == "application/json" else None
    return body if type(body) is dict else {}


def _error(status: int, words: str | list[str]) -> dict[str, Any]:
    return {"statusCode": status, "message": words, "error": HTTPStatus(status).phrase}


def _stamp(wall: float) -> str:
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
