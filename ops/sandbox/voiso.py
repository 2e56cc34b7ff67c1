"""Voiso, API v4, as strict as its documents: developers.voiso.com and the seeds 000 and 001.

Where they are silent the stricter reading holds: a client that passes here passes there.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, ClassVar, Final

import orjson

from .api import Api, bearer, has_body, media_type, routes_below
from .calls import Answer, Call, RefusedError
from .fields import numbers
from .voiso_campaign import FINAL, STATUSES, Campaign
from .voiso_leads import IMPORT, UPDATE, Check, problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from leadlane.schemas.settings import Rate

    from .book import Book
    from .settings import SandboxSettings

CALL_SIZE: Final = 1000
PAGE: Final = 100
STOPPED_ID, NOT_LIVE_ID = 9001, 9002


def _not_found() -> RefusedError:
    return RefusedError(404, {"error": "Not found"})


def _bad_request() -> RefusedError:
    return RefusedError(400, {"error": "Bad Request"})


def _conflict(words: str) -> RefusedError:
    return RefusedError(409, {"errors": {"campaign": [words]}})


def _invalid(errors: Mapping[str, Sequence[str]]) -> RefusedError:
    return RefusedError(422, {"errors": errors})


class Voiso(Api):
    """One contact centre with its campaigns and users."""

    name = "voiso"
    prefixes = ("/api/v4/",)
    leads_operations = frozenset({"import", "update"})
    call_size = CALL_SIZE
    routes = routes_below(
        "/api/v4",
        ("POST", "/campaigns/{campaign}/leads", "import"),
        ("PUT", "/campaigns/{campaign}/leads", "update"),  # not documented for v4: path and both methods
        ("PATCH", "/campaigns/{campaign}/leads", "update"),  # are assumed
        ("GET", "/campaigns", "list_campaigns"),
        ("GET", "/campaigns/{campaign}", "get_campaign"),
        ("POST", "/campaigns/{campaign}/start", "start"),
        ("POST", "/campaigns/{campaign}/pause", "pause"),
        ("POST", "/campaigns/{campaign}/stop", "stop"),
        ("GET", "/campaigns/{campaign}/users", "list_agents"),
        ("POST", "/campaigns/{campaign}/users", "add_agents"),
        ("DELETE", "/campaigns/{campaign}/users/{user}", "remove_agent"),
        ("GET", "/users", "list_users"),
        part="[0-9]{1,18}",
    )

    def __init__(self, settings: SandboxSettings, clock: Callable[[], float]) -> None:
        super().__init__(settings, clock)
        self._campaigns: dict[int, Campaign] = {}

    @property
    def gap_s(self) -> float:
        """From the end of a leads call to the start of the campaign's next [seed 001]."""
        return self.settings.gap_s

    def keys(self) -> Mapping[str, Iterable[str]]:
        """The keys it knows, each with its scopes."""
        return self.settings.keys

    def rates(self, _: Call) -> Sequence[Rate]:
        """The same for every key."""
        return self.settings.windows

    def refusal(self, status: int, words: str, **headers: str) -> RefusedError:
        """A refusal with one error."""
        return RefusedError(status, {"error": words}, **headers)

    # What the stage asks, in the order of a request

    def campaign_of(self, call: Call) -> str | None:
        """The campaign's number, without zeros before it."""
        campaign = call.params.get("campaign")
        return str(int(campaign)) if campaign else None

    def check_key(self, call: Call) -> None:
        """The key must be known, and have the scope that the operation needs."""
        super().check_key(call)
        needed = SCOPE_OF.get(call.record.operation)
        if needed is not None and needed not in self.keys()[bearer(call) or ""]:
            raise self.refusal(403, "Forbidden")

    def check(self, call: Call) -> None:
        """Judge format, campaign and its state, in this order."""
        _check_format(call)
        if call.record.campaign:
            campaign = self._campaign(call)
            if call.record.operation in self.leads_operations:
                self._enter(call, campaign)

    def arrived(self, call: Call) -> None:
        """Count the leads of a leads call, and note the numbers of an import."""
        record = call.record
        if record.operation not in self.leads_operations:
            return
        # orjson takes whole numbers beyond 64 bits for fractions; a lead may have neither.
        leads = call.json(orjson.loads)
        record.size = len(leads) if type(leads) is list else 0
        campaign = self._find(record.campaign)
        if campaign and record.operation == "import":
            campaign.book.arrived(numbers(leads), call.record)
        # Read now, while it lies in the processor's cache, and not kept while the call takes its time.
        call.parsed = self._read(leads, IMPORT if record.operation == "import" else UPDATE)
        call.forget_json()

    def books(self) -> Mapping[str, Book]:
        """The books of the campaigns used so far."""
        return {str(number): campaign.book for number, campaign in self._campaigns.items()}

    def alter(self, campaign: str, wanted: Mapping[str, object]) -> None:
        """Set `status` or `live` of a campaign."""
        found = self._find(campaign)
        if found is None:
            raise ValueError("campaign: Voiso has none of this id")
        if not wanted.keys() <= {"status", "live"}:
            raise ValueError("only status and live of a campaign can be set")
        status, live = wanted.get("status"), wanted.get("live", found.live)
        if not (status is None or (isinstance(status, str) and status in STATUSES)):
            raise ValueError(f"status: must be one of {', '.join(sorted(STATUSES))}")
        if not isinstance(live, bool):
            raise ValueError("live: must be true or false")  # noqa: TRY004 - one kind of error for the caller
        found.live = live
        if status is not None:
            found.put(status)

    def forget(self) -> None:
        """New campaigns, empty windows."""
        super().forget()
        self._campaigns = {}

    def _enter(self, call: Call, campaign: Campaign) -> None:
        """Begin a leads call; it holds the campaign until its answer is out."""
        if not campaign.live:
            raise RefusedError(400, {"error": "Campaign type should be live"})
        status = campaign.status(self.clock())
        if status in FINAL:
            raise _conflict(f"the campaign is {status}")
        busy = campaign.enter(call.record.started, self.settings.gap_s)
        if busy:
            raise _conflict(busy)
        call.at_end.append(lambda ended, _readable: campaign.leave(ended))

    # Leads

    def import_leads(self, call: Call) -> Answer:
        """Add leads: all of them are sound, or none is stored."""
        book = self._campaign(call).book
        created: list[str] = []
        rejected: list[str] = []
        duplicates: list[str] = []
        for number, fields in _sound(call):
            if number in book:
                duplicates.append(number)
            elif not self._dialable(number):
                rejected.append(number)
            else:
                book.store(number)
                book.keep(number, fields)
                created.append(number)
        call.record.stored = len(created)
        named = [*created, *rejected, *duplicates]
        call.at_end.append(lambda _ended, readable: book.settle(named, call.record, answered=readable))
        lists = {"created": created, "rejected": rejected, "duplicates": duplicates}
        return Answer.json(200, {"leads_import": lists})

    def update_leads(self, call: Call) -> Answer:
        """Change leads that are there; the others are rejected."""
        book = self._campaign(call).book
        updated: list[str] = []
        rejected: list[str] = []
        for number, fields in _sound(call):
            if number in book:
                book.keep(number, fields)
                updated.append(number)
            else:
                rejected.append(number)
        call.record.stored = len(updated)
        return Answer.json(200, {"leads_update": {"updated": updated, "rejected": rejected}})

    def _read(
        self, leads: Any, checks: Mapping[str, Check]
    ) -> list[tuple[str, dict[str, Any]]] | RefusedError:
        """Numbers and the fields to keep if there is nothing to say against any of the leads, else the refusal."""
        if type(leads) is not list:
            return _bad_request()
        if not leads:
            return _invalid({"leads": ["can't be empty"]})
        if len(leads) > CALL_SIZE:
            return _invalid({"leads": [f"Maximum limit of {CALL_SIZE} contacts for each request"]})
        errors: dict[str, list[str]] = {}
        for index, field, problem in chain(problems(leads, checks), self._poisonous(leads)):
            words = errors.setdefault(f"{index}.{field}" if self.settings.indexed_errors else field, [])
            if problem not in words:
                words.append(problem)
        if errors:
            return _invalid(errors)
        numbers = [lead["phone_number"] for lead in leads]
        return list(zip(numbers, leads if self.settings.keep_fields else repeat({}), strict=False))

    def _poisonous(self, leads: list[Any]) -> Iterator[tuple[int, str, str]]:
        """What Voiso has against leads that its documents allow: whatever the settings say."""
        if poison := set(self.settings.poison):
            for index, lead in enumerate(leads):
                if type(lead) is dict and lead.get("phone_number") in poison:
                    yield index, "phone_number", "is not acceptable"

    def _dialable(self, number: str) -> bool:
        suffix = self.settings.rejected_suffix
        return 7 <= len(number) <= 15 and not (suffix and number.endswith(suffix))

    # Campaigns

    def list_campaigns(self, call: Call) -> Answer:
        """A page of campaigns."""
        now = self.clock()
        ids = [*range(1, self.settings.campaigns + 1), STOPPED_ID, NOT_LIVE_ID]
        rows = [campaign.as_dict(now) for number in ids if (campaign := self._find(str(number)))]
        return _page(
            call, "campaigns", rows, partial=("name",), equal=("status", "strategy", "method", "live")
        )

    def get_campaign(self, call: Call) -> Answer:
        """One campaign."""
        return Answer.json(200, {"campaign": self._campaign(call).as_dict(self.clock())})

    def command(self, call: Call) -> Answer:
        """Start, pause or stop; answers the bare campaign, as the sample of [pausecampaign] does."""
        campaign, now = self._campaign(call), self.clock()
        objection = campaign.command(call.record.operation, now, self.settings.transition_s)
        if objection:
            raise _conflict(objection)
        return Answer.json(200, campaign.as_dict(now))

    # Users; those of a campaign are its agents

    def list_users(self, call: Call) -> Answer:
        """A page of users."""
        rows = [_user(number) for number in range(1, self.settings.users + 1)]
        equal = ("sip_account", "security_access_group_id", "extension", "caller_id", "timezone")
        return _page(call, "users", rows, partial=("name", "email"), equal=equal)

    def list_agents(self, call: Call) -> Answer:
        """A page of the campaign's agents."""
        return _page(call, "users", [_user(number) for number in self._campaign(call).agents])

    def add_agents(self, call: Call) -> Answer:
        """Add users; those who are agents already are left out of the answer."""
        agents = self._campaign(call).agents
        body: Any = call.json()
        if type(body) is not dict:
            raise _bad_request()
        wanted = body.get("user_ids")
        if wanted is None:
            raise _invalid({"user_ids": ["is missing"]})
        if type(wanted) is not list or not wanted or not all(type(number) is int for number in wanted):
            raise _invalid({"user_ids": ["must be an array of integers"]})
        if len(wanted) > PAGE:
            raise _invalid({"user_ids": [f"must be {PAGE} at most"]})
        if not all(1 <= number <= self.settings.users for number in wanted):
            raise _not_found()
        added = [number for number in dict.fromkeys(wanted) if number not in agents]
        agents.update(dict.fromkeys(added))
        return Answer.json(200, {"added_users": [_user(number) for number in added]})

    def remove_agent(self, call: Call) -> Answer:
        """Remove one agent; 404 if it is none."""
        agents, number = self._campaign(call).agents, int(call.params["user"])
        if number not in agents:
            raise _not_found()
        del agents[number]
        return Answer.json(200, {"user": _user(number)})

    acts: ClassVar[Mapping[str, Callable[[Voiso, Call], Answer]]] = {
        "import": import_leads,
        "update": update_leads,
        "list_campaigns": list_campaigns,
        "get_campaign": get_campaign,
        "start": command,
        "pause": command,
        "stop": command,
        "list_agents": list_agents,
        "add_agents": add_agents,
        "remove_agent": remove_agent,
        "list_users": list_users,
    }

    # Which campaigns there are

    def _find(self, campaign: str | None) -> Campaign | None:
        """The campaign of that id, made at its first use."""
        number = int(campaign) if campaign and campaign.isdecimal() else 0
        if not (1 <= number <= self.settings.campaigns or number in {STOPPED_ID, NOT_LIVE_ID}):
            return None
        if number not in self._campaigns:
            self._campaigns[number] = Campaign(number, live=number != NOT_LIVE_ID)
            if number == STOPPED_ID:
                self._campaigns[number].put("stopped")
        return self._campaigns[number]

    def _campaign(self, call: Call) -> Campaign:
        campaign = self._find(call.record.campaign)
        if campaign is None:
            raise _not_found()
        return campaign


