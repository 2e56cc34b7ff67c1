"""The judge: the dialers' audit and books, against what was to be sent and what its producers were told."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from leadlane.ops.chaos.plan import RATE, Errand
from leadlane.ops.chaos.standstill import SLACK_S, Cause, Span, Standstill, causes_in, standstills
from leadlane.ops.sandbox.rates import SlidingWindows
from leadlane.schemas.outcomes import DELIVERED, Outcome
from leadlane.schemas.settings import Rate
from leadlane.workers.verifying import Kept

WRITES_WITHIN_S: Final = 1.0
"""An answer that came so shortly before its worker's end may not have been written down."""
RECOVERS_S: Final = 5.0
"""So long after a restart of Redis answers from before may still be in their workers' hands only."""
ARRIVES_WITHIN_S: Final = 1.0
"""A call that left before its worker froze is noted by a busy sandbox no later than this."""
DEADLINE_S: Final = 0.3
"""An answer so close to the deadline of its call may have met a client that had left."""


@dataclass(slots=True)
class Worker:
    """One worker process: the label of its API key, and when what reached it may have reached nobody.

    Times as the audit has them, monotonic seconds.
    """

    key: str
    dark: list[Span] = field(default_factory=list)

    def saw(self, record: Mapping[str, Any], timeout_s: float) -> bool:
        """Whether it must have seen that answer, and lived on to write it down."""
        late = record["ended"] - record["started"] > timeout_s - DEADLINE_S
        return not late and not any(since <= record["ended"] <= until for since, until in self.dark)


def dark_since(moment: float, redis_away: Iterable[Span]) -> float:
    """From when on the answers to a worker that stands still at this moment may be written down nowhere."""
    held = [away for away, back in redis_away if away <= moment <= back + RECOVERS_S]
    return min([moment, *held]) - WRITES_WITHIN_S


@dataclass(frozen=True, slots=True)
class Freeze:
    """A worker that stood still, times as the audit has them, and the lanes in which it held a turn as it froze."""

    key: str
    since: float
    until: float
    lanes: tuple[str, ...]


@dataclass(slots=True)
class Told:
    """What its producer was told of an errand in the end; times of its job in Unix seconds."""

    errand: Errand
    progress: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[tuple[str, str]] = ()
    """Number and outcome of each lead."""
    busy: Span | None = None
    """From when the job was complete to its end."""
    result: Mapping[str, Any] | None = None
    """Of its task, if it was sent by name."""


@dataclass(slots=True)
class Findings:
    """Leads, calls and seconds; all of ``wrong`` must be 0."""

    leads: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    unsettled: int = 0
    lost: int = 0
    mistold: int = 0
    sums_broken: int = 0
    stored_twice: int = 0
    resent_after_answer: int = 0
    resent_after_silence: int = 0
    simultaneous: int = 0
    within_gap: int = 0
    over_rate: int = 0
    other_breaches: int = 0
    excused: int = 0
    ledger_breaches: int = 0
    invented: int = 0
    unwritten: int = 0
    calls: int = 0
    standstill: Standstill = field(default_factory=Standstill)
    """The longest."""
    beyond_s: float = 0.0
    """The longest part of a standstill that no rule explains."""
    frozen_turns: int = 0
    """Turns whose worker froze, and of them those with a call in the air, and those whose lane others went on with."""
    frozen_calls: int = 0
    taken_over: int = 0
    unleased: int = 0
    """Calls of workers that stood still, or had, for turns that were others' meanwhile."""
    notes: list[str] = field(default_factory=list)
    """What to look at: jobs whose sums are wrong, lanes that stood still without a reason."""

    @property
    def doubled(self) -> int:
        """Leads stored twice, or sent again without need."""
        return self.stored_twice + self.resent_after_answer + self.resent_after_silence

    @property
    def broken(self) -> int:
        """Rules of the dialers that were broken."""
        return self.simultaneous + self.within_gap + self.over_rate + self.unleased + self.other_breaches

    @property
    def wrong(self) -> int:
        """How much must not be."""
        stuck = int(self.beyond_s > SLACK_S)
        ledger = self.ledger_breaches + self.invented
        return (
            self.unsettled
            + self.lost
            + self.mistold
            + self.sums_broken
            + self.doubled
            + self.broken
            + stuck
            + ledger
        )


