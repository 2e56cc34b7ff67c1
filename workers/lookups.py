"""Look-ups: lists that come in pages, and what a dialer says of campaigns and agents.

Nothing is changed, so no lane is needed; the account's rate and its holds are obeyed all the same.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from leadlane.schemas.errors import BadCampaign, DialerFailed
from leadlane.schemas.problems import one_line
from leadlane.schemas.settings import Account
from leadlane.workers.accounts import NO_SETTINGS, lane_at
from leadlane.workers.answers import Meaning, meaning
from leadlane.workers.blocking import blocked_by
from leadlane.workers.calls_made import LOOK, Made, call
from leadlane.workers.conduct import admitted, decoded, request_of
from leadlane.workers.engine import Engine
from leadlane.workers.providers import Provider
from leadlane.workers.providers.contract import Endpoint, Listing, States
from leadlane.workers.transport import NoAnswer
from leadlane.workers.verdicts import Answered

MOST_PAGES = 1000
MOST_ROWS = 100_000
MAX_ID = 200
_KEPT = ("name", "status")
SLOT_WITHIN_S = 10.0
"""How long a call of a look-up waits for its slot of the account's rate."""
PHASES = {"start": "started", "pause": "paused", "stop": "stopped"}
"""What a campaign is, in our words, by the command that asks for it."""

_EMAIL = re.compile(r"[^\s<>]+@[^\s<>]+")


class OddAnswerError(Exception):
    """The answer to a look is not what was asked for."""

    def __init__(self, answer: Answered, means: Meaning) -> None:
        super().__init__(answer.status)
        self.answer, self.means = answer, means


def every_row(listing: Listing, ask: Callable[[str], Answered]) -> list[Mapping[str, Any]]:
    """``id``, a text, ``name`` and ``status`` of the rows of all pages; ``ask`` gets the query of each.

    Raises OddAnswerError, also for a list without end: one that shows the same page again and again.
    """
    rows: dict[str, Mapping[str, Any]] = {}
    for number in range(MOST_PAGES):
        answer = ask(listing.query(number))
        means = meaning(answer.status)
        if means is not Meaning.OK:
            raise OddAnswerError(answer, means)
        try:
            page = listing.read(answer.body, number)
            more = {_id(row): {field: row.get(field) for field in _KEPT} for row in page.rows}
        except ValueError:
            raise OddAnswerError(answer, Meaning.ODD) from None
        if (page.more and more and more.keys() <= rows.keys()) or len(rows) + len(more) > MOST_ROWS:
            raise OddAnswerError(answer, Meaning.ODD)
        rows |= more
        if not (page.more and more):
            break
    return [{**row, "id": name} for name, row in rows.items()]


def _id(row: Mapping[str, Any]) -> str:
    given = row["id"]
    if (
        isinstance(given, bool)
        or not isinstance(given, (int, str))
        or not 0 < len(text := str(given)) <= MAX_ID
    ):
        raise ValueError("a row without an id")
    return text


