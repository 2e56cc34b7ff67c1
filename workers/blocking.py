"""Why nothing moves: what stands in the way of a job, in words for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from leadlane.workers.commands import COMMANDS
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import unturned

OPT_OUTS = "opt-outs that hold for it are being taken in"
COOLED = {"throttled": "the dialer's rate limit", "failed": "failures of the dialer (the breaker is open)"}


def blocked_by(lanes: Lanes, job: Mapping[str, str]) -> str | None:
    """The first obstacle of a job: no worker, quiet time, hold, cool-down; None if nothing is known to block."""
    account, lane, operation = job["acct"], job["lane"], job["op"]
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.time()
        pipe.zrangebyscore(lanes.key("workers"), "-inf", "+inf", withscores=True)
        pipe.hget(lanes.key("clock"), "quiet")
        pipe.hmget(lanes.key("acct", account), "hold", f"hold:{operation}", "cool", "cool_why")
        pipe.hget(lanes.key("lane", lane), "hold")
        pipe.exists(*unturned(lanes, lane))
        (seconds, micros), workers, quiet, (hold, hold_op, cool, why), lane_hold, opt_outs = pipe.execute()
    now = seconds * 1000 + micros // 1000
    if not any(until > now for _, until in workers):
        return "no worker is alive"
    if hold:
        return f"account {account} is on hold: {hold.decode()}"
    if hold_op:
        return f"operation {operation} of account {account} is on hold: {hold_op.decode()}"
    if lane_hold:
        return f"the lane is on hold: {lane_hold.decode()}"
    if opt_outs:
        return OPT_OUTS
    if int(quiet or 0) > now:
        return f"Redis was restarted: quiet until {_clock(int(quiet))}"
    if int(float(cool or 0)) > now and not (operation in COMMANDS and why == b"failed"):
        return f"account {account} cools down until {_clock(int(float(cool)))}: " + COOLED.get(
            (why or b"").decode(), "the dialer asked for it"
        )
    return None


def _clock(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%H:%M:%S UTC")
