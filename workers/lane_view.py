"""Lanes as people look at them. Reads only; the keys are those of ``lua/lane.lua``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from leadlane.workers.accounts import account_names
from leadlane.workers.blocking import OPT_OUTS, standing
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import unturned

GROUPS = ("control", "leads")
CHUNK = 500
STATES = {"idle": "free", "called": "called", "held": "in a turn"}


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane at one moment.

    ``kind`` is ``leads``, ``state``, ``agents`` or ``optout``; ``state`` is ``free``, ``called``, ``in a turn`` or
    ``on hold``; ``waiting`` and ``aboard`` count batches; ``leads`` those of both that are of ``account``, of which
    ``leads_limit`` may wait here (None: any number); ``next_s`` is seconds until its next action (None: nobody knows);
    ``reason`` says what it waits for, or ``""``.
    """

    lane: str
    kind: str
    account: str
    campaign: str
    provider: str
    state: str
    waiting: int
    aboard: int
    leads: int
    leads_limit: int | None
    next_s: float | None
    reason: str


def lanes_with_work(lanes: Lanes) -> list[LaneView]:
    """Every lane with a ticket that waits or is in a turn, the one whose turn is next first; then those on hold.

    Lanes are found where the scripts put them: among the called and held ones, in the due sets of their accounts,
    in the sets of held operations and of those that wait for opt-outs, and in that of lanes on hold, which are told
    also while they are without work.
    """
    accounts = _accounts(lanes)
    now = now_ms(lanes)
    views = [
        view
        for view in _views(lanes, names_with_work(lanes, accounts), accounts, now)
        if view.waiting or view.aboard or view.next_s is None
    ]
    return sorted(views, key=lambda view: (view.next_s is None, view.next_s or 0.0, view.lane))