@dataclass(frozen=True, slots=True)
class LookUp:
    """A question to the dialer of one account.

    Raises BadCampaign if the dialer has no such campaign, DialerFailed if it gives no good answer.
    """

    engine: Engine
    account: Account
    provider: Provider

    @classmethod
    def of(cls, engine: Engine, account_name: str) -> LookUp:
        """A look-up of this account; raises DialerFailed if this worker has no settings for it."""
        account = engine.account(account_name)
        if account is None:
            raise DialerFailed(account_name, NO_SETTINGS, "give each worker the same leadlane.toml")
        return cls(engine, account, engine.provider(account))

    def status(self, campaign: str) -> dict[str, str]:
        """``campaign``, ``name``, ``status`` in the dialer's word, and ``phase`` in ours (PHASES, changing, other)."""
        states = self.provider.states
        assert states is not None  # noqa: S101  checked before
        if states.look is None:
            row = next((row for row in self._rows("status", states.listing) if row["id"] == campaign), None)
            if row is None:
                raise self._no_campaign(campaign)
            status, name = _text(row.get("status")), _text(row.get("name"))
        else:
            answer = self._ask("status", states.look, campaign)
            if meaning(answer.status) is not Meaning.OK:
                raise self._told(answer, meaning(answer.status), campaign)
            try:
                status, name = _text(states.status(answer.body, campaign)), _text(states.name(answer.body))
            except ValueError:
                raise self._told(answer, Meaning.ODD, campaign) from None
        address = f"{self.account.name}/{campaign}"
        return {"campaign": address, "name": name, "status": status, "phase": phase(states, status)}

    def campaigns(self) -> list[dict[str, str]]:
        """``id``, ``name`` and ``status`` of each campaign, in the dialer's order."""
        listing = self.provider.states.listing if self.provider.states else None
        return [_small(row, "id", "name", "status") for row in self._rows("campaigns", listing)]

    def agents(self, campaign: str) -> list[dict[str, str]]:
        """``id`` and ``name`` of each agent of the campaign, in the dialer's order."""
        listing = self.provider.agents.listing if self.provider.agents else None
        return [_small(row, "id", "name") for row in self._rows("agents", listing, campaign)]

    def _rows(self, what: str, listing: Listing | None, campaign: str = "") -> list[Mapping[str, Any]]:
        assert listing is not None  # noqa: S101  checked before
        try:
            return every_row(listing, lambda query: self._ask(what, listing.endpoint, campaign, query))
        except OddAnswerError as odd:
            raise self._told(odd.answer, odd.means, campaign) from None

    def _ask(self, what: str, endpoint: Endpoint, campaign: str, query: str = "") -> Answered:
        engine, account = self.engine, self.account
        if why := blocked_by(engine.lanes, {"acct": account.name, "lane": "", "op": what}):
            raise DialerFailed(account.name, why, "try again when that is over")
        if not admitted(engine, account, SLOT_WITHIN_S):
            raise DialerFailed(account.name, "its rate leaves no room now", "try again later")
        body = endpoint.body(campaign, ())
        path, key = endpoint.target(campaign, (), query), engine.keys[account.name]
        request = request_of(self.provider, account, key, endpoint.method, path, body)
        try:
            answer = call(
                engine.transport,
                request,
                lambda made: self._note(made, campaign),
                operation=LOOK,
                size=0,
                timeout_s=account.timeout_s,
            )
            return decoded(engine, account, answer)
        except NoAnswer as silent:
            raise DialerFailed(
                account.name, f"its dialer gives no answer ({silent.reason})", "try again later"
            ) from None

    def _note(self, made: Made, campaign: str) -> None:
        lanes, account = self.engine.lanes, self.account
        lanes.note(
            {
                "lane": lane_at(self.provider.name, account.base_url, campaign, "look"),
                "acct": account.name,
                "token": uuid4().hex,
                "worker": self.engine.keeper.worker,
                "call": made.document(1, time.monotonic()),
            }
        )

    def _told(self, answer: Answered, means: Meaning, campaign: str) -> Exception:
        """What is raised for an answer that is no plain yes."""
        account = self.account.name
        if means is Meaning.MISSING and campaign:
            return self._no_campaign(campaign)
        words = f"{answer.status}: {_text(self.provider.problem(answer.body)) or 'no words'}"
        if means is Meaning.UNAUTHORIZED:
            self.engine.lanes.hold("account", account, words, over="")
            problem, remedy = f"its dialer refuses the key ({words}); it is on hold now", "mend the key"
        elif means is Meaning.FORBIDDEN:
            problem, remedy = f"its key may not do this ({words})", "give the key the scope that is needed"
        elif means is Meaning.ODD and 200 <= answer.status < 300:
            problem, remedy = f"its dialer's answer ({answer.status}) cannot be read", "try again later"
        else:
            problem, remedy = f"its dialer refuses ({words})", "try again later"
        return DialerFailed(account, problem, remedy)

    def _no_campaign(self, campaign: str) -> BadCampaign:
        return BadCampaign(
            f"{self.account.name}/{campaign}",
            "its dialer has no such campaign",
            f"look at `leadlane campaign list --account {self.account.name}`",
        )


def phase(states: States, status: str) -> str:
    """The dialer's word for a campaign's state in ours."""
    if status in states.passing:
        return "changing"
    return next((PHASES[command] for command, words in states.reached.items() if status in words), "other")


def _small(row: Mapping[str, Any], *fields: str) -> dict[str, str]:
    return {field: row[field] if field == "id" else _text(row.get(field)) for field in fields}


def _text(value: object) -> str:
    """A dialer's word or name: one short line, in which no phone number or e-mail address is seen."""
    return _EMAIL.sub("[e-mail]", one_line(value))
