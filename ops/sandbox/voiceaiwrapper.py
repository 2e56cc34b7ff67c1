"""VoiceAIWrapper, API v2, bulk calls for leads: docs.voiceaiwrapper.app/api-reference and the seed 004.

    POST   /api/v2/voice-campaigns/{id}/leads/bulk         import
    PATCH  /api/v2/voice-campaigns/{id}/leads/update/bulk  update, or mark_as_unanswered if an item says so
    DELETE /api/v2/voice-campaigns/{id}/leads/remove/bulk  remove, with a body

What it adds is queued: an update or removal finds it only `voiceaiwrapper_visible_after_s` later, and a number
that cannot be called is dropped from the queue without a word. No error is documented; here the whole call is
refused for what its form forbids. That calls of a campaign come one by one is no rule of the dialer but ours:
it is judged by `verify` and not enforced. Campaigns can neither be listed nor started here; to make and edit
them is left out.
"""

from __future__ import annotations

import base64
import binascii
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, Final

from . import fields
from .api import Api, numbered, objections, routes_below
from .calls import Answer, Call, RefusedError
from .voiceaiwrapper_campaign import Campaign, Lead

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from .book import Book
    from .settings import SandboxSettings

ODD_ID: Final = "Vm9pY2VDYW1wYWlnbjo/Pz8+Pg=="
"""The base64 of a global id, as one sample has them; this one has all that must be encoded in a path."""

LEAD: Final[Mapping[str, fields.Check]] = {
    "phone_number": fields.e164,
    "first_name": fields.text,
    "last_name": fields.text,
    "email": fields.email,
    "custom_fields": fields.strings,
}
UPDATE: Final[Mapping[str, fields.Check]] = {
    **LEAD,
    "do_not_call": fields.flag,
    "mark_as_unanswered": fields.flag,
}
REMOVE: Final[Mapping[str, fields.Check]] = {"phone_number": fields.e164, "campaign_lead_id": fields.filled}
NOT_FOUND: Final = {"success": False, "message": "Lead not found"}


