"""Everything that Redis knows of lanes at one moment, and what must be true of it at any."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from redis import Redis

PENDING, FINAL = ".~,:", "cCdaumriesxf?"
ENDED = ("done", "dead")
ABOARD = ("holding", "riding")

READ_ALL = """
local read = { string = { 'GET' }, hash = { 'HGETALL' }, set = { 'SMEMBERS' }, list = { 'LRANGE', 0, -1 },
  zset = { 'ZRANGE', 0, -1, 'WITHSCORES' }, stream = { 'XLEN' } }
local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind = redis.call('TYPE', key).ok
  local how = read[kind]
  out[key] = { kind, redis.call('PTTL', key), redis.call(how[1], key, unpack(how, 2)) }
end
return cjson.encode(out)
"""


class Known(Protocol):
    """What the checks must know of a ticket that the server cannot tell."""

    lane: str
    job: str
    n: int


@dataclass(frozen=True)
class Snapshot:
    """All keys of the prefix P: kind, ms to live (-1: for ever), value."""

    keys: Mapping[str, tuple[str, int, Any]]

    @classmethod
    def of(cls, client: Redis) -> Snapshot:
        """What is there now, read in one piece."""
        return cls(json.loads(client.eval(READ_ALL, 0)) or {})

    def members(self, *parts: str) -> list[str]:
        """Members of a list or set."""
        return list(self._value(parts) or [])

    def hash(self, *parts: str) -> dict[str, str]:
        """Fields of a hash; empty if there is none."""
        flat = self._value(parts) or []
        return dict(zip(flat[::2], flat[1::2], strict=True))

    def scores(self, *parts: str) -> dict[str, float]:
        """Members of a sorted set with their scores, lowest first."""
        return {name: float(score) for name, score in self.hash(*parts).items()}

    def number(self, field: str, *parts: str) -> float:
        """A field of a hash as a number; 0 if there is none."""
        return float(self.hash(*parts).get(field) or 0)

    def ttl(self, *parts: str) -> int | None:
        """Ms to live, -1 for ever; None if there is no such key."""
        found = self.keys.get(":".join(("P", *parts)))
        return found and found[1]

    def _value(self, parts: tuple[str, ...]) -> Any:
        found = self.keys.get(":".join(("P", *parts)))
        return found and found[2]

    @cached_property
    def tickets(self) -> dict[str, dict[str, str]]:
        """Fields of each ticket."""
        names = [key.removeprefix("P:t:") for key in self.keys if key.startswith("P:t:")]
        return {name: self.hash("t", name) for name in names}

    @cached_property
    def codes(self) -> dict[str, str]:
        """Outcome codes of each ticket."""
        return {name: self._value(("out", name)) or "." * int(t["n"]) for name, t in self.tickets.items()}

    @cached_property
    def _sets(self) -> dict[tuple[str, str], list[str]]:
        found = defaultdict(list)
        for key, (kind, _, value) in self.keys.items():
            what, _, name = key.removeprefix("P:").partition(":")
            if what in ("due", "flight", "held", "hushed"):
                for lane in value[::2] if kind == "zset" else value:
                    found[what, lane].append(name)
        return found

    def sets_of(self, what: str, lane: str) -> list[str]:
        """Names of the sets of that kind in which a lane stands: account, account:group, account:operation or scope."""
        return self._sets.get((what, lane), [])

    @cached_property
    def finish(self) -> set[str]:
        """Tickets on the finish list."""
        return set(self.scores("finish"))

    @cached_property
    def called(self) -> dict[str, int]:
        """Tickets called and not yet come, with the number of their call."""
        calls = {**self.scores("calls", "turns"), **self.scores("calls", "control")}
        return {name: int(number) for name, number in calls.items()}

    def state(self, ticket: str) -> str:
        """A ticket's state, ``new`` before it is known."""
        return self.tickets.get(ticket, {}).get("state", "new")

    def of_lane(self, lane: str, *states: str) -> set[str]:
        """The tickets of a lane in these states."""
        return {name for name, t in self.tickets.items() if t["lane"] == lane and t["state"] in states}


