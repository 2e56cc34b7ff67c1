"""Opt-outs from a producer's side: numbers are checked here and hidden by workers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from leadlane.schemas.addresses import CampaignAddress
from leadlane.schemas.errors import WrongUse
from leadlane.schemas.leads import Clean, Invalid, Unreadable, clean
from leadlane.workers.accounts import canonical
from leadlane.workers.optouts import EVERYWHERE

if TYPE_CHECKING:
    from leadlane.producer import Producer
    from leadlane.workers.accounts import Facts

MOST: Final = 50_000
"""Numbers in one word about opt-outs."""


class Reach:
    """How far a word about opt-outs reaches: one campaign, the contact centre of an account, or everywhere.

    Raises BadCampaign, UnknownAccount, Unreachable, and WrongUse if both are named.
    """

    def __init__(self, producer: Producer, account: str = "", campaign: str = "") -> None:
        from leadlane.reaching import reaching_redis

        if account and campaign:
            raise WrongUse("account, campaign: both are given; name the one that the opt-out is for")
        self.scope = EVERYWHERE
        self._facts: Facts | None = None
        if not account and not campaign:
            return
        address = CampaignAddress.parse(campaign) if campaign else None
        name = address.account if address else account
        self._facts = facts = reaching_redis(lambda: producer.facts(name))
        self.scope = facts.scope("campaign", canonical(facts, address)) if address else facts.scope("account")

    def rows(self, numbers: Iterable[object]) -> Iterator[Clean | Invalid]:
        """Each number, or each row with a phone_number, checked."""
        facts = self._facts
        yield from clean(
            (row if isinstance(row, Unreadable) else _only_the_number(row) for row in numbers),
            region=facts.region if facts else None,
            phone_check=facts.phone_check if facts else "possible",
        )

    def digits(self, numbers: Iterable[object]) -> list[str]:
        """All numbers in digits; raises WrongUse at the first that is none, or if there are none or too many."""
        if isinstance(numbers, str):
            raise WrongUse("numbers: is text; give a list of phone numbers")
        found: list[str] = []
        for row in self.rows(numbers):
            if isinstance(row, Invalid):
                raise WrongUse(f"numbers[{row.index}]: {row.problems}")
            if len(found) == MOST:
                raise WrongUse(f"numbers: more than {MOST:,} of them; give fewer at a time")
            found.append(row.digits)
        if not found:
            raise WrongUse("numbers: there are none; give at least one phone number")
        return found


def _only_the_number(row: object) -> dict[object, object]:
    if not isinstance(row, Mapping):
        return {"phone_number": row}
    return {name: row[name] for name in ("phone_number", "country_code") if name in row}
