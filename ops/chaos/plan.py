"""What happens when, and who sends what: all of it out of a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Blow = Literal["kill", "freeze", "restart", "crash", "producer", "throttle", "outage"]

EVERY_S: Final[Mapping[Blow, float]] = {
    "kill": 4.0,  # kill -9 of a worker
    "freeze": 17.0,  # SIGSTOP of a worker, for less or more than its lease
    "restart": 67.0,  # Redis ends in peace and comes back
    "crash": 59.0,  # Redis is killed and comes back
    "producer": 11.0,  # kill -9 of a producer
    "throttle": 13.0,  # a burst of 429
    "outage": 600.0,  # the dialers answer 503 only
}
OUTAGE_S: Final = 60.0
OUTAGE_SHARE: Final = 0.1
"""An outage lasts a minute, but at most this share of the run."""

RATE: Final = "50/s"
"""Of each account, over all its workers."""
SINGLES: Final = {"voicery": "3", "dialnexa": "cmp_3"}
"""Accounts, named as their dialers, that take one lead a call, and the campaign there."""
REJECTED: Final = "0000"
"""The sandbox refuses numbers that end so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """How hostile it is. Times are in seconds."""

    minutes: float
    seed: int
    workers: int = 4
    threads: int = 6
    timeout_s: float = 5.0
    lost_call_s: float = 8.0
    lease_s: float = 6.0
    gap_s: float = 0.5
    appendfsync: Literal["everysec", "always"] = "everysec"
    every_s: Mapping[Blow, float] = field(default_factory=lambda: EVERY_S)
    freeze_s: tuple[float, float] | None = None
    """How long a frozen worker stands still, at least and at most; by default less or more than its lease."""
    faults: bool = True
    """Whether the dialers fail by themselves."""

    @property
    def lasts_s(self) -> float:
        """How long blows fall."""
        return self.minutes * 60


@dataclass(frozen=True, slots=True, order=True)
class Strike:
    """One blow, so many seconds after the start; ``pick`` in [0, 1) chooses whom it hits."""

    at_s: float
    blow: Blow
    pick: float
    lasts_s: float


def strikes(conditions: Conditions) -> list[Strike]:
    """All blows in their order: of each kind one in every stretch of its time, at a moment nobody chose."""
    dice = random.Random(conditions.seed)  # noqa: S311  chaos, not cryptography
    lasting_s: dict[Blow, tuple[float, float]] = {
        "freeze": conditions.freeze_s or (0.3, conditions.lease_s + conditions.lost_call_s + 2),
        "restart": (0.0, 3.0),
        "crash": (0.0, 3.0),
        "outage": (min(OUTAGE_S, conditions.lasts_s * OUTAGE_SHARE),) * 2,
    }
    found = []
    for blow, every_s in conditions.every_s.items():
        times = max(1, round(conditions.lasts_s / every_s))
        stretch_s = conditions.lasts_s / times
        for i in range(times):
            lasts_s = dice.uniform(*lasting_s.get(blow, (0.0, 0.0)))
            found.append(Strike((i + dice.random()) * stretch_s, blow, dice.random(), lasts_s))
    return sorted(found)


FROZEN_S: Final = 60.0
FREEZE_EVERY_S: Final = 8.0
FROZEN_WORKERS: Final = 10


def frozen(times: int, seed: int) -> Conditions:
    """Nothing but this: so many times a worker stands still for a minute, while others go on with its lanes."""
    return Conditions(
        minutes=times * FREEZE_EVERY_S / 60, seed=seed, workers=FROZEN_WORKERS, threads=3,
        every_s={"freeze": FREEZE_EVERY_S}, freeze_s=(FROZEN_S, FROZEN_S), faults=False,
    )  # fmt: skip


def faults(conditions: Conditions) -> list[dict[str, Any]]:
    """What goes wrong at the dialers all the time. Slow answers come before a lost call must be over."""
    if not conditions.faults:
        return []
    early_s = conditions.timeout_s / 2
    late_s = conditions.timeout_s + (conditions.lost_call_s - conditions.timeout_s) / 4
    return [
        {"fault": "status", "status": 503, "probability": 0.05},
        {"fault": "drop_before", "probability": 0.005},
        {"fault": "drop_after", "probability": 0.005},
        {"fault": "latency", "delay_s": early_s, "probability": 0.01},
        {"fault": "latency", "delay_s": late_s, "probability": 0.01},
    ]


BURST: Final[Mapping[str, Any]] = {"fault": "status", "status": 429, "retry_after": 1, "times": 10}
OUTAGE: Final[Mapping[str, Any]] = {"fault": "status", "status": 503}


@dataclass(frozen=True, slots=True)
class Role:
    """What one producer sends, and how many of its jobs are open at once."""

    name: str
    account: str
    campaigns: tuple[str, ...]
    fewest: int
    most: int
    open: int
    by_name: bool = False
    trickle_s: float = 0.0
    """At most so long between two thousands of rows, so that some are killed in the middle of a job."""


ROLES: Final = (
    Role("imports", "voiso", ("1", "2", "3", "4", "5", "6"), 1500, 6000, open=10, trickle_s=0.5),
    Role("by name", "voiso", ("5", "6", "7"), 1, 1700, open=6, by_name=True),
    Role("riders", "voiso", ("8", "9"), 20, 60, open=60),
    *(Role(f"singles {name}", name, (campaign,), 1, 1, open=40) for name, campaign in SINGLES.items()),
)

_NUMBERS_OF_A_ROLE: Final = 1_000_000_000
_NUMBERS_OF_A_JOB: Final = 7_001


@dataclass(frozen=True, slots=True)
class Errand:
    """The ``n``-th job of a role: no number of it is in any other."""

    role: Role
    n: int
    campaign: str
    leads: int
    key: str

    @property
    def address(self) -> str:
        """Its campaign's."""
        return f"{self.role.account}/{self.campaign}"

    def numbers(self) -> Iterator[str]:
        """Its phone numbers, in order."""
        first = (2 + ROLES.index(self.role)) * _NUMBERS_OF_A_ROLE + self.n * _NUMBERS_OF_A_JOB
        return (f"+1{first + i}" for i in range(self.leads))


def errand(role: Role, n: int, seed: int) -> Errand:
    """The same for the same arguments, in any process."""
    dice = random.Random(f"{seed}/{role.name}/{n}")  # noqa: S311  as above
    campaign, leads = dice.choice(role.campaigns), dice.randint(role.fewest, role.most)
    return Errand(role, n, campaign, leads, key=f"chaos-{seed}-{role.name}-{n}")