def is_sound(
    now: Snapshot, known: Mapping[str, Known], *, lanes: Iterable[str], sealed: Collection[str]
) -> None:
    """Holds the snapshot against itself.

    Args:
        now: the snapshot.
        known: the tickets that were submitted.
        lanes: all lanes.
        sealed: jobs that were sealed.
    """
    for name in now.tickets:
        _clocks_run_for_finished_tickets_only(now, name)
    for job in {ticket.job for ticket in known.values()}:
        _each_lead_is_counted_once(
            now, job, [name for name in now.tickets if known[name].job == job], job in sealed
        )
    due = [_lane_is_where_its_state_says(now, lane) for lane in lanes]
    accounts = [key.removeprefix("P:acct:") for key in now.keys if key.startswith("P:acct:")]
    for account in accounts:
        may_be_served = account in due and "hold" not in now.hash("acct", account)
        assert (account in now.scores("accounts")) == may_be_served, (
            f"{account} has a lane due: {account in due}"
        )
    assert all(now.state(name) in ENDED for name in now.finish), "a result of a ticket that goes on"
    _what_waits_is_counted(now)
    assert set(now.scores("uncertain")) == {name for name, codes in now.codes.items() if "?" in codes}


def _clocks_run_for_finished_tickets_only(now: Snapshot, name: str) -> None:
    ends = now.state(name) == "done"
    for part in ("t", "pay", "out", "why"):
        ttl = now.ttl(part, name)
        assert ttl is None or (ttl > 0) == ends, f"{part} of {name}, {now.state(name)}, lives {ttl} ms"


def _each_lead_is_counted_once(now: Snapshot, job: str, names: list[str], sealed: bool) -> None:
    fields = now.hash("job", job)
    counted = {key[2:]: int(n) for key, n in fields.items() if key.startswith("n:") and int(n)}
    text = "".join(now.codes[name] for name in names)
    assert counted == {code: text.count(code) for code in FINAL if code in text}
    states = [now.state(name) for name in names]
    dead = "".join(now.codes[name] for name in names if now.state(name) == "dead")
    assert int(fields.get("dead", 0)) == sum(dead.count(code) for code in PENDING)
    assert int(fields.get("dead_tickets", 0)) == states.count("dead")
    assert int(fields.get("done", 0)) == states.count("done")
    assert int(fields.get("leads", 0)) == len(text)
    assert ("ended" in fields) == (sealed and all(state in ENDED for state in states))
    for key in ("job", "batches"):
        ttl = now.ttl(key, job)
        assert ttl is None or (ttl > 0) == (sealed and all(state == "done" for state in states))


def waiting(now: Snapshot) -> dict[str, dict[str, int]]:
    """Leads that wait or are in a turn, per account: in all, and by lane."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for t in now.tickets.values():
        if t["state"] not in ENDED and t["lane"].startswith("leads/") and int(t["size"]):
            found[t["acct"]].update({"all": int(t["size"]), t["lane"]: int(t["size"])})
    return {account: dict(counted) for account, counted in found.items()}


def _what_waits_is_counted(now: Snapshot) -> None:
    names = [key.removeprefix("P:load:") for key in now.keys if key.startswith("P:load:")]
    counted = {name: {field: int(n) for field, n in now.hash("load", name).items()} for name in names}
    assert counted == waiting(now), "what waits is not what is counted"


def _lane_is_where_its_state_says(now: Snapshot, lane: str) -> str | None:
    """Checks one lane; the account in whose due set it stands."""
    fields = now.hash("lane", lane)
    state = fields.get("state", "idle")
    for scope in now.sets_of("hushed", lane):
        assert now.members("unturned", scope), f"{lane} waits for no opt-out"
    waits, aboard = set(now.scores("wait", lane)), set(now.members("aboard", lane))
    assert waits == now.of_lane(lane, "waiting", "called")
    assert aboard == now.of_lane(lane, *ABOARD)
    called = now.of_lane(lane, "called")
    assert called == {name for name in now.called if now.tickets[name]["lane"] == lane}
    assert len(called) == (state == "called")
    assert state == "held" or not aboard
    due, flying, held = (now.sets_of(kind, lane) for kind in ("due", "flight", "held"))
    assert len(flying) == (state == "held")
    assert (lane in now.scores("timers")) == (state != "idle")
    assert len(due) + (state != "idle") <= 1, "a lane has one next moment"
    if state == "idle" and waits and "hold" not in fields:
        hushed = now.sets_of("hushed", lane)
        assert due or held or hushed, f"{lane} has work and no next moment"
    return due[0].split(":")[0] if due else None
