"""What is to be done, and the least time it can take."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator

LEADS_PER_CALL: Final = 1000
WORKERS: Final = 2
THREADS: Final = 20
"""Calls that one worker can have in flight."""


@dataclass(frozen=True, slots=True)
class Workload:
    """So many campaigns, each with so many batches of so many leads, at a dialer of this pace."""

    name: str
    campaigns: int
    batches: int
    leads: int
    call_s: float
    gap_s: float

    @property
    def total(self) -> int:
        """Leads in all."""
        return self.campaigns * self.batches * self.leads

    @property
    def fewest_calls(self) -> int:
        """Calls that hold all leads, if those of a campaign share them as far as they fit."""
        return self.campaigns * self._calls_of_one

    @property
    def ideal_s(self) -> float:
        """Seconds from the first request to the last answer if no lane and no slot were ever idle in vain."""
        lane_s = self._calls_of_one * self.call_s + (self._calls_of_one - 1) * self.gap_s
        return max(lane_s, self.fewest_calls * self.call_s / (WORKERS * THREADS))

    @property
    def _calls_of_one(self) -> int:
        return -(-self.batches * self.leads // LEADS_PER_CALL)

    def work(self) -> Iterator[tuple[int, list[dict[str, Any]]]]:
        """Campaign and canonical leads of every batch: the first ones of all campaigns, then the second ones.

        The same leads each time. No number comes twice.
        """
        first = 0
        for _ in range(self.batches):
            for campaign in range(1, self.campaigns + 1):
                yield campaign, leads_from(first, self.leads)
                first += self.leads


WORKLOADS: Final = {
    workload.name: workload
    for workload in (
        Workload("bulk", campaigns=20, batches=20, leads=1000, call_s=0.1, gap_s=0.5),
        Workload("small", campaigns=20, batches=100, leads=50, call_s=0.1, gap_s=0.5),
        Workload("real-gap", campaigns=20, batches=8, leads=1000, call_s=0.3, gap_s=2.0),
        Workload("crowd", campaigns=400, batches=2, leads=1000, call_s=0.3, gap_s=0.5),
    )
}

_FIRST: Final = ("Anna", "Luis", "Mei", "Omar", "Julia", "Peter", "Sofia", "Tariq", "Elena", "James", "Nadia")
_LAST: Final = ("Schneider", "Garcia", "Chen", "Haddad", "Novak", "Rossi", "Okafor", "Petrova", "Murphy")


def leads_from(first: int, size: int) -> list[dict[str, Any]]:
    """So many canonical leads from number ``first`` on."""
    found: list[dict[str, Any]] = orjson.loads(_made(first, size))
    return found


@cache
def _made(first: int, size: int) -> bytes:
    """The same as JSON, made once for all runs."""
    return orjson.dumps([_lead(n) for n in range(first, first + size)])


def _lead(n: int) -> dict[str, Any]:
    """Lead number ``n``, as in the example of https://developers.voiso.com/reference-link/addleads without headers.

    About 205 bytes as JSON, of which zlib leaves 40: neither all alike nor noise.
    """
    dice = random.Random(n)  # noqa: S311 - no secret
    return {
        # 7 654 321 has no factor in common with 10 million, so no two of these have the same seven digits.
        "phone_number": f"+1{201 + n // 10**7}{n * 7_654_321 % 10**7:07d}",
        "name": f"{dice.choice(_FIRST)} {dice.choice(_LAST)}",
        "priority": dice.randint(1, 1000),
        "active": dice.random() < 0.9,
        "source": {
            "system": "my_crm",
            "url": f"https://crm.example.com/leads/{dice.getrandbits(128):032x}?list=spring-26&row={dice.getrandbits(20)}",
        },
    }


def on_the_wire(leads: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The leads as Voiso takes them: these need no more than the number in digits."""
    return [{**lead, "phone_number": lead["phone_number"][1:]} for lead in leads]
