"""How the dialers' rules were kept, by the call ledger: what `leadlane verify` says.

The judge knows the entries of the ledger and the rules of the accounts as they are now, and nothing of the lanes. Calls
are told by the clocks of the workers: the moment before the first byte, and the moment after the last. A call whose
answer never came counts as long as the dialer may have been at work on it (``lost_call_s``).
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, NamedTuple

from leadlane.schemas.errors import UnknownAccount
from leadlane.schemas.rates import Rate
from leadlane.workers.accounts import default_rates, read_facts
from leadlane.workers.lanes import Lanes
from leadlane.workers.providers import PROVIDERS

LOST: Final = "lost"
"""Class of the answer of a call whose worker never told of it: from the grant of its turn to its latest end."""
ROUNDING_MS: Final = 2
"""Start and end are each whole ms."""
PAGE: Final = 2000


class Call(NamedTuple):
    """An entry of the ledger; times are ms of Redis. ``id`` is the token of its turn and its number there."""

    lane: str
    account: str
    operation: str
    size: int
    start: int
    end: int
    answer: str
    id: str
    worker: str
    seq: int

    @property
    def kind(self) -> str:
        """Of its lane."""
        return self.lane.partition("/")[0]

    @property
    def place(self) -> str:
        """The campaign as its dialer knows it: accounts with keys to the same contact centre share it."""
        return self.lane.partition("/")[2]

    @property
    def campaign(self) -> str:
        """The campaign as its account calls it."""
        return f"{self.account}/{self.lane.split('/', 3)[3]}"


@dataclass(frozen=True, slots=True)
class Rules:
    """What a dialer demands of an account's calls; ``most`` leads in a call by operation, seconds for the gap."""

    exclusive: bool
    gap_s: float
    most: Mapping[str, int]
    rates: Sequence[Rate] = ()


@dataclass(slots=True)
class Kept:
    """How the rules were kept with one campaign. The last five count calls, each of them a breach.

    ``smallest_gap_s`` is None where no rule asks for one, or there were not two calls; ``without_answer`` counts
    calls that may have been made and whose answer nobody has.
    """

    campaign: str
    calls: int = 0
    without_answer: int = 0
    most_at_once: int = 0
    smallest_gap_s: float | None = None
    largest_call: int = 0
    simultaneous: int = 0
    too_early: int = 0
    too_large: int = 0
    starts_after_newer_stop: int = 0
    over_rate: int = 0

    @property
    def breaches(self) -> int:
        """Rules broken; 0 is the promise."""
        return (
            self.simultaneous
            + self.too_early
            + self.too_large
            + self.starts_after_newer_stop
            + self.over_rate
        )

    def document(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self) | {"breaches": self.breaches}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The campaigns that were called since a time, and whether the ledger reaches back so far."""

    since_ms: int
    oldest_ms: int | None
    campaigns: list[Kept] = field(default_factory=list)

    @property
    def calls(self) -> int:
        """To all campaigns."""
        return sum(one.calls for one in self.campaigns)

    @property
    def breaches(self) -> int:
        """Of all campaigns."""
        return sum(one.breaches for one in self.campaigns)


def verify(lanes: Lanes, since_s: float) -> Verdict:
    """How the rules were kept in the last ``since_s`` seconds. Reads every entry of that time; one page at a time."""
    seconds, micros = lanes.client.time()
    since_ms = max(seconds * 1000 + micros // 1000 - int(since_s * 1000), 0)
    calls = list(_read(lanes, since_ms))
    rules: dict[str, Rules | None] = {}
    for one in calls:
        if one.account not in rules:
            rules[one.account] = rules_of(lanes, one)
    first = _page(lanes, "-", 1)
    oldest = int(first[0][0].partition(b"-")[0]) if first else None
    return Verdict(since_ms, oldest, judge(calls, rules))


def breaches(lanes: Lanes, since_s: float = 3600.0) -> dict[str, int]:
    """Rules broken per campaign (``account/id``), also where there are none: what a gauge wants.

    It reads all calls of that time, so ask for no more than is new, some minutes, if you ask often.
    """
    return {one.campaign: one.breaches for one in verify(lanes, since_s).campaigns}


def rules_of(lanes: Lanes, call: Call) -> Rules | None:
    """The rules for the account of a call, as they are now; None if nobody knows its dialer any more."""
    try:
        facts = read_facts(lanes, call.account)
        record = PROVIDERS[facts.provider].at(facts.switches, facts.leads_per_call)
    except (UnknownAccount, KeyError):
        return None
    stored: bytes | None = lanes.client.hget(lanes.key("acct", call.account), "rate")  # type: ignore[assignment]
    rates = tuple(map(Rate.parse, stored.decode().split(", "))) if stored else default_rates(record)
    gap_s = record.gap_s if facts.gap_s is None else facts.gap_s
    most = {name: operation.leads_per_call for name, operation in record.operations.items()}
    return Rules(record.exclusive, gap_s, most, rates)


def judge(calls: Iterable[Call], rules: Mapping[str, Rules | None]) -> list[Kept]:
    """How the rules, by account, were kept: one record per campaign, by name."""
    ordered = sorted(_once(calls), key=lambda one: (one.start, one.end))
    late = _over_rate(ordered, rules)
    places: dict[str, list[Call]] = {}
    for one in ordered:
        places.setdefault(one.place, []).append(one)
    kept = [_place(mine, rules) for mine in places.values()]
    for record, mine in zip(kept, places.values(), strict=True):
        record.over_rate = sum(late[one.id] for one in mine)
    return sorted(kept, key=lambda record: record.campaign)


def _read(lanes: Lanes, since_ms: int) -> Iterator[Call]:
    first = str(since_ms)
    while page := _page(lanes, first, PAGE):
        for _, fields in page:
            yield _call({name.decode(): value.decode() for name, value in fields.items()})
        first = f"({page[-1][0].decode()}"


def _page(lanes: Lanes, first: str, n: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return lanes.client.xrange(lanes.key("made"), min=first, count=n)  # type: ignore[return-value]


def _call(entry: Mapping[str, str]) -> Call:
    start = int(float(entry["start"]))
    return Call(
        entry["lane"], entry["acct"], entry["op"], int(entry["size"]), start, start + int(float(entry["ms"])),
        entry["answer"], entry["call"], entry["worker"], int(entry["seq"] or 0),
    )  # fmt: skip


def _once(calls: Iterable[Call]) -> list[Call]:
    """Each call once: what its worker told of it, however late, and by the dialer's own time ended by then."""
    found: dict[str, Call] = {}
    for one in calls:
        other = found.setdefault(one.id, one)
        if (other.answer == LOST) != (one.answer == LOST):
            told, lost = (one, other) if other.answer == LOST else (other, one)
            # A worker that was frozen sees the answer long after the dialer was done.
            found[one.id] = told._replace(end=max(min(told.end, lost.end), told.start))
    return list(found.values())