def names_with_work(lanes: Lanes, accounts: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
    """Names of the lanes that have work or are on hold; ``accounts`` are the fields of each, if they are at hand."""
    accounts = _accounts(lanes) if accounts is None else accounts
    scopes: set[bytes] = lanes.client.smembers(lanes.key("scopes"))  # type: ignore[assignment]
    found: dict[str, None] = {}
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.zrange(lanes.key("timers"), 0, -1)
        pipe.smembers(lanes.key("holds"))
        for scope in scopes:
            pipe.zrange(lanes.key("hushed", scope.decode()), 0, -1)
        for name, account in accounts.items():
            for group in GROUPS:
                pipe.zrange(lanes.key("due", name, group), 0, -1)
            for field in account:
                if field.startswith("hold:"):
                    pipe.zrange(lanes.key("held", name, field.removeprefix("hold:")), 0, -1)
        for members in pipe.execute():
            found.update(dict.fromkeys(member.decode() for member in members))
    return list(found)


def lane_at(lanes: Lanes, lane: str) -> LaneView:
    """One lane, whether it has work or not."""
    (view,) = _views(lanes, [lane], _accounts(lanes), now_ms(lanes))
    return view


@dataclass(frozen=True, slots=True)
class Group:
    """Batches of one lane that are alike: ``where`` is ``waiting``, or ``aboard`` the turn."""

    where: str
    operation: str
    priority: str
    batches: int
    leads: int


@dataclass(frozen=True, slots=True)
class Holder:
    """The ticket that was called, or that holds the turn: its id is that of its Celery task."""

    ticket: str
    job: str
    operation: str
    attempts: int


def groups_of(lanes: Lanes, lane: str) -> list[Group]:
    """What is aboard and what waits, the first to go first."""
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.lrange(lanes.key("aboard", lane), 0, -1)
        pipe.zrange(lanes.key("wait", lane), 0, -1)
        aboard, waiting = pipe.execute()
    counted: dict[tuple[str, str, str], tuple[int, int]] = {}
    for where, tickets in (("aboard", aboard), ("waiting", waiting)):
        for at in range(0, len(tickets), CHUNK):
            with lanes.client.pipeline(transaction=False) as pipe:
                for ticket in tickets[at : at + CHUNK]:
                    pipe.hmget(lanes.key("t", ticket.decode()), "op", "class", "n")
                for op, priority, n in pipe.execute():
                    kind = (where, (op or b"").decode(), (priority or b"").decode())
                    batches, leads = counted.get(kind, (0, 0))
                    counted[kind] = (batches + 1, leads + int(n or 0))
    return [Group(*kind, *sums) for kind, sums in counted.items()]


def holder_of(lanes: Lanes, lane: str) -> Holder | None:
    """Who was called or holds the turn; None if the lane is free."""
    ticket: bytes | None = lanes.client.hget(lanes.key("lane", lane), "ticket")  # type: ignore[assignment]
    if ticket is None:
        return None
    (fields,) = _hashes(lanes, [lanes.key("t", ticket.decode())])
    return Holder(
        ticket.decode(), fields.get("job", ""), fields.get("op", ""), int(_number(fields, "attempts"))
    )


def living_workers(lanes: Lanes) -> int:
    """Worker processes that count as alive."""
    return int(lanes.client.zcount(lanes.key("workers"), now_ms(lanes), "+inf"))


def now_ms(lanes: Lanes) -> int:
    """The time of the lanes: that of Redis, with the offset that the scripts add."""
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hget(lanes.key("clock"), "offset")
        (seconds, micros), offset = pipe.execute()
    return int(seconds) * 1000 + int(micros) // 1000 + int(offset or 0)


def _accounts(lanes: Lanes) -> dict[str, dict[str, str]]:
    """The stored fields of every account."""
    names = account_names(lanes)
    return dict(zip(names, _hashes(lanes, (lanes.key("acct", name) for name in names)), strict=True))


def _hashes(lanes: Lanes, keys: Iterable[str]) -> list[dict[str, str]]:
    with lanes.client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        return [{name.decode(): value.decode() for name, value in raw.items()} for raw in pipe.execute()]


def _views(
    lanes: Lanes, names: list[str], accounts: Mapping[str, Mapping[str, str]], now: int
) -> Iterator[LaneView]:
    for at in range(0, len(names), CHUNK):
        chunk = names[at : at + CHUNK]
        stored = _hashes(lanes, (lanes.key("lane", name) for name in chunk))
        with lanes.client.pipeline(transaction=False) as pipe:
            for name in chunk:
                pipe.zcard(lanes.key("wait", name))
                pipe.zrange(lanes.key("wait", name), 0, 0)
                pipe.lrange(lanes.key("aboard", name), 0, -1)
                pipe.exists(*unturned(lanes, name))
            counted = pipe.execute()
        # Who is at the head: the ticket of the call or turn, else the first that waits.
        heads = [
            fields.get("ticket") or (counted[4 * i + 1] or [b""])[0].decode()
            for i, fields in enumerate(stored)
        ]
        tickets = _hashes(lanes, (lanes.key("t", head) for head in heads))
        owners = [
            ticket.get("acct") or fields.get("acct") or _whose(name, accounts)
            for name, fields, ticket in zip(chunk, stored, tickets, strict=True)
        ]
        with lanes.client.pipeline(transaction=False) as pipe:
            for name, account in zip(chunk, owners, strict=True):
                pipe.hget(lanes.key("load", account), name)
            loads = pipe.execute()
        for i, (name, fields, ticket) in enumerate(zip(chunk, stored, tickets, strict=True)):
            account = owners[i]
            yield _view(
                name,
                fields,
                ticket,
                account,
                accounts.get(account, {}),
                counted[4 * i],
                len(counted[4 * i + 2]),
                int(loads[i] or 0),
                bool(counted[4 * i + 3]),
                now,
            )


def _view(
    lane: str,
    fields: Mapping[str, str],
    ticket: Mapping[str, str],
    account: str,
    facts: Mapping[str, str],
    waiting: int,
    aboard: int,
    leads: int,
    hushed: bool,
    now: int,
) -> LaneView:
    kind, provider, _, campaign = _parts(lane)
    address: dict[str, str] = json.loads(fields.get("address") or "{}")
    state = fields.get("state", "idle")
    hold = _hold(fields, ticket, account, facts)
    at: float | None
    if state != "idle":
        at = _number(fields, "until")
    elif hold:
        at = None
    else:
        at = max(_number(fields, "next"), _number(ticket, "not_before"), _number(facts, "cool"))
    return LaneView(
        lane=lane,
        kind=kind,
        account=account,
        campaign=f"{account}/{address.get('campaign', campaign)}",
        provider=address.get("provider", provider),
        state="on hold" if at is None else STATES[state],
        waiting=waiting,
        aboard=aboard,
        leads=leads,
        leads_limit=_limit(facts, "max_waiting_per_campaign") if kind == "leads" else None,
        next_s=None if at is None else max(at - now, 0.0) / 1000,
        reason=hold or (OPT_OUTS if hushed and state == "idle" else _pause(ticket, account, facts, now)),
    )


def _parts(lane: str) -> tuple[str, str, str, str]:
    """Kind, provider, contact centre and campaign of a lane; one of opt-outs is of no campaign."""
    kind, *rest = lane.split("/", 3)
    provider, place, campaign = rest if len(rest) == 3 else ("", "", "")
    return kind, provider, place, campaign


def _whose(lane: str, accounts: Mapping[str, Mapping[str, str]]) -> str:
    """An account of the lane's contact centre; that of its tickets where it ever had some."""
    _, provider, place, _ = _parts(lane)
    for name, fields in accounts.items():
        facts: dict[str, Any] = json.loads(fields.get("facts") or "{}")
        if (facts.get("provider"), urlsplit(facts.get("base_url", "")).netloc) == (provider, place):
            return name
    return ""


def _hold(
    fields: Mapping[str, str], ticket: Mapping[str, str], account: str, facts: Mapping[str, str]
) -> str:
    if "hold" in fields:
        return f"the lane is on hold: {fields['hold']}"
    if "hold" in facts:
        return f"account {account} is on hold: {facts['hold']}"
    operation = ticket.get("op", "")
    if why := facts.get(f"hold:{operation}"):
        return f"operation {operation} of account {account} is on hold: {why}"
    return ""


def _pause(ticket: Mapping[str, str], account: str, facts: Mapping[str, str], now: int) -> str:
    its = standing(facts, now)
    if its.until_ms:
        return f"account {account} cools down: {its.reason}"
    return ticket.get("reason", "") if _number(ticket, "not_before") > now else ""


def _limit(fields: Mapping[str, str], name: str) -> int | None:
    return int(fields[name]) if name in fields else None


def _number(fields: Mapping[str, str], name: str) -> float:
    return float(fields.get(name) or 0)
