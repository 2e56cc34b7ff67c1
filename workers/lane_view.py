"""The lanes that have work, as people look at them. Reads only; the keys are those of ``lua/lane.lua``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from leadlane.workers.accounts import account_names
from leadlane.workers.blocking import COOLED, OPT_OUTS
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import unturned

GROUPS = ("control", "leads")
CHUNK = 500
STATES = {"idle": "free", "called": "called", "held": "in a turn"}


@dataclass(frozen=True, slots=True)
class LaneView:
    """A lane with work at one moment.

    ``state`` is ``free``, ``called``, ``in a turn`` or ``on hold``; ``waiting`` and ``aboard`` count batches;
    ``next_s`` is seconds until its next action (None: nobody knows); ``reason`` says what it waits for, or ``""``.
    """

    lane: str
    account: str
    campaign: str
    provider: str
    state: str
    waiting: int
    aboard: int
    next_s: float | None
    reason: str


def lanes_with_work(lanes: Lanes) -> list[LaneView]:
    """Every lane with a ticket that waits or is in a turn, the one whose turn is next first; holds come last.

    Lanes are found where the scripts put them: among the called and held ones, in the due sets of their accounts
    and in the sets of held operations. A lane on operator hold is in none of them; the jobs that have not ended
    name it.
    """
    names = account_names(lanes)
    accounts = dict(zip(names, _hashes(lanes, (lanes.key("acct", name) for name in names)), strict=True))
    found: dict[str, None] = {}
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.zrange(lanes.key("timers"), 0, -1)
        for name, account in accounts.items():
            for group in GROUPS:
                pipe.zrange(lanes.key("due", name, group), 0, -1)
            for field in account:
                if field.startswith("hold:"):
                    pipe.zrange(lanes.key("held", name, field.removeprefix("hold:")), 0, -1)
        for members in pipe.execute():
            found.update(dict.fromkeys(member.decode() for member in members))
    found.update(dict.fromkeys(_lanes_of_open_jobs(lanes)))
    now = _now_ms(lanes)
    views = [view for view in _views(lanes, list(found), accounts, now) if view.waiting or view.aboard]
    return sorted(views, key=lambda view: (view.next_s is None, view.next_s or 0.0, view.lane))


def living_workers(lanes: Lanes) -> int:
    """Worker processes that count as alive."""
    return int(lanes.client.zcount(lanes.key("workers"), _now_ms(lanes), "+inf"))


def _now_ms(lanes: Lanes) -> int:
    """The time of the lanes: that of Redis, with the offset that the scripts add."""
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hget(lanes.key("clock"), "offset")
        (seconds, micros), offset = pipe.execute()
    return int(seconds) * 1000 + int(micros) // 1000 + int(offset or 0)


def _lanes_of_open_jobs(lanes: Lanes) -> Iterator[str]:
    at = 0
    while True:
        jobs: list[bytes] = lanes.client.zrange(lanes.key("jobs"), at, at + CHUNK - 1)  # type: ignore[assignment]
        if not jobs:
            return
        with lanes.client.pipeline(transaction=False) as pipe:
            for job in jobs:
                pipe.hmget(lanes.key("job", job.decode()), "lane", "ended")
            for lane, ended in pipe.execute():
                if lane and not ended:
                    yield lane.decode()
        at += CHUNK


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
        for i, (name, fields, ticket) in enumerate(zip(chunk, stored, tickets, strict=True)):
            account = ticket.get("acct") or fields.get("acct", "")
            yield _view(
                name,
                fields,
                ticket,
                account,
                accounts.get(account, {}),
                counted[4 * i],
                len(counted[4 * i + 2]),
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
    hushed: bool,
    now: int,
) -> LaneView:
    address: dict[str, Any] = json.loads(fields.get("address") or "{}")
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
        account=account,
        campaign=f"{account}/{address.get('campaign', '')}",
        provider=str(address.get("provider", "")),
        state="on hold" if at is None else STATES[state],
        waiting=waiting,
        aboard=aboard,
        next_s=None if at is None else max(at - now, 0.0) / 1000,
        reason=hold or (OPT_OUTS if hushed and state == "idle" else _pause(ticket, account, facts, now)),
    )


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
    if _number(facts, "cool") > now:
        return f"account {account} cools down: {COOLED.get(facts.get('cool_why', ''), 'the dialer asked for it')}"
    return ticket.get("reason", "") if _number(ticket, "not_before") > now else ""


def _number(fields: Mapping[str, str], name: str) -> float:
    return float(fields.get(name) or 0)
