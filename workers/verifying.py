"""How the dialers' rules were kept, by the call ledger: what `leadlane verify` says.

The judge knows the entries of the ledger and the rules of the accounts as they are now, and nothing of the lanes. Calls
are told by the clocks of the workers: the moment before the first byte, and the moment after the last. A call whose
answer never came counts as long as the dialer may have been at work on it (``lost_call_s``).

All times are those of Redis. A server that takes its place may have another clock: how far that is off the workers'
says how far its calls are to be moved, so that nothing seems to be at the same time that was not, or seems apart.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
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
JUMP_MS: Final = 1000
"""By less two clocks do not differ: workers tell their time some ms before it is written."""
PAGE: Final = 2000
RULES: Final = ("simultaneous", "too_early", "too_large", "starts_after_newer_stop", "over_rate")
"""What ``Kept`` counts breaches of."""


class Call(NamedTuple):
    """An entry of the ledger; times are ms of Redis. ``id`` is the token of its turn and its number there.

    ``entry`` is its place in the stream; ``run`` names the server, ``skew`` is its clock less the worker's, in ms, if
    the worker told its own.
    """

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
    entry: str = ""
    run: str = ""
    skew: int | None = None

    @property
    def told(self) -> int:
        """When it was written, ms."""
        return int(self.entry.partition("-")[0] or 0)

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
        return sum(getattr(self, rule) for rule in RULES)

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
    """How the rules were kept in the last ``since_s`` seconds. Reads the whole ledger, one page at a time.

    What lies before that time is not counted, but what came after it may break a rule with it: the gap, a stop.
    """
    seconds, micros = lanes.client.time()
    since_ms = max(seconds * 1000 + micros // 1000 - int(since_s * 1000), 0)
    calls = list(_read(lanes, "-"))
    return Verdict(
        since_ms, calls[0].told if calls else None, judge(calls, all_rules(lanes, calls), since_ms)
    )


class Recent:
    """The calls of the last ``last_s`` seconds, for who looks again and again: each entry is read once."""

    def __init__(self, lanes: Lanes, last_s: float) -> None:
        self._lanes, self._last_ms = lanes, int(last_s * 1000)
        self._calls: deque[Call] = deque()
        self._after = ""

    def read(self) -> list[Call]:
        """The calls that are new since the last time, and those that were told since."""
        seconds, micros = self._lanes.client.time()
        first = seconds * 1000 + micros // 1000 - self._last_ms
        new = []
        for one in _read(self._lanes, self._after or str(max(first, 0))):
            new.append(one)
            self._after = f"({one.entry}"
        self._calls.extend(new)
        while self._calls and self._calls[0].told < first:
            self._calls.popleft()
        return new

    def judged(self) -> list[Kept]:
        """How the rules were kept by what has been read."""
        return judge(self._calls, all_rules(self._lanes, self._calls))


def all_rules(lanes: Lanes, calls: Iterable[Call]) -> dict[str, Rules | None]:
    """The rules of each account that was called."""
    return {account: rules_of(lanes, one) for account, one in {one.account: one for one in calls}.items()}


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


def judge(calls: Iterable[Call], rules: Mapping[str, Rules | None], since_ms: int = 0) -> list[Kept]:
    """How the rules, by account, were kept by what was told from then on: one record per campaign, by name."""
    ordered = sorted(_once(_on_one_clock(list(calls))), key=lambda one: (one.start, one.end))
    late = _over_rate(ordered, rules)
    places: dict[str, list[Call]] = {}
    for one in ordered:
        places.setdefault(one.place, []).append(one)
    kept = [_place(mine, rules, late, since_ms) for mine in places.values() if mine[-1].told >= since_ms]
    return sorted((record for record in kept if record.calls), key=lambda record: record.campaign)


def _read(lanes: Lanes, first: str) -> Iterator[Call]:
    while page := _page(lanes, first, PAGE):
        for entry, fields in page:
            yield _call(entry.decode(), {name.decode(): value.decode() for name, value in fields.items()})
        first = f"({page[-1][0].decode()}"


def _page(lanes: Lanes, first: str, n: int) -> list[tuple[bytes, dict[bytes, bytes]]]:
    return lanes.client.xrange(lanes.key("made"), min=first, count=n)  # type: ignore[return-value]


def _call(entry: str, fields: Mapping[str, str]) -> Call:
    start = int(float(fields["start"]))
    skew = fields.get("skew")  # entries of older workers have neither this nor a run
    return Call(
        fields["lane"], fields["acct"], fields["op"], int(fields["size"]), start, start + int(float(fields["ms"])),
        fields["answer"], fields["call"], fields["worker"], int(fields["seq"] or 0), entry, fields.get("run", ""),
        int(float(skew)) if skew else None,
    )  # fmt: skip


def _once(calls: Iterable[Call]) -> list[Call]:
    """Each call once: what its worker told of it, however late, and by the dialer's own time ended by then."""
    found: dict[str, Call] = {}
    for one in calls:
        other = found.setdefault(one.id, one)
        if (other.answer == LOST) != (one.answer == LOST):
            told, lost = (one, other) if other.answer == LOST else (other, one)
            # A worker that was frozen sees the answer long after the dialer was done; unless it sent that late.
            found[one.id] = told if told.start >= lost.end else told._replace(end=min(told.end, lost.end))
    return list(found.values())