class VoiceAIWrapper(Api):
    """One tenant with its campaigns."""

    name = "voiceaiwrapper"
    prefixes = ("/api/v2/",)
    leads_operations = frozenset({"import", "update", "mark_as_unanswered", "remove"})
    body_first = True
    opaque_ids = True
    routes = routes_below(
        "/api/v2/voice-campaigns/{campaign}/leads",
        ("POST", "/bulk", "import"),
        ("PATCH", "/update/bulk", "update"),
        ("DELETE", "/remove/bulk", "remove"),
    )

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self.forget()

    @property
    def call_size(self) -> int:
        """Not documented, so a setting."""
        return self.settings.voiceaiwrapper_call_size

    @property
    def gap_s(self) -> float:
        """No rest, but calls that overlap are a breach of what we promise."""
        return 0.0

    def forget(self) -> None:
        """New campaigns, empty windows."""
        super().forget()
        self._campaigns: dict[str, Campaign] = {}
        self._ids = count(1)

    # What the stage asks

    def refusal(self, status: int, words: str, **headers: str) -> RefusedError:
        """A refusal by its head; no form is documented, and the platform looks like one that says `detail`."""
        return RefusedError(status, {"detail": words}, **headers)

    def campaign_of(self, call: Call) -> str | None:
        """The campaign in the path, if there is one."""
        campaign_id = call.params.get("campaign")
        return campaign_id if self._find(campaign_id) else None

    def recognise(self, call: Call) -> None:
        """Find key, campaign and operation, which the body has a word in."""
        super().recognise(call)
        if call.record.operation == "update" and any(_marks(item) for item in _items(call)):
            call.record.operation = "mark_as_unanswered"

    def check(self, call: Call) -> None:
        """The body must be JSON, and the campaign exist."""
        self.check_json(call)
        if self._find(call.record.campaign) is None:
            raise self.refusal(404, "Campaign not found")

    def arrived(self, call: Call) -> None:
        """Count the leads; note the numbers that must not be sent twice."""
        record, items = call.record, _items(call)
        record.size = len(items)
        campaign = self._find(record.campaign)
        if campaign is None:
            return
        if record.operation == "import":
            numbers = fields.numbers(items)
            campaign.book.arrived(numbers, call.record)
            if not self.settings.voiceaiwrapper_ignores_duplicates:
                self.watch(call, campaign.book, numbers)
        elif record.operation == "mark_as_unanswered":
            self.watch(call, campaign.book, fields.numbers([item for item in items if _marks(item)]))

    def books(self) -> Mapping[str, Book]:
        """The books of the campaigns used so far."""
        return {campaign_id: campaign.book for campaign_id, campaign in self._campaigns.items()}

    def alter(self, campaign: str, wanted: Mapping[str, object]) -> None:
        """Say of leads that they were answered or not: `{"leads": {"+4930...": "answered"}}`."""
        found, leads = self._find(campaign), wanted.get("leads")
        if found is None:
            raise ValueError("campaign: VoiceAIWrapper has none of this id")
        if wanted.keys() != {"leads"} or type(leads) is not dict:
            raise ValueError('only leads can be set, such as {"+4930123456": "answered"}')
        if not leads.keys() <= found.leads.keys():
            raise ValueError("leads: one of the numbers is not in this campaign")
        if not all(state in {"answered", "unanswered"} for state in leads.values()):
            raise ValueError("leads: must be answered or unanswered")
        for number, state in leads.items():
            for lead in found.leads[number]:
                lead.answered = state == "answered"

    # Leads

    def import_leads(self, call: Call) -> Answer:
        """Queue leads; the answer names none of them."""
        campaign = self._campaign(call)
        leads = self._sound(call, LEAD, ("phone_number",))
        visible_at = self.clock() + self.settings.voiceaiwrapper_visible_after_s
        for lead in leads:
            number = lead["phone_number"]
            there = campaign.leads.setdefault(number, [])
            if self.rejected(number) or (there and self.settings.voiceaiwrapper_ignores_duplicates):
                continue
            there.append(Lead(next(self._ids), number, visible_at))
            campaign.book.store(number)
            self._keep(campaign, lead)
            call.record.stored += 1
        numbers = fields.numbers(leads)
        call.at_end.append(
            lambda _ended, readable: campaign.book.settle(numbers, call.record, answered=readable)
        )
        return _success("Leads are queued to be added to the campaign")

    def update_leads(self, call: Call) -> Answer:
        """Change leads one by one; the answer is a success even if all of them fail."""
        campaign, now = self._campaign(call), self.clock()
        results = []
        for item in self._sound(call, UPDATE, ("phone_number",)):
            found = campaign.of(item["phone_number"], now)
            if found:
                self._change(campaign, found, item)
            results.append((item["phone_number"], bool(found)))
        return _results(call, results, "update", "updated")

    def remove_leads(self, call: Call) -> Answer:
        """Remove leads one by one; an id wins over a number."""
        campaign, now = self._campaign(call), self.clock()
        results = []
        for item in self._sound(call, REMOVE, ()):
            if "campaign_lead_id" in item:
                found = campaign.by_id(_lead_id(item["campaign_lead_id"]), now)
            else:
                found = campaign.of(item["phone_number"], now)
            for lead in found:
                campaign.remove(lead)
            results.append((found[0].number if found else item.get("phone_number"), bool(found)))
        return _results(call, results, "removal", "removed")

    acts: ClassVar[Mapping[str, Callable[[VoiceAIWrapper, Call], Answer]]] = {
        "import": import_leads,
        "update": update_leads,
        "mark_as_unanswered": update_leads,
        "remove": remove_leads,
    }

    def _sound(
        self, call: Call, checks: Mapping[str, fields.Check], required: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """The body's items if there is nothing to say against any of them."""
        items = call.json()
        if type(items) is not list or not items:
            raise _invalid("The body must be an array of at least one lead")
        if len(items) > self.call_size:
            raise _invalid(f"The body must be an array of at most {self.call_size} leads")
        errors = objections(
            (f"{index}.{name}" if self.settings.indexed_errors else name, words)
            for index, item in enumerate(items)
            for name, words in self._problems(item, checks, required)
        )
        if errors:
            raise _invalid("; ".join(f"{name} {', '.join(words)}" for name, words in errors.items()))
        return items

    def _problems(
        self, item: object, checks: Mapping[str, fields.Check], required: tuple[str, ...]
    ) -> Iterator[tuple[str, str]]:
        if type(item) is not dict:
            yield "lead", "must be an object"
        elif checks is REMOVE and not item.keys() & REMOVE.keys():
            yield "lead", "must have phone_number or campaign_lead_id"
        elif self.poisonous(str(item.get("phone_number"))):
            yield "phone_number", "is not acceptable"
        else:
            yield from fields.problems(item, checks, required)

    def _change(self, campaign: Campaign, leads: list[Lead], item: Mapping[str, Any]) -> None:
        """Change the leads of one number; the mark means something only for one that was answered."""
        number, book = item["phone_number"], campaign.book
        if "do_not_call" in item:
            book.note(number, do_not_call=item["do_not_call"])
        if _marks(item) and any(lead.answered for lead in leads):
            book.note(number, requeued=book.fact(number, "requeued", 0) + 1)
            for lead in leads:
                lead.answered = False
        self._keep(campaign, item)

    def _keep(self, campaign: Campaign, item: Mapping[str, Any]) -> None:
        if self.settings.keep_fields:
            campaign.book.keep(item["phone_number"], item)

    # Which campaigns there are

    def _find(self, campaign_id: str | None) -> Campaign | None:
        """The campaign of that id, made at its first use."""
        known = campaign_id == ODD_ID or numbered(campaign_id, "camp_", self.settings.campaigns)
        if campaign_id is None or not known:
            return None
        return self._campaigns.setdefault(campaign_id, Campaign())

    def _campaign(self, call: Call) -> Campaign:
        found = self._find(call.record.campaign)
        if found is None:
            raise self.refusal(404, "Campaign not found")
        return found


def _items(call: Call) -> list[Any]:
    body = call.json()
    return body if type(body) is list else []


def _marks(item: object) -> bool:
    return type(item) is dict and item.get("mark_as_unanswered") is True


def _lead_id(text: str) -> int | None:
    """The number in `VoiceCampaignLead:42`, which one page shows plain and another in base64."""
    try:
        plain = text if ":" in text else base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    kind, _, number = plain.partition(":")
    right = kind == "VoiceCampaignLead" and number.isascii() and number.isdigit() and len(number) < 19
    return int(number) if right else None


def _success(message: str, **more: object) -> Answer:
    return Answer.json(200, {"status": "success", "message": message, **more})


def _results(call: Call, found: list[tuple[str | None, bool]], noun: str, done: str) -> Answer:
    call.record.stored = sum(success for _, success in found)
    words = {True: {"success": True, "message": f"Lead {done} successfully"}, False: NOT_FOUND}
    results = [
        {"index": index, "phone_number": number, **words[success]}
        for index, (number, success) in enumerate(found)
    ]
    return _success(f"Bulk lead {noun} completed", results=results)


def _invalid(words: str) -> RefusedError:
    return RefusedError(400, {"status": "error", "message": words})
