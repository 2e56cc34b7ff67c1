"""Opt-outs: numbers that nobody may be called at any more, and which campaigns have them.

An opt-out holds in a scope: one campaign, one contact centre (provider and host, for several accounts may have
keys to it), or all. Numbers lie hidden: entries under ``P:optout:<scope>``, hidden number -> ``ms source``, for
ever; of what was, or may have been, delivered the first six bytes of each hidden number, one string per lane and
month that ends 100 days after its last call. Those are few enough bytes to be kept of every lead, and tell apart
more numbers than there are: a campaign told of a number that it never had takes no harm.
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from leadlane.workers import payloads
from leadlane.workers.hiding import SIZE, Hider
from leadlane.workers.lanes import Lanes, Ticket

DAY_S = 86_400
MONTH_S = 30 * DAY_S
KEPT_S = 100 * DAY_S
MONTHS = KEPT_S // MONTH_S + 2
"""Strings of a lane in which something may be found."""
SHORT = 6
"""Bytes kept of each number delivered."""
CHUNK = SHORT * 100_000
FEW = 20
"""Numbers that are looked for one by one; more of them are compared with every number delivered."""
SAID_S = 60.0
"""How long a process relies on what it has said of a lane."""
EVERYWHERE = "all"
WORDS = ("suppress", "unsuppress", "lookup")
"""What may be asked for. Each is a ticket in a control lane of its scope, ``optout/<scope>``."""
NOBODY = "*"
"""The account of tickets that speak to no dialer: neither hold nor rate of an account stops them."""


def scopes_of(lane: str) -> tuple[str, str, str]:
    """The scopes that a leads lane lies in; ``lane.lua`` has the same."""
    _, provider, host, campaign = lane.split("/", 3)
    return f"campaign/{provider}/{host}/{campaign}", f"account/{provider}/{host}", EVERYWHERE


def holding(scope: str) -> tuple[str, ...]:
    """The scopes whose opt-outs hold everywhere in this one."""
    kind, _, rest = scope.partition("/")
    if kind == "campaign":
        return scopes_of(f"leads/{rest}")
    return tuple(dict.fromkeys((scope, EVERYWHERE)))


def unturned(lanes: Lanes, lane: str) -> list[str]:
    """The keys of which one exists while opt-outs that hold for the lane are being taken in."""
    scopes = scopes_of(lane) if lane.startswith("leads/") else ("",)
    return [lanes.key("unturned", scope) for scope in scopes]


def suppress(scope: str, numbers: Iterable[str], *, source: str = "", id: str = "") -> Ticket:  # noqa: A002  its word
    """The ticket of an opt-out. Once it is stored nothing is called in its scope before it has been taken in."""
    return _command("suppress", scope, numbers, source=source, id=id, unturned=scope)


def unsuppress(scope: str, numbers: Iterable[str], *, id: str = "") -> Ticket:  # noqa: A002  its word
    """The ticket by which numbers may be called again, as far as this scope is concerned."""
    return _command("unsuppress", scope, numbers, id=id)


def lookup(scope: str, numbers: Iterable[str]) -> Ticket:
    """The ticket that asks which numbers have opted out so that it holds in the scope; for all: in any scope."""
    return _command("lookup", scope, numbers)


def _command(
    operation: str,
    scope: str,
    numbers: Iterable[str],
    *,
    source: str = "",
    id: str = "",  # noqa: A002
    unturned: str = "",
) -> Ticket:
    id = id or uuid4().hex  # noqa: A001
    asked = json.dumps({"numbers": list(numbers), "source": source or id})
    return Ticket(
        id=id,
        lane=f"optout/{scope}",
        address={"campaign": scope, "provider": "", "base_url": ""},
        account=NOBODY,
        operation=operation,
        campaign=scope,
        job=id,
        payload=payloads.pack(payloads.Batch.of(0, operation, [""], [asked])),
        n=1,
        size=1,
        group="control",
        unturned=unturned,
    )


@dataclass(frozen=True, slots=True)
class Reached:
    """A campaign that has, or may have, some of the numbers; ``account`` is one with a key to it."""

    lane: str
    account: str
    numbers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entered:
    """What one source opted out in a scope, and when it first did."""

    scope: str
    source: str
    at_ms: int
    numbers: int


class OptOuts:
    """The opt-outs of one fleet, for workers: they have the key that hides numbers."""

    def __init__(self, lanes: Lanes, key: bytes, *, clock: Callable[[], float] = time.time) -> None:
        self._lanes = lanes
        self._client = lanes.client
        self._hider = Hider(key)
        self._clock = clock
        self._said: dict[tuple[str, str, int], float] = {}

    def before_call(
        self, lane: str, account: str, numbers: Sequence[str], *, delivers: bool = True
    ) -> frozenset[str] | None:
        """Which of the numbers must not be in the call that is being built; None if nothing may be called yet.

        Notes first that the lane has got them, if the call ``delivers``. So an opt-out that comes now is either
        seen here, or finds that the campaign has the number.
        """
        hidden, month = self._hider.all_hidden(numbers) if delivers else b"", self._month()
        news = delivers and self._is_news((lane, account, month))
        held = self._lanes.carry(
            lane,
            account,
            month=month,
            numbers=b"".join(_each(hidden, SHORT)),
            kept_s=KEPT_S if news else 0,
        )
        if news:
            self._said[lane, account, month] = time.monotonic()
        if held == "pending":
            return None
        return self._among(scopes_of(lane) if held == "some" else (), numbers, hidden)

    def _is_news(self, what: tuple[str, str, int]) -> bool:
        """Whether it was not said within the last minute that this account reaches this lane in this month.

        Once would do, but a server may forget its last writes.
        """
        return time.monotonic() - self._said.get(what, -SAID_S) >= SAID_S

    def suppressed(self, scopes: Iterable[str], numbers: Sequence[str]) -> frozenset[str]:
        """Those of the numbers that have opted out in one of the scopes."""
        return self._among(list(scopes), numbers, b"")

    def _among(self, scopes: Sequence[str], numbers: Sequence[str], hidden: bytes) -> frozenset[str]:
        if not scopes or not numbers:
            return frozenset()
        entries = _each(hidden or self._hider.all_hidden(numbers))
        with self._lanes.client.pipeline(transaction=False) as pipe:
            for scope in scopes:
                pipe.hmget(self._lanes.key("optout", scope), entries)
            answers = pipe.execute()
        return frozenset(
            number
            for found in answers
            for number, entry in zip(numbers, found, strict=True)
            if entry is not None
        )

    def add(self, scope: str, numbers: Iterable[str], source: str) -> int:
        """Keep that these numbers have opted out: how many had not before. The first entry of a number stays."""
        entry = f"{int(self._clock() * 1000)} {source}"
        with self._client.pipeline(transaction=True) as pipe:
            pipe.sadd(self._lanes.key("scopes"), scope)
            for number in numbers:
                pipe.hsetnx(self._lanes.key("optout", scope), self._hider.hidden(number), entry)
            return sum(pipe.execute()[1:])

    def remove(self, scope: str, numbers: Iterable[str]) -> int:
        """Forget opt-outs of exactly this scope: how many there were."""
        hidden = _each(self._hider.all_hidden(list(numbers)))
        return int(self._client.hdel(self._lanes.key("optout", scope), *hidden)) if hidden else 0

    def reached(self, scope: str, numbers: Sequence[str]) -> Iterator[Reached]:
        """The campaigns of the scope that have got some of the numbers in the last hundred days, or may have."""
        wanted = dict(zip(_each(self._hider.all_hidden(numbers), SHORT), numbers, strict=True))
        lanes: Mapping[bytes, bytes] = self._client.hgetall(self._lanes.key("reached"))  # type: ignore[assignment]
        for name, account in sorted(lanes.items()):
            lane = name.decode()
            if scope not in scopes_of(lane):
                continue
            found: set[bytes] = set()
            for key, length in self._lengths(lane).items():
                for at in range(0, length, CHUNK):
                    chunk: bytes = self._client.getrange(key, at, at + CHUNK - 1)  # type: ignore[assignment]
                    found |= among(chunk, wanted.keys())
            if found:
                yield Reached(lane, account.decode(), tuple(wanted[one] for one in wanted if one in found))

    def _lengths(self, lane: str) -> dict[str, int]:
        month = self._month()
        names = [self._had(lane, month - back) for back in range(MONTHS)]
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.strlen(name)
            return dict(zip(names, pipe.execute(), strict=True))

    def _had(self, lane: str, month: int) -> str:
        return self._lanes.key("had", lane, str(month))

    def _month(self) -> int:
        return int(self._clock() // MONTH_S)


def _each(hidden: bytes, size: int = SIZE) -> tuple[bytes, ...]:
    """Hidden numbers that lie one after the other, or the first bytes of each."""
    return struct.unpack(f"{size}s{SIZE - size}x" * (len(hidden) // SIZE), hidden)


def among(chunk: bytes, wanted: Iterable[bytes]) -> set[bytes]:
    """Which of the short hidden numbers stand in the chunk, at a place where one begins."""
    wanted = set(wanted)
    if len(wanted) > FEW:
        every = struct.unpack_from(f"{SHORT}s" * (len(chunk) // SHORT), chunk)
        return wanted.intersection(every)
    return {one for one in wanted if _stands_in(chunk, one)}


def _stands_in(chunk: bytes, one: bytes) -> bool:
    at = chunk.find(one)
    while at >= 0 and at % SHORT:
        at = chunk.find(one, at + 1)
    return at >= 0


def scopes(lanes: Lanes) -> list[str]:
    """The scopes in which anybody has ever opted out."""
    names: set[bytes] = lanes.client.smembers(lanes.key("scopes"))  # type: ignore[assignment]
    return sorted(name.decode() for name in names)


def overview(lanes: Lanes) -> list[dict[str, object]]:
    """Per scope: how many numbers have opted out, and how many tickets with more are still to be taken in."""
    names = scopes(lanes)
    with lanes.client.pipeline(transaction=False) as pipe:
        for scope in names:
            pipe.hlen(lanes.key("optout", scope))
            pipe.scard(lanes.key("unturned", scope))
        found = pipe.execute()
    return [
        {"scope": scope, "numbers": found[2 * i], "pending": found[2 * i + 1]}
        for i, scope in enumerate(names)
    ]


def entered(lanes: Lanes) -> list[Entered]:
    """Where the opt-outs came from, the newest source first; no number."""
    sources: dict[tuple[str, str], list[int]] = {}
    for scope in scopes(lanes):
        for _, entry in lanes.client.hscan_iter(lanes.key("optout", scope), count=1000):
            at, _, source = entry.decode().partition(" ")
            sources.setdefault((scope, source), []).append(int(at))
    rows = [Entered(scope, source, min(times), len(times)) for (scope, source), times in sources.items()]
    return sorted(rows, key=lambda row: -row.at_ms)
