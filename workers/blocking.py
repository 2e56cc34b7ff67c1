"""Why nothing moves: what stands in the way of a job, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from leadlane.workers.bounds import full
from leadlane.workers.commands import COMMANDS
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import unturned

OPT_OUTS = "opt-outs that hold for it are being taken in"
COOLED = {"throttled": "the dialer's rate limit", "failed": "failures of the dialer (the breaker is open)"}
ASKED_FOR = "the dialer asked for it"


@dataclass(frozen=True, slots=True)
class Standing:
    """How an account stands, by its fields in Redis.

    ``state`` is ``free``, ``on hold``, ``cooling`` (the dialer's rate limit), ``breaker open`` (its failures) or
    ``probing`` (after one of these two: one call goes first); ``until_ms`` is when it goes on by itself, if time alone
    decides that.
    """

    state: str
    reason: str = ""
    until_ms: int = 0


def standing(fields: Mapping[str, str], now_ms: int) -> Standing:
    """How an account with these fields stands now."""
    if "hold" in fields:
        return Standing("on hold", fields["hold"])
    cool_ms = int(float(fields.get("cool") or 0))
    reason = COOLED.get(fields.get("cool_why", ""), ASKED_FOR)
    if cool_ms > now_ms:
        return Standing("breaker open" if fields.get("cool_why") == "failed" else "cooling", reason, cool_ms)
    if "probe" in fields and ("throttles" in fields or "trips" in fields):
        return Standing("probing", reason)
    return Standing("free")


def blocked_by(lanes: Lanes, job: Mapping[str, str]) -> str | None:
    """The first obstacle of a job: no worker, hold, quiet time, cool-down, probe; None if nothing is known to block."""
    account, lane, operation = job["acct"], job["lane"], job["op"]
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrangebyscore(lanes.key("workers"), "-inf", "+inf", withscores=True)
        pipe.hget(lanes.key("clock"), "quiet")
        pipe.hgetall(lanes.key("acct", account))
        pipe.hget(lanes.key("lane", lane), "hold")
        pipe.exists(*unturned(lanes, lane))
        queue = "control" if operation in COMMANDS else "turns"
        pipe.hget(lanes.key("slots", queue), "sum")
        (seconds, micros), workers, quiet, stored, lane_hold, opt_outs, slots = pipe.execute()
    now = seconds * 1000 + micros // 1000
    fields = {name.decode(): value.decode() for name, value in stored.items()}
    account_is = standing(fields, now)
    if not any(until > now for _, until in workers):
        return "no worker is alive"
    if lane and int(slots or 0) <= 0:  # a look-up is of no lane
        return f"no worker that is alive takes from the queue {queue}"
    if account_is.state == "on hold":
        return f"account {account} is on hold: {account_is.reason}"
    if why := fields.get(f"hold:{operation}"):
        return f"operation {operation} of account {account} is on hold: {why}"
    if lane_hold:
        return f"the lane is on hold: {lane_hold.decode()}"
    if opt_outs:
        return OPT_OUTS
    if int(quiet or 0) > now:
        return f"Redis was restarted: quiet until {_clock(int(quiet))}"
    if account_is.until_ms and not (operation in COMMANDS and account_is.state == "breaker open"):
        return f"account {account} cools down until {_clock(account_is.until_ms)}: {account_is.reason}"
    if account_is.state == "probing" and lane and operation not in COMMANDS:
        return f"account {account} sends one call first, after {account_is.reason}"
    return None


def waits_for_room(lanes: Lanes, job: Mapping[str, str]) -> str | None:
    """That the producer of an open job waits for room, though what is stored of it goes on; None if it does not."""
    if "sealed" in job or "refused" not in job:
        return None
    found = full(lanes, job["acct"], job["lane"], int(job["refused"]))
    if found is None:
        return None
    whose = "the campaign" if found.of == "campaign" else f"account {job['acct']}"
    return f"{whose} is full, its producer waits for room: {found.waiting:,} leads wait, of {found.limit:,} that may"


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S UTC")