def judge(
    told: Iterable[Told],
    audit: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any],
    books: Mapping[str, Mapping[str, Mapping[str, Any]]],
    workers: Mapping[str, Worker],
    freezes: Iterable[Freeze] = (),
    causes: Iterable[Cause] = (),
    *,
    timeout_s: float,
    lost_call_s: float,
    gap_s: float,
) -> Findings:
    """What came of it.

    Args:
        told: of every errand.
        audit: every request that reached the sandbox, in its order.
        verdict: the sandbox's own.
        books: of each campaign ("voiso/3"), digits of each number to how often it was ``stored``.
        workers: by the label of their key.
        freezes: of workers.
        causes: what befell the lanes and is not in the audit.
        timeout_s: deadline of a call.
        lost_call_s: how long one without answer may still run.
        gap_s: rest of a campaign, where a dialer has that rule.
    """
    found = Findings(calls=len(audit))
    busy: defaultdict[str, list[Span]] = defaultdict(list)
    for one in told:
        _settle(found, one, books.get(one.errand.address, {}))
        if one.busy:
            busy[one.errand.address].append(one.busy)
    gaps = {name for name, figures in verdict["dialers"].items() if figures["smallest_gap_s"] is not None}
    lanes = _by_lane(audit)
    for lane, records in lanes.items():
        if lane.partition("/")[0] in gaps:
            _gaps(found, records, gap_s)

    def saw(record: Mapping[str, Any]) -> bool:
        return workers[record["key"]].saw(record, timeout_s)

    failed = causes_in(audit, saw, exclusive=gaps, lost_call_s=lost_call_s, gap_s=gap_s)
    spans = {lane: merged(of) for lane, of in busy.items()}
    _standstill(found, list(standstills(lanes, spans, [*causes, *failed], gap_s=gap_s)))
    _frozen(found, lanes, audit, freezes, saw)
    _doubled(found, audit, verdict, saw)
    found.over_rate = sum(_over_rate(audit, name) for name in verdict["dialers"])
    found.other_breaches = max(
        0, verdict["breaches"] - found.simultaneous - found.within_gap - found.stored_twice
    )
    return found


def compare(found: Findings, audit: Iterable[Mapping[str, Any]], ledger: Iterable[Kept]) -> None:
    """Adds what `leadlane verify` says, and whether its calls are those that reached the dialers.

    A call that it knows the answer of must have reached one. One that reached a dialer may have left no entry, if its
    worker died while it was out, or Redis forgot it.
    """
    reached = Counter(f"{one['dialer']}/{one['campaign']}" for one in audit if one["campaign"] is not None)
    for kept in ledger:
        n = reached.pop(kept.campaign, 0)
        found.ledger_breaches += kept.breaches
        found.invented += max(kept.calls - kept.without_answer - n, 0)
        found.unwritten += max(n - kept.calls, 0)
        if kept.breaches:
            found.notes.append(f"verify: {kept}")
    found.unwritten += reached.total()


def _settle(found: Findings, told: Told, book: Mapping[str, Mapping[str, Any]]) -> None:
    expected = list(told.errand.numbers())
    found.leads += len(expected)
    outcomes: Counter[str] = Counter(outcome for _, outcome in told.rows)
    found.outcomes.update(outcomes)
    counted = Counter({name: told.progress.get(name, 0) for name in (*Outcome, "waiting", "dead")})
    sums = {len(expected), told.progress.get("leads"), counted.total(), len(told.rows)}
    agree = len(sums) == 1 and counted == outcomes
    if told.errand.role.by_name:
        result = told.result or {}
        agree &= result.get("leads") == len(expected)
        agree &= Counter({name: result.get(name, 0) for name in Outcome}) == outcomes
    if not agree:
        found.sums_broken += 1
        found.notes.append(
            f"{told.errand.key}: {len(expected)} leads; progress {dict(told.progress)}; "
            f"report {dict(outcomes)}; result {told.result}"
        )
    outcome_of = dict(told.rows)
    for number in expected:
        outcome = outcome_of.get(number, "missing")
        stored = book.get(number.lstrip("+"), {}).get("stored", 0)
        if outcome in ("waiting", "dead"):
            found.unsettled += 1
        elif outcome == "missing" or (outcome in DELIVERED and not stored):
            found.lost += 1
        elif outcome not in DELIVERED and outcome != Outcome.UNCERTAIN and stored:
            found.mistold += 1