def _place(calls: Sequence[Call], rules: Mapping[str, Rules | None]) -> Kept:
    """All but the rate, of the calls to one campaign in the order of their starts."""
    kept = Kept(", ".join(sorted({one.campaign for one in calls})), len(calls))
    leads: list[tuple[Call, Rules]] = []
    for one in calls:
        its = rules.get(one.account)
        kept.without_answer += not one.answer.isdecimal()
        if one.kind == "leads" and its and one.operation in its.most:
            leads.append((one, its))
            kept.largest_call = max(kept.largest_call, one.size)
            kept.too_large += one.size > its.most[one.operation]
    _space(leads, kept)
    newest = 0
    for one in calls:
        if one.kind == "state" and one.operation == "start":
            kept.starts_after_newer_stop += one.seq < newest
        elif one.kind == "state" and one.operation in ("pause", "stop"):
            newest = max(newest, one.seq)
    return kept


def _space(leads: Sequence[tuple[Call, Rules]], kept: Kept) -> None:
    """How far apart the calls with leads were: in time with each other, or one before the other."""
    ends: list[int] = []
    free = ended = 0
    for one, its in leads:
        while ends and ends[0] <= one.start + ROUNDING_MS:
            ends.pop(0)
        overlaps = bool(ends)
        insort(ends, one.end)
        kept.most_at_once = max(kept.most_at_once, len(ends))
        if its.exclusive or its.gap_s:
            if ended:
                gap_s = max((one.start - ended) / 1000, 0.0)
                kept.smallest_gap_s = min(
                    gap_s, gap_s if kept.smallest_gap_s is None else kept.smallest_gap_s
                )
            kept.simultaneous += overlaps
            kept.too_early += not overlaps and one.start + ROUNDING_MS < free
            ended = max(ended, one.end)
            free = max(free, one.end + int(its.gap_s * 1000))


def _over_rate(calls: Iterable[Call], rules: Mapping[str, Rules | None]) -> Counter[str]:
    """Ids of calls that began while their account's rate left no room. Nobody knows when a LOST one began."""
    late: Counter[str] = Counter()
    begun: dict[str, list[int]] = {}
    for one in calls:
        its = rules.get(one.account)
        if its is None or one.answer == LOST:
            continue
        starts = begun.setdefault(one.account, [])
        starts.append(one.start)
        for rate in its.rates:
            before = len(starts) - 1 - rate.count
            if before >= 0 and one.start - starts[before] + ROUNDING_MS < rate.period_s * 1000:
                late[one.id] = 1
    return late