SCOPE_OF: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        Voiso.acts, "campaigns.manage"
    ),  # for agents assumed, for the rest [seed 000, pausecampaign]
    **dict.fromkeys(("list_campaigns", "get_campaign", "list_agents"), "campaigns.read"),
    "list_users": "users.read",
}


def _sound(call: Call) -> list[tuple[str, dict[str, Any]]]:
    """What `Voiso.arrived` has read. Raises RefusedError."""
    if isinstance(call.parsed, RefusedError):
        raise call.parsed
    found: list[tuple[str, dict[str, Any]]] = call.parsed
    return found


def _check_format(call: Call) -> None:
    accepted = call.headers.get("accept", "*/*")
    if not any(kind in accepted for kind in ("application/json", "application/*", "*/*")):
        raise RefusedError(406, {"errors": {"accept": ["only application/json is supported"]}})
    if has_body(call) and media_type(call) != "application/json":
        raise _bad_request()


def _page(
    call: Call,
    name: str,
    rows: list[dict[str, Any]],
    *,
    partial: Sequence[str] = (),
    equal: Sequence[str] = (),
) -> Answer:
    """The rows that pass the query's filters, from `offset`, at most `limit` of them, and their total."""
    query = call.query
    limit, offset = _whole(query, "limit", PAGE, least=1, most=PAGE), _whole(query, "offset", 0, least=0)
    for field in partial:
        if field in query:
            rows = [row for row in rows if query[field].lower() in str(row[field]).lower()]
    for field in equal:
        if field in query:
            rows = [row for row in rows if _plain(row[field]) == query[field]]
    return Answer.json(200, {name: rows[offset : offset + limit], "metadata": {"total": len(rows)}})


def _whole(query: Mapping[str, str], name: str, default: int, *, least: int, most: int | None = None) -> int:
    text = query.get(name, str(default))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if number < least or (most is not None and number > most):
        raise _invalid({name: [f"must be {least} or more" if most is None else f"must be {least} to {most}"]})
    return number


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _user(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"Agent {number}",
        "email": f"agent{number}@sandbox.example",
        "sip_account": f"sip{number}",
        "security_access_group_id": 1,
        "extension": str(1000 + number),
        "caller_id": None,
        "timezone": "UTC",
    }
