"""Accounts as people look at them. Reads only; the keys are those of ``lua/lane.lua``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leadlane.workers.accounts import account_names
from leadlane.workers.blocking import COOLED
from leadlane.workers.lane_view import now_ms
from leadlane.workers.lanes import Lanes

HELD_OPERATION = "hold:"


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account at one moment.

    ``state`` is ``free``, ``on hold``, ``cooling`` (the dialer's rate limit) or ``breaker open`` (its failures);
    ``next_s`` is seconds until it goes on by itself (None: when somebody releases it); ``held`` are the operations
    on hold, each with its reason; ``rate`` is what its calls keep to, or ``""``.
    """

    account: str
    provider: str
    base_url: str
    state: str
    next_s: float | None
    rate: str
    reason: str
    held: Mapping[str, str]


def accounts_at(lanes: Lanes) -> list[AccountView]:
    """Every account that a worker has published, by name."""
    names = account_names(lanes)
    now = now_ms(lanes)
    with lanes.client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(lanes.key("acct", name))
        stored = pipe.execute()
    return [
        _view(name, {field.decode(): value.decode() for field, value in raw.items()}, now)
        for name, raw in zip(names, stored, strict=True)
    ]


def _view(name: str, fields: Mapping[str, str], now: int) -> AccountView:
    facts: dict[str, Any] = json.loads(fields.get("facts") or "{}")
    held = {
        field.removeprefix(HELD_OPERATION): why
        for field, why in fields.items()
        if field.startswith(HELD_OPERATION)
    }
    cools_s = max(float(fields.get("cool") or 0) - now, 0.0) / 1000
    state, reason, next_s = "free", "", 0.0
    if "hold" in fields:
        state, reason = "on hold", fields["hold"]
    elif cools_s:
        why = fields.get("cool_why", "")
        state = "breaker open" if why == "failed" else "cooling"
        reason, next_s = COOLED.get(why, "the dialer asked for it"), cools_s
    elif held:
        reason = "; ".join(f"{operation} is on hold: {why}" for operation, why in held.items())
    return AccountView(
        account=name,
        provider=str(facts.get("provider", "")),
        base_url=str(facts.get("base_url", "")),
        state=state,
        next_s=None if state == "on hold" else next_s,
        rate=fields.get("rate", ""),
        reason=reason,
        held=held,
    )


def release(lanes: Lanes, name: str, operation: str = "") -> list[str]:
    """Let an account, or one operation of it, go on: what was on hold and is not any more.

    Without ``operation`` all of it goes on at once: holds, held operations, cool-down and breaker.
    """
    raw: dict[bytes, bytes] = lanes.client.hgetall(lanes.key("acct", name))  # type: ignore[assignment]
    fields = {field.decode() for field in raw}
    held = sorted(field.removeprefix(HELD_OPERATION) for field in fields if field.startswith(HELD_OPERATION))
    if operation:
        return [operation] if lanes.hold("operation", name, "", operation) else []
    released = [one for one in held if lanes.hold("operation", name, "", one)]
    cooled = "cool" in fields
    if lanes.hold("account", name, "") or cooled:
        released.insert(0, "account")
    return released