def _on_one_clock(calls: Sequence[Call]) -> list[Call]:
    """The same by the clock of the first server, where that of a later one is another."""
    skews: dict[str, list[int]] = {}
    for one in calls:
        if one.skew is not None:
            skews.setdefault(one.run, []).append(one.skew)
    off = {run: round(median(found)) for run, found in skews.items()}
    first = next(iter(off.values()), 0)
    moved = {run: skew - first for run, skew in off.items() if abs(skew - first) > JUMP_MS}
    return [
        one._replace(start=one.start - by, end=one.end - by) if (by := moved.get(one.run, 0)) else one
        for one in calls
    ]


def _place(
    calls: Sequence[Call], rules: Mapping[str, Rules | None], late: Counter[str], since_ms: int
) -> Kept:
    """What was told since then of the calls to one campaign, in the order of their starts."""
    recent = [one for one in calls if one.told >= since_ms]
    kept = Kept(", ".join(sorted({one.campaign for one in recent})), len(recent))
    leads: list[tuple[Call, Rules]] = []
    newest = 0
    for one in calls:
        counts, its = one.told >= since_ms, rules.get(one.account)
        kept.without_answer += counts and not one.answer.isdecimal()
        kept.over_rate += counts and late[one.id]
        if one.kind == "leads" and its and one.operation in its.most:
            leads.append((one, its))
            if counts:
                kept.largest_call = max(kept.largest_call, one.size)
                kept.too_large += one.size > its.most[one.operation]
        elif one.kind == "state" and one.operation == "start":
            kept.starts_after_newer_stop += counts and one.seq < newest
        elif one.kind == "state" and one.operation in ("pause", "stop"):
            newest = max(newest, one.seq)
    _space(leads, kept, since_ms)
    return kept


def _space(leads: Sequence[tuple[Call, Rules]], kept: Kept, since_ms: int) -> None:
    """How far apart the calls with leads were: in time with each other, or one before the other."""
    ends: list[int] = []
    free = ended = 0
    for one, its in leads:
        while ends and ends[0] <= one.start + ROUNDING_MS:
            ends.pop(0)
        overlaps = bool(ends)
        insort(ends, one.end)
        counts = one.told >= since_ms
        if counts:
            kept.most_at_once = max(kept.most_at_once, len(ends))
        if its.exclusive or its.gap_s:
            if ended and counts:
                gap_s = max((one.start - ended) / 1000, 0.0)
                kept.smallest_gap_s = min(
                    gap_s, gap_s if kept.smallest_gap_s is None else kept.smallest_gap_s
                )
            kept.simultaneous += counts and overlaps
            kept.too_early += counts and not overlaps and one.start + ROUNDING_MS < free
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