def _by_lane(audit: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    lanes: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for record in audit:
        if record["operation"] == "import" and record["campaign"] is not None:
            lanes[f"{record['dialer']}/{record['campaign']}"].append(record)
    return lanes


def _gaps(found: Findings, records: Iterable[Mapping[str, Any]], gap_s: float) -> None:
    over = float("-inf")
    for record in sorted(records, key=lambda record: record["started"]):
        found.simultaneous += record["started"] < over
        found.within_gap += over <= record["started"] < over + gap_s
        over = max(over, record["ended"])


def _standstill(found: Findings, known: Sequence[Standstill]) -> None:
    """The longest, and the longest that went beyond the rules."""
    found.standstill = max(known, key=lambda one: one.lasted_s, default=Standstill())
    found.beyond_s = max((one.beyond_s for one in known), default=0.0)
    found.notes.extend(
        f"{one} and {one.beyond_s:.1f} of {one.lasted_s:.1f} s, from {one.since:.3f} on, no rule explains"
        for one in known
        if one.beyond_s > SLACK_S
    )


def _frozen(
    found: Findings,
    lanes: Mapping[str, Sequence[Mapping[str, Any]]],
    audit: Sequence[Mapping[str, Any]],
    freezes: Iterable[Freeze],
    saw: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Calls of a worker that stood still: none in that time, and none afterwards with leads that others had settled."""
    by_n = {record["n"]: record for record in audit}
    for freeze in freezes:
        for lane in freeze.lanes:
            found.frozen_turns += 1
            found.frozen_calls += any(
                call["key"] == freeze.key and call["started"] <= freeze.since < call["ended"]
                for call in lanes.get(lane, ())
            )
            found.taken_over += any(
                call["key"] != freeze.key and freeze.since < call["started"] < freeze.until
                for call in lanes.get(lane, ())
            )
        for call in (call for call in audit if call["key"] == freeze.key and call["started"] > freeze.since):
            others = (by_n[int(n)] for n in call["resent"] if by_n[int(n)]["key"] != freeze.key)
            asleep = freeze.since + ARRIVES_WITHIN_S < call["started"] < freeze.until
            found.unleased += asleep or any(
                freeze.since < other["ended"] < freeze.until <= call["started"] and saw(other)
                for other in others
            )


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same times without overlaps, in order."""
    found: list[Span] = []
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], until))
        else:
            found.append((since, until))
    return found


def _doubled(
    found: Findings,
    audit: Sequence[Mapping[str, Any]],
    verdict: Mapping[str, Any],
    saw: Callable[[Mapping[str, Any]], bool],
) -> None:
    """Leads stored twice, or sent again although a worker that lived on had had the answer that named them."""
    by_n = {record["n"]: record for record in audit}
    for record in audit:
        for n, leads in record["resent"].items():
            if saw(by_n[int(n)]):
                found.resent_after_answer += leads
            else:
                found.excused += leads
    for figures in verdict["dialers"].values():
        found.stored_twice += figures["stored_twice"]
        found.resent_after_silence += figures["resent_after_silence"]


def _over_rate(audit: Iterable[Mapping[str, Any]], dialer: str) -> int:
    """Requests that the account's rate would have refused. The sandbox counts by key, and each worker has its own."""
    windows = SlidingWindows()
    starts = sorted(record["started"] for record in audit if record["dialer"] == dialer)
    for started in starts:
        windows.wait_s("all", started, [Rate.parse(RATE)])
    return windows.refused
