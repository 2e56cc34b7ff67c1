"""The public facts of accounts: what workers publish in Redis, so that producers need no settings.

Never a key. Facts have no expiry; a worker that starts writes its own over them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.errors import BadCampaign, UnknownAccount, UnsupportedOperation, WrongUse
from leadlane.schemas.phones import PhoneCheck, masked
from leadlane.schemas.settings import Account, Rate, Settings, SuppressScope
from leadlane.workers.engine import gap_s
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import EVERYWHERE, NOBODY, scopes_of
from leadlane.workers.pace import burst, spacing_s
from leadlane.workers.providers import PROVIDERS, Operation, Provider
from leadlane.workers.vault import NO_KEY

NO_SETTINGS = "a worker has no settings for this account"
"""Why an account is on hold whose work came to such a worker."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a producer must know of an account, and who checks its calls: there None is the record's own rule."""

    name: str
    provider: str
    base_url: str
    region: str | None
    phone_check: PhoneCheck
    suppress_scope: SuppressScope = "account"
    switches: frozenset[str] = frozenset()
    gap_s: float | None = None
    leads_per_call: int | None = None

    @property
    def dialer(self) -> Provider:
        """The provider's record, as far as the account's switches let it be used."""
        return PROVIDERS[self.provider].offered(self.switches)

    def operation(self, name: str) -> Operation:
        """The operation; raises UnsupportedOperation if the dialer has none of this name."""
        try:
            return self.dialer.operations[name]
        except KeyError:
            raise self._unsupported(name) from None

    def check(self, operation: str, on_duplicate: str = "keep") -> None:
        """Raises UnsupportedOperation if the dialer cannot do this, or not update what an import finds there.

        WrongUse if the two cannot go together.
        """
        if operation not in self.dialer.supported:
            raise self._unsupported(operation)
        if on_duplicate == "update" and operation == "upload":
            raise WrongUse(
                "on_duplicate: a file's answer names no duplicates; leave it out, or import without a file"
            )
        if on_duplicate == "update":
            self.operation("update")

    def _unsupported(self, operation: str) -> UnsupportedOperation:
        switch = PROVIDERS[self.provider].switch_of(operation)
        return UnsupportedOperation(self.name, operation, self.dialer.supported, switch)

    def lane(self, campaign: str, kind: str = "leads") -> str:
        """The lane of a campaign: accounts with keys to the same contact centre share it."""
        return lane_at(self.provider, self.base_url, campaign, kind)

    def scope(self, reach: SuppressScope, campaign: str = "") -> str:
        """The scope of an opt-out that shall reach so far from this account, or this campaign of it."""
        if reach == "all":
            return EVERYWHERE
        in_campaign, in_account, _ = scopes_of(self.lane(campaign))
        return in_campaign if reach == "campaign" else in_account


def lane_at(provider: str, base_url: str, campaign: str, kind: str) -> str:
    """The lane of this kind of a campaign of the dialer at an address."""
    return f"{kind}/{provider}/{urlsplit(base_url).netloc}/{campaign}"


def gcra(rates: tuple[Rate, ...]) -> str:
    """Rates as ``lane.lua`` takes them: ``T:tolerance,...`` in ms.

    One in 25 of a window may go at once, the rest is spread evenly, so that no window of its length, wherever it
    begins, holds more than the rate.
    """
    parts = []
    for rate in rates:
        step = spacing_s(rate) * 1000
        parts.append(f"{step:.3f}:{(burst(rate) - 1) * step:.3f}")
    return ",".join(parts)


def default_rates(provider: Provider) -> tuple[Rate, ...]:
    """The limits that a provider's record assumes for an account that sets none."""
    return tuple(Rate.parse(text) for text in provider.rates)


def publish_facts(lanes: Lanes, settings: Settings) -> None:
    """Write the facts of all accounts of these settings, and what the lane scripts need of them."""
    longest = 0.0
    with lanes.client.pipeline(transaction=False) as pipe:
        for account in settings.accounts.values():
            provider = PROVIDERS.get(account.provider)
            if provider is None:
                continue
            key = lanes.key("acct", account.name)
            pipe.hset(
                key,
                mapping={
                    "facts": json.dumps(_facts(account)),
                    "gcra": gcra(account.rate or default_rates(provider)),
                    "rate": ", ".join(map(str, account.rate or default_rates(provider))),
                },
            )
            pipe.hset(key, "flight", account.max_in_flight or 0)
            for limit in ("max_waiting", "max_waiting_per_campaign"):
                most = getattr(account, limit)
                if most is None:
                    pipe.hdel(key, limit)
                else:
                    pipe.hset(key, limit, most)
            pipe.sadd(lanes.key("names"), account.name)
            longest = max(longest, account.lost_call_s + gap_s(account, provider))
        pipe.hset(
            lanes.key("clock"),
            mapping={
                "retention": int(settings.retention_s * 1000),
                "lost": int(longest * 1000),
                "ledger": settings.call_ledger,
            },
        )
        pipe.execute()


def take_up(lanes: Lanes, settings: Settings) -> None:
    """Let accounts go on that are on hold because a worker had no settings for them, or no key: this one has."""
    for name in (*settings.accounts, NOBODY):
        held: bytes | None = lanes.client.hget(lanes.key("acct", name), "hold")  # type: ignore[assignment]
        reason = (held or b"").decode()
        lacked = reason.removeprefix(NO_KEY).strip() if reason.startswith(NO_KEY) else ""
        if reason == NO_SETTINGS or (lacked and lanes.vault.has(lacked)):
            lanes.hold("account", name, "", over=reason)


def _facts(account: Account) -> Mapping[str, object]:
    return {
        "v": 1,
        "provider": account.provider,
        "base_url": account.base_url,
        "region": account.default_region,
        "phone_check": account.phone_check,
        "suppress_scope": account.suppress_scope,
        "switches": sorted(account.switches),
        "gap_s": account.import_gap_s,
        "leads_per_call": account.leads_per_call,
    }


def read_facts(lanes: Lanes, name: str) -> Facts:
    """The facts of an account; raises UnknownAccount with the names that exist."""
    raw: bytes | None = lanes.client.hget(lanes.key("acct", name), "facts")  # type: ignore[assignment]
    if raw is None:
        raise UnknownAccount(masked(name), account_names(lanes))
    return facts_of(name, raw)


def facts_of(name: str, stored: bytes) -> Facts:
    """The facts of an account as they are stored."""
    return _read(name, json.loads(stored))


def own_facts(settings: Settings, name: str) -> Facts | None:
    """The facts of an account as these settings have it, without Redis; None if they have it not."""
    account = settings.accounts.get(name)
    return _read(name, _facts(account)) if account and account.provider in PROVIDERS else None


def _read(name: str, stored: Mapping[str, Any]) -> Facts:
    return Facts(
        name,
        stored["provider"],
        stored["base_url"],
        stored["region"],
        stored["phone_check"],
        stored.get("suppress_scope", "account"),
        frozenset(stored.get("switches", ())),  # facts of an older worker have none
        stored.get("gap_s"),
        stored.get("leads_per_call"),
    )


def account_names(lanes: Lanes) -> list[str]:
    """Names of the accounts that workers have published."""
    return sorted(name.decode() for name in lanes.client.smembers(lanes.key("names")))  # type: ignore[union-attr]


def canonical(facts: Facts, address: CampaignAddress) -> str:
    """The one form of a campaign id at its dialer; raises BadCampaign saying what would be right."""
    try:
        return facts.dialer.canonical_campaign(address.campaign)
    except ValueError as exc:
        raise BadCampaign(masked(str(address)), masked(str(exc))) from None
