"""When leads will have left: from what waits ahead of them, how calls are filled, and the pace of dialer and fleet.

An estimate that assumes that nothing more comes, and that lanes with work take turns. It reads a fixed number of keys,
and three of each account.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from leadlane.workers.accounts import Facts, facts_of
from leadlane.workers.blocking import blocked_by
from leadlane.workers.bounds import ALL, Full
from leadlane.workers.commands import COMMANDS
from leadlane.workers.jobs import counts_of
from leadlane.workers.lanes import MOST_RIDERS, Lanes
from leadlane.workers.pace import UNKNOWN_CALL_S, Pace, bound


@dataclass(frozen=True, slots=True)
class Shared:
    """What an account has under way: its pace, its lanes with work, their leads, and most turns at once (0: any)."""

    pace: Pace
    lanes: int
    leads: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class Line:
    """A leads lane at one moment.

    ``idle_s`` is how long until its next call may begin; ``batches`` wait, of ``leads`` in all; ``place`` is how many
    of them there are up to the last of the job that was asked about, None if that one does not wait.
    """

    idle_s: float
    batches: int
    leads: float
    place: int | None
    slots: int
    own: Shared
    others: tuple[Shared, ...]

    @property
    def _size(self) -> float:
        return max(self.leads / self.batches, 1.0) if self.batches else 1.0

    def calls(self, leads: float) -> int:
        """Calls for the first so many leads of the lane: batches, all as large as their average, are never split."""
        most = self.own.pace.leads_per_call
        if most == 1:
            return math.ceil(leads)
        batches = math.ceil(leads / self._size)
        if self._size > most:
            return batches * math.ceil(self._size / most)
        return math.ceil(batches / min(int(most // self._size), MOST_RIDERS + 1))

    def leads_to(self, place: int) -> float:
        """Leads of the first so many batches."""
        return self.leads * place / self.batches if self.batches else 0.0

    def seconds(self, calls: int, calls_of_account: int | None = None) -> float:
        """Seconds until so many calls of this lane are over, while all others with work take turns with it.

        ``calls_of_account`` is how many the account makes meanwhile, if that is not as many in each of its lanes.
        """
        pace, slots = self.own.pace, max(self.slots, 1)
        total = self.calls(self.own.leads) if calls_of_account is None else calls_of_account
        account = max(min(total, self.own.lanes * calls), calls)
        worked_s = pace.worked_s(account)
        elsewhere_s = sum(
            one.pace.worked_s(min(one.pace.calls(one.leads), one.lanes * calls)) for one in self.others
        )
        shared_s = max((worked_s + elsewhere_s) / slots, worked_s / (self.own.in_flight or slots))
        longest_s, _ = bound(pace.campaign_s(calls), pace.rate_s(account), shared_s)
        return self.idle_s + longest_s


def eta(lanes: Lanes, job: str, fields: Mapping[str, str]) -> str | None:
    """When the job's last lead is expected to have left, in ISO 8601, UTC; None if none waits, or of a command."""
    waiting = counts_of(fields)["waiting"]
    if not waiting or fields["op"] in COMMANDS:
        return None
    found = look(lanes, fields["acct"], fields["lane"], fields["op"], job)
    if found is None:
        return None
    line, now_ms = found
    leads = min(waiting, line.leads) if line.place is None else line.leads_to(line.place)
    at = now_ms / 1000 + line.seconds(line.calls(leads))
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def room_in_s(lanes: Lanes, full: Full, account: str, lane: str, operation: str, leads: int) -> float | None:
    """In how many seconds so many leads more are expected to fit; None if nobody can say."""
    if blocked_by(lanes, {"acct": account, "lane": lane, "op": operation}):
        return None
    found = look(lanes, account, lane, operation)
    if found is None:
        return None
    line, _ = found
    calls = line.calls(min(full.waiting, full.waiting + leads - full.limit))
    if full.of == "account":
        return line.seconds(math.ceil(calls / max(line.own.lanes, 1)), calls)
    return line.seconds(calls)


