"""Voicery: voicery.mintlify.app/api-reference/leads/create and the seed 003. It documents one operation.

    POST   /api/user/lead                     import, one lead and its secondary contacts

The others are those of products of the same making (docs.autocalls.ai, docs.intellixent.ai) and exist only if
`voicery_siblings` says so; else they are 404 like any path that means nothing:

    GET    /api/user/leads                    list_leads
    PUT    /api/user/leads/{lead}             update
    DELETE /api/user/leads/{lead}             remove
    GET    /api/user/campaigns                list_campaigns
    POST   /api/user/campaigns/update-status  start or stop, as the body says

The campaign stands in the body. A number that is there already is refused, unless `allow_dupplicate` (spelled
so) is true. A client that does not ask for JSON gets errors as redirects and pages, as the framework does it
that the errors' form is known from.
"""

from __future__ import annotations

from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final
from urllib.parse import urlencode

from . import fields
from .api import Api, bearer, has_body, objections, page_of, pages, routes_below, whole_of
from .calls import Answer, Call, RefusedError
from .voicery_leads import COMMAND, LEAD, LEAD_STATUSES, UPDATE, Campaign, Lead, contacts_of, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .book import Book
    from .settings import SandboxSettings

PAGE, LARGEST_PAGE = 15, 100
ENDS: Final = {"start": "in-progress", "stop": "stopped"}
CAMPAIGN_STATUSES: Final = ("draft", "in-progress", "stopped")


