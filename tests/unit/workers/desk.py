"""A worker's engine at a fake Redis and a fake dialer, whose turns a test takes one by one."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import fakeredis
import httpx

from leadlane.schemas.settings import Account, Rate, Settings
from leadlane.workers import commands, turn
from leadlane.workers.accounts import publish_facts, read_facts
from leadlane.workers.engine import Engine
from leadlane.workers.intake import Intake
from leadlane.workers.jobs import Jobs
from leadlane.workers.keeper import Keeper
from leadlane.workers.lanes import Lanes
from leadlane.workers.lead_ids import LeadIds
from leadlane.workers.optouts import OptOuts
from leadlane.workers.transport import Transport

KEY = "key-of-the-dialer"
Dialer = Callable[[httpx.Request], httpx.Response]


def number(i: int) -> str:
    return f"+1212555{i + 1:04d}"


def leads(n: int, **fields: object) -> list[dict[str, object]]:
    return [{"phone_number": number(i), "name": f"Lead {i}", **fields} for i in range(n)]


class Desk:
    """One account at one campaign. Waiting moves the clock of the lanes and takes no time."""

    def __init__(self, dialer: Dialer, provider: str, campaign: str, **account: Any) -> None:
        given = {"rate": (Rate.parse("10000/s"),), "timeout_s": 1.0, "lost_call_s": 1.0} | account
        given.setdefault("base_url", "http://dialer.test")
        self.account = Account(name="acct", provider=provider, api_key="env:KEY", **given)
        self.campaign = campaign
        self.client = fakeredis.FakeRedis()
        lanes = Lanes(self.client, "leadlane")
        settings = Settings(accounts={"acct": self.account})
        publish_facts(lanes, settings)
        self.engine = Engine(
            settings=settings,
            lanes=lanes,
            jobs=Jobs(lanes),
            transport=Transport(transport=httpx.MockTransport(dialer)),
            keeper=Keeper(lanes, worker="w", slots={"turns": 1}, lease_s=60),
            lead_ids=LeadIds(lanes, b"k" * 32),
            opt_outs=OptOuts(lanes, b"k" * 32),
            keys={"acct": KEY},
            publish=lambda _: None,
            finish=lambda *_: None,
            dice=lambda: 0.0,
            sleep=self.later,
        )

    def later(self, seconds: float) -> None:
        self.client.hincrby("leadlane:clock", "offset", int(seconds * 1000) + 1)

    def put(self, rows: Sequence[object], operation: str = "import", **options: Any) -> str:
        """The ticket of a new job with these rows."""
        lanes, facts = self.engine.lanes, read_facts(self.engine.lanes, "acct")
        intake = Intake(facts, operation)
        job = self.engine.jobs.open("acct", self.campaign, facts.lane(self.campaign), operation)
        (draft,) = intake.drafts(rows)
        ticket = intake.ticket(draft, job=job, campaign=self.campaign, **{"priority": "normal"} | options)
        lanes.submit(ticket, may_call=False)
        lanes.seal(job)
        return ticket.id

    def command(
        self, operation: str, *, seq: int | None = 0, after: str = "", account: str = "acct", name: str = ""
    ) -> str:
        """The ticket of a new command."""
        lanes, facts = self.engine.lanes, replace(read_facts(self.engine.lanes, "acct"), name=account)
        ticket = commands.ticket(
            facts, operation, self.campaign, {}, id=name or uuid4().hex[:8], seq=seq, after=after
        )
        self.engine.jobs.open(account, self.campaign, ticket.lane, operation, job=ticket.job)
        lanes.submit(ticket, may_call=False)
        return ticket.id

    def fate(self, ticket: str) -> dict[str, object]:
        """What became of a command so far."""
        return self.engine.jobs.fate(ticket, self.fields(ticket))

    def turn(self, ticket: str) -> turn.End:
        """The next turn of the ticket, as soon as its lane is free."""
        self.later(0.01)
        operation = self.fields(ticket)["op"]
        return turn.take(self.engine, ticket, account_name="acct", operation_name=operation, number=0)

    def fields(self, ticket: str) -> dict[str, str]:
        return {
            name.decode(): value.decode()
            for name, value in self.client.hgetall(f"leadlane:t:{ticket}").items()
        }

    def codes(self, ticket: str) -> str:
        return (self.client.get(f"leadlane:out:{ticket}") or b"").decode()

    def reasons(self, ticket: str) -> dict[str, str]:
        return {
            name.decode(): why.decode() for name, why in self.client.hgetall(f"leadlane:why:{ticket}").items()
        }

    def told(self, name: str) -> str:
        """What the lanes know of the account."""
        return (self.client.hget("leadlane:acct:acct", name) or b"").decode()


class FakeDialer:
    """A dialer that takes every lead; `odd` answers, or raises, for the numbers it names. Remembers each call."""

    def __init__(self, odd: dict[str, Sequence[Any]] | None = None, answer: Any = None) -> None:
        self.odd = {number: list(answers) for number, answers in (odd or {}).items()}
        self.answer = answer
        self.requests: list[httpx.Request] = []
        self.bodies: list[Any] = []

    @property
    def numbers(self) -> list[str]:
        """Who was sent, in order."""
        return [self.number_of(body) for body in self.bodies]

    @staticmethod
    def number_of(body: Any) -> str:
        return body.get("phone_number") or body["countryCode"] + body["phoneNumber"]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        body = json.loads(request.content) if request.content else {}
        self.bodies.append(body)
        answers = self.odd.get(
            self.number_of(body) if "phoneNumber" in body or "phone_number" in body else ""
        )
        answer = answers.pop(0) if answers else self.answer
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if request.method != "POST":
            return httpx.Response(200, json={"message": "done"})
        lead = {"id": f"lead_{len(self.requests)}", "status": "pending"}
        return httpx.Response(201, json=lead | {"data": lead})