def look(lanes: Lanes, account: str, lane: str, operation: str, job: str = "") -> tuple[Line, int] | None:
    """The lane now, and what time it is, ms; None if no worker has told of its account."""
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.hmget(lanes.key("clock"), "offset", "quiet")
        pipe.hmget(lanes.key("lane", lane), "state", "next", "began", "ticket")
        pipe.zcard(lanes.key("wait", lane))
        pipe.llen(lanes.key("aboard", lane))
        pipe.zrange(lanes.key("wait", lane), 0, 0)
        pipe.lindex(lanes.key("batches", job), -1)
        pipe.hget(lanes.key("slots", "turns"), "sum")
        pipe.hlen(lanes.key("slots", "turns"))
        pipe.smembers(lanes.key("names"))
        (seconds, micros), (offset, quiet), fields, waiting, aboard, first, last, slots, workers, names = (
            pipe.execute()
        )
    now_ms = seconds * 1000 + micros // 1000 + int(offset or 0)
    state, next_ms, began, ticket = fields
    head = (ticket or (first or [b""])[0]).decode()
    accounts = [account, *(name.decode() for name in names if name.decode() != account)]
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.hget(lanes.key("t", head), "not_before")
        pipe.get(lanes.key("out", head))
        pipe.zrank(lanes.key("wait", lane), last or b"")
        pipe.hget(lanes.key("load", account), lane)
        for name in accounts:
            pipe.hmget(lanes.key("acct", name), "facts", "gcra", "call_ms", "flight", "cool")
            pipe.hget(lanes.key("load", name), ALL)
            pipe.hlen(lanes.key("load", name))
        not_before, codes, rank, load, *rest = pipe.execute()
    shared = [
        _shared(name, operation if name == account else "import", *rest[3 * i : 3 * i + 3])
        for i, name in enumerate(accounts)
    ]
    own = shared[0]
    if own is None:
        return None
    pace, leads = own.pace, float(load or 0)
    if state == b"held" and pace.leads_per_call > 1:
        # What is aboard leaves with the call under way, and the rest follows.
        call_left_s = max(float(began or 0) / 1000 + pace.call_s - now_ms / 1000, 0.0)
        idle_s = call_left_s + (pace.gap_s if waiting else 0.0)
        leads *= waiting / max(waiting + aboard, 1)
    else:
        moments = [float(moment or 0) for moment in (next_ms, not_before, quiet, rest[0][4])]
        idle_s = max(max(moments) - now_ms, 0.0) / 1000
        waiting += aboard
        rank = None if rank is None else rank + aboard
        leads = max(leads - sum(code not in b".~,:i" for code in codes or b""), 0.0)
        # Other lanes are taken to be as far with what they have begun as this one is.
        own = replace(own, leads=math.ceil(own.leads * leads / max(float(load or 0), 1.0)))
    line = Line(
        idle_s=idle_s,
        batches=waiting,
        leads=leads,
        place=None if rank is None else rank + 1,
        slots=_slots(int(slots or 0), workers - 1),
        own=own,
        others=tuple(one for one in shared[1:] if one is not None and one.leads),
    )
    return line, now_ms


def _slots(called: int, workers: int) -> int:
    """Calls that workers make at once: the slot that each keeps for intake is used while no by-name batch comes."""
    return called + workers if called > workers else called


def _shared(
    name: str, operation: str, stored: list[bytes | None], leads: bytes | None, fields: int
) -> Shared | None:
    raw, gcra, call_ms, flight, _ = stored
    if raw is None:
        return None
    call_s = float(call_ms) / 1000 if call_ms else UNKNOWN_CALL_S
    return Shared(
        pace=pace_of(facts_of(name, raw), operation, call_s=call_s, gcra=(gcra or b"").decode()),
        lanes=max(fields - 1, 0),
        leads=int(leads or 0),
        in_flight=int(flight or 0),
    )


def pace_of(facts: Facts, operation: str, *, call_s: float, gcra: str) -> Pace:
    """The pace of an account whose calls take so long, by its dialer's rules and its settings."""
    record = facts.dialer
    found = record.operations.get(operation, record.operations["import"]).at(
        facts.switches, facts.leads_per_call
    )
    steps = [float(window.partition(":")[0]) / 1000 for window in gcra.split(",") if window]
    return Pace(
        call_s=call_s,
        gap_s=0.0 if found.in_slices else record.gap_s if facts.gap_s is None else facts.gap_s,
        leads_per_call=found.leads_per_call,
        lines=record.parallel if found.in_slices else 1,
        spacing_s=max(steps, default=0.0),
    )
