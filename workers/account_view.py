"""Accounts as people look at them. Reads only; the keys are those of ``lua/lane.lua``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leadlane.workers.accounts import account_names
from leadlane.workers.blocking import standing
from leadlane.workers.bounds import ALL
from leadlane.workers.lane_view import now_ms
from leadlane.workers.lanes import Lanes

HELD_OPERATION = "hold:"


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account at one moment.

    ``state`` is ``free``, ``on hold``, ``cooling`` (the dialer's rate limit), ``breaker open`` (its failures) or
    ``probing`` (after one of these: one call goes first); ``next_s`` is seconds until it goes on by itself (None: when
    somebody releases it); ``held`` are the operations on hold, each with its reason; ``rate`` is what its calls keep
    to, or ``""``. ``leads`` wait for it or are in a turn, ``leads_limit`` may (None: any number).
    """

    account: str
    provider: str
    base_url: str
    state: str
    next_s: float | None
    rate: str
    leads: int
    leads_limit: int | None
    reason: str
    held: Mapping[str, str]


def accounts_at(lanes: Lanes) -> list[AccountView]:
    """Every account that a worker has published, by name."""
    names = account_names(lanes)
    now = now_ms(lanes)
    with lanes.client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(lanes.key("acct", name))
            pipe.hget(lanes.key("load", name), ALL)
        stored = pipe.execute()
    return [
        _view(name, {field.decode(): value.decode() for field, value in raw.items()}, int(leads or 0), now)
        for name, raw, leads in zip(names, stored[::2], stored[1::2], strict=True)
    ]


def _view(name: str, fields: Mapping[str, str], leads: int, now: int) -> AccountView:
    facts: dict[str, Any] = json.loads(fields.get("facts") or "{}")
    held = {
        field.removeprefix(HELD_OPERATION): why
        for field, why in fields.items()
        if field.startswith(HELD_OPERATION)
    }
    found = standing(fields, now)
    operations = "; ".join(f"{operation} is on hold: {why}" for operation, why in held.items())
    return AccountView(
        account=name,
        provider=str(facts.get("provider", "")),
        base_url=str(facts.get("base_url", "")),
        state=found.state,
        next_s=None if found.state == "on hold" else max(found.until_ms - now, 0) / 1000,
        rate=fields.get("rate", ""),
        leads=leads,
        leads_limit=int(fields["max_waiting"]) if "max_waiting" in fields else None,
        reason=found.reason or operations,
        held=held,
    )


def hold(lanes: Lanes, name: str, reason: str, operation: str = "") -> bool:
    """Hold an account, or one operation of it, until somebody releases it: whether that is a change."""
    return lanes.hold("operation" if operation else "account", name, reason, operation)


def release(lanes: Lanes, name: str, operation: str = "") -> dict[str, str]:
    """Let an account, or one operation of it, go on: what stood in its way and does no more, and why it did.

    Without ``operation`` all of it goes on at once: holds, held operations, cool-down and breaker.
    """
    raw: dict[bytes, bytes] = lanes.client.hgetall(lanes.key("acct", name))  # type: ignore[assignment]
    fields = {field.decode(): value.decode() for field, value in raw.items()}
    held = {
        one.removeprefix(HELD_OPERATION): why for one, why in fields.items() if one.startswith(HELD_OPERATION)
    }
    chosen = [operation] if operation else sorted(held)
    released = {one: held.get(one, "") for one in chosen if lanes.hold("operation", name, "", one)}
    if operation:
        return released
    stood = standing(fields, now_ms(lanes))
    was_held = lanes.hold("account", name, "")
    return ({"account": stood.reason} if was_held or stood.state != "free" else {}) | released