class Voicery(Api):
    """One account with its campaigns and leads."""

    name = "voicery"
    prefixes = ("/api/user/",)
    leads_operations = frozenset({"import", "update", "remove"})
    body_first = True
    routes = routes_below(
        "/api/user",
        ("POST", "/lead", "import"),
        ("GET", "/leads", "list_leads"),
        ("PUT", "/leads/{lead}", "update"),
        ("DELETE", "/leads/{lead}", "remove"),
        ("GET", "/campaigns", "list_campaigns"),
        ("POST", "/campaigns/update-status", "start"),
    )

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self.forget()

    def forget(self) -> None:
        """New campaigns, no leads, empty windows."""
        super().forget()
        self._campaigns: dict[int, Campaign] = {}
        self._leads: dict[int, Lead] = {}
        self._ids = count(1)

    # What the stage asks

    def refusal(self, status: int, words: str, **headers: str) -> RefusedError:
        """A refusal in the framework's form."""
        return RefusedError(status, {"message": words}, **headers)

    def recognise(self, call: Call) -> None:
        """Find key, campaign and operation; start and stop differ in the body."""
        super().recognise(call)
        if call.record.operation == "start" and _object(call).get("action") == "stop":
            call.record.operation = "stop"

    def campaign_of(self, call: Call) -> str | None:
        """The campaign in the body, or that of the lead in the path; if there is one."""
        lead = self._leads.get(_id(call.params.get("lead", "")))
        campaign = lead.campaign if lead else self._find(_object(call).get("campaign_id"))
        return str(campaign.id) if campaign else None

    def admit(self, call: Call) -> Answer | None:
        """Judge it by its head."""
        refused = super().admit(call)
        return refused and _as_framework(call, refused)

    def check_path(self, call: Call) -> None:
        """The path must mean something; a sibling's only if that is wanted."""
        if call.record.operation != "import" and not self.settings.voicery_siblings:
            raise self.refusal(404, "The route could not be found.")
        super().check_path(call)

    def check(self, call: Call) -> None:
        """A body must be JSON."""
        if has_body(call):
            self.check_json(call)

    def arrived(self, call: Call) -> None:
        """Count the lead and its contacts; note the numbers, and whether they must not be sent twice."""
        record, body = call.record, _object(call)
        if record.operation not in self.leads_operations:
            return
        record.size = 1
        campaign = self._find(body.get("campaign_id"))
        if record.operation != "import" or campaign is None:
            return
        numbers = fields.numbers([body, *contacts_of(body)])
        record.size = max(1, len(numbers))
        campaign.book.arrived(numbers, call.record)
        if body.get("allow_dupplicate") is True:
            self.watch(call, campaign.book, numbers)

    def act(self, call: Call) -> Answer:
        """Do what method and path say."""
        return _as_framework(call, super().act(call))

    def books(self) -> Mapping[str, Book]:
        """The books of the campaigns used so far."""
        return {str(number): campaign.book for number, campaign in self._campaigns.items()}

    def alter(self, campaign: str, wanted: Mapping[str, object]) -> None:
        """Set `status` of a campaign, or of some of its leads: `{"leads": {"+4930...": "completed"}}`."""
        found = self._find(_id(campaign))
        status, leads = wanted.get("status"), wanted.get("leads", {})
        if found is None:
            raise ValueError("campaign: Voicery has none of this id")
        if not wanted.keys() <= {"status", "leads"} or type(leads) is not dict:
            raise ValueError(
                'only status and leads can be set, such as {"leads": {"+4930123456": "completed"}}'
            )
        if status is not None and status not in CAMPAIGN_STATUSES:
            raise ValueError(f"status: must be one of {', '.join(CAMPAIGN_STATUSES)}")
        if not all(state in LEAD_STATUSES for state in leads.values()):
            raise ValueError(f"leads: must be one of {', '.join(LEAD_STATUSES)}")
        if not all(number in found.book for number in leads):
            raise ValueError("leads: one of the numbers is not in this campaign")
        found.status = status if isinstance(status, str) else found.status
        for lead in self._leads.values():
            if lead.campaign is found and lead.number in leads:
                lead.status = leads[lead.number]

    # Leads

    def import_lead(self, call: Call) -> Answer:
        """Add one lead and its secondary contacts, all of them or none."""
        body = self._sound(call, LEAD, ("phone_number", "campaign_id"))
        campaign = self._campaign(body["campaign_id"])
        allowed = body.get("allow_dupplicate", False)
        people = [body, *contacts_of(body)]
        numbers = fields.numbers(people)
        errors = objections(self._objections(campaign, numbers, allowed=allowed))
        if errors:
            call.at_end.append(
                lambda _ended, readable: campaign.book.settle(numbers, call.record, answered=readable)
            )
            raise _invalid(errors)
        lead, *contacts = [self._add(call, campaign, person, allowed=allowed) for person in people]
        call.at_end.append(
            lambda _ended, readable: campaign.book.settle(numbers, call.record, answered=readable)
        )
        shown = {
            **lead.as_dict(),
            "campaign": {"id": campaign.id, "name": campaign.name},
            "secondary_contacts": [_contact(one) for one in contacts],
        }
        return Answer.json(200, {"message": "Lead created successfully", "data": shown})

    def list_leads(self, call: Call) -> Answer:
        """A page of leads, of one status or campaign if asked so."""
        query = call.query
        page, size = whole_of(query, "page", 1), whole_of(query, "per_page", PAGE, LARGEST_PAGE)
        if page is None or size is None:
            raise _invalid({"page": [f"page must be 1 or more, per_page 1 to {LARGEST_PAGE}."]})
        if query.get("status", LEAD_STATUSES[0]) not in LEAD_STATUSES:
            raise _invalid({"status": [f"The status must be one of {', '.join(LEAD_STATUSES)}."]})
        if "campaign_id" in query and not _id(query["campaign_id"]):
            raise _invalid({"campaign_id": ["The campaign_id must be an integer, 1 or more."]})
        found = [
            lead
            for lead in self._leads.values()
            if query.get("status", lead.status) == lead.status
            and _id(query.get("campaign_id", str(lead.campaign.id))) == lead.campaign.id
        ]
        last = max(1, pages(len(found), size))
        behind = f"/api/user/leads?{urlencode({**query, 'page': page + 1})}" if page < last else None
        answer = {
            "current_page": page,
            "data": [lead.as_dict() for lead in page_of(found, page, size)],
            "last_page": last,
            "per_page": size,
            "total": len(found),
            "next_page_url": behind,
        }
        return Answer.json(200, answer)

    def update_lead(self, call: Call) -> Answer:
        """Change a lead; variables are merged."""
        lead = self._lead(call)
        body = self._sound(call, UPDATE, ())
        campaign = self._campaign(body.get("campaign_id", lead.campaign.id))
        number = body.get("phone_number", lead.number)
        if (campaign, number) != (lead.campaign, lead.number):
            errors = objections(self._objections(campaign, [number], allowed=False))
            if errors:
                raise _invalid(errors)
            lead.campaign.book.remove(lead.number)
            campaign.book.arrived([number], call.record)
            campaign.book.store(number)
        lead.campaign, lead.number = campaign, number
        lead.variables |= body.get("variables", {})
        lead.status = body.get("status", lead.status)
        lead.updated_at = stamp(call.record.wall)
        self._keep(lead)
        call.record.stored = 1
        return Answer.json(200, {"message": "Lead updated successfully"})

    def remove_lead(self, call: Call) -> Answer:
        """Remove a lead for good."""
        lead = self._lead(call)
        del self._leads[lead.id]
        lead.campaign.book.remove(lead.number)
        call.record.stored = 1
        return Answer.json(200, {"message": "Lead deleted successfully"})

    # Campaigns

    def list_campaigns(self, _: Call) -> Answer:
        """All campaigns, as a bare array."""
        ids = range(1, self.settings.campaigns + 1)
        return Answer.json(200, [self._campaign(number).as_dict() for number in ids])

    def command(self, call: Call) -> Answer:
        """Start or stop; what cannot be done is told in `success`, not in the status."""
        body = self._sound(call, COMMAND, ("campaign_id", "action"))
        campaign, end = self._campaign(body["campaign_id"]), ENDS[body["action"]]
        words, success = f"Campaign is {end}", True
        if campaign.status == end:
            words, success = f"Campaign is {end} already", False
        elif body["action"] == "start" and not campaign.book.stored:
            words, success = "Campaign has no leads", False
        else:
            campaign.status = end
        data = {"campaign_id": campaign.id, "status": campaign.status}
        return Answer.json(200, {"message": words, "success": success, "data": data})

    acts: ClassVar[Mapping[str, Callable[[Voicery, Call], Answer]]] = {
        "import": import_lead,
        "list_leads": list_leads,
        "update": update_lead,
        "remove": remove_lead,
        "list_campaigns": list_campaigns,
        "start": command,
        "stop": command,
    }

    def _sound(
        self, call: Call, checks: Mapping[str, fields.Check], required: tuple[str, ...]
    ) -> dict[str, Any]:
        """The body if there is nothing to say against it."""
        body = call.json()
        if type(body) is not dict:
            raise self.refusal(400, "The body must be a JSON object.")
        found = fields.problems(body, checks, required)
        errors = objections((name, f"The {name} field {words}.") for name, words in found)
        if errors:
            raise _invalid(errors)
        return body

    def _objections(
        self, campaign: Campaign, numbers: Sequence[str], *, allowed: bool
    ) -> Iterator[tuple[str, str]]:
        """What the dialer has against numbers: they cannot be called, or are there already."""
        times = Counter(numbers)
        for index, number in enumerate(numbers):
            name = f"secondary_contacts.{index - 1}.phone_number" if index else "phone_number"
            if self.rejected(number) or self.poisonous(number):
                yield name, f"The {name} field must be a valid phone number."
            if not allowed and (number in campaign.book or times[number] > 1):
                yield name, "A lead with this phone number already exists in this campaign."

    def _add(self, call: Call, campaign: Campaign, person: Mapping[str, Any], *, allowed: bool) -> Lead:
        now = stamp(call.record.wall)
        variables = person.get("variables", {})
        lead = Lead(next(self._ids), campaign, person["phone_number"], dict(variables), now, now)
        self._leads[lead.id] = lead
        campaign.book.store(lead.number, on_request=allowed)
        self._keep(lead)
        call.record.stored += 1
        return lead

    def _keep(self, lead: Lead) -> None:
        if self.settings.keep_fields:
            lead.campaign.book.keep(lead.number, {"variables": lead.variables, "status": lead.status})

    # Which leads and campaigns there are

    def _lead(self, call: Call) -> Lead:
        lead = self._leads.get(_id(call.params["lead"]))
        if lead is None:
            raise self.refusal(404, "Lead not found")
        return lead

    def _find(self, number: object) -> Campaign | None:
        """The campaign of that id, made at its first use."""
        if type(number) is not int or not 1 <= number <= self.settings.campaigns:
            return None
        return self._campaigns.setdefault(number, Campaign(number))

    def _campaign(self, number: int) -> Campaign:
        campaign = self._find(number)
        if campaign is None:
            raise self.refusal(404, "Campaign not found")
        return campaign


def _invalid(errors: Mapping[str, Sequence[str]]) -> RefusedError:
    first, *others = [words for said in errors.values() for words in said]
    noun = "error" if len(others) == 1 else "errors"
    more = f" (and {len(others)} more {noun})" if others else ""
    return RefusedError(422, {"message": first + more, "errors": errors})


def _as_framework(call: Call, answer: Answer) -> Answer:
    """The answer; an error as a redirect or a page for a client that does not ask for JSON."""
    if answer.good or "json" in call.headers.get("accept", ""):
        return answer
    headers = {**answer.headers, "content-type": "text/html; charset=utf-8"}
    if answer.status in {401, 422}:
        where = "/login" if bearer(call) is None or answer.status == 401 else "/"
        return Answer(302, b"", {**headers, "location": where})
    return Answer(answer.status, b"<!DOCTYPE html><title>Error</title>", headers)


def _contact(lead: Lead) -> dict[str, Any]:
    return {name: value for name, value in lead.as_dict().items() if name != "campaign_id"}


def _object(call: Call) -> dict[str, Any]:
    body = call.json() if call.body else None
    return body if type(body) is dict else {}


def _id(text: str) -> int:
    """The id in a text, or 0, which nothing has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
