"""How long a lane stood still, and how long the rules let it: a lost call, a failure, a worker's or Redis's end."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from leadlane.workers.backoff import BASE_S, CAP_S
from leadlane.workers.keeper import BEGIN_S
from leadlane.workers.verdicts import BREAKER_FAILURES

Span = tuple[float, float]

SLACK_S: Final = 10.0
"""What a rule does not count: messages that travel, workers that connect again, a machine that is busy."""
CALLED_AGAIN_S: Final = 7.0
"""A call whose message went down with a worker is overdue after 5 s, and then repeated."""


@dataclass(frozen=True, slots=True, order=True)
class Cause:
    """Something that happened, and until when it lets lanes stand still; Unix seconds.

    ``where`` is a lane ("voiso/3"), an account ("voiso") or, empty, the whole fleet.
    """

    at: float
    until: float
    why: str
    where: str = ""

    def concerns(self, lane: str) -> bool:
        """Whether it holds this lane up."""
        return self.where in ("", lane, lane.partition("/")[0])


@dataclass(frozen=True, slots=True)
class Standstill:
    """A time without a call of a lane in which work waited; ``beyond_s`` of it no rule explains."""

    lane: str = ""
    since: float = 0.0
    until: float = 0.0
    causes: tuple[str, ...] = ()
    beyond_s: float = 0.0

    @property
    def lasted_s(self) -> float:
        """Seconds."""
        return self.until - self.since

    def __str__(self) -> str:
        """The lane, and what befell it."""
        befell = ", ".join(f"{n} {why}" for why, n in Counter(self.causes).items())
        return f"{self.lane}: {befell or 'nothing befell it'}"


def standstills(
    lanes: Mapping[str, Iterable[Mapping[str, Any]]],
    busy: Mapping[str, Iterable[Span]],
    causes: Iterable[Cause],
    *,
    gap_s: float,
) -> Iterator[Standstill]:
    """Every time longer than ``SLACK_S`` without a call of a lane while a complete job was in it.

    Args:
        lanes: of each lane the calls, as the sandbox's audit has them.
        busy: of each lane when a complete job was in it, Unix seconds, without overlaps.
        causes: of all lanes.
        gap_s: rest of a lane after a call.
    """
    known = sorted(causes)
    for lane, records in lanes.items():
        own = [cause for cause in known if cause.concerns(lane)]
        calls = sorted((record["wall"], _over(record)) for record in records)
        for since, until in busy.get(lane, ()):
            at = since
            for start, end in [*calls, (until, until)]:
                if min(start, until) - at > SLACK_S:
                    yield _explained(lane, at, min(start, until), own, gap_s)
                at = max(at, end)


def _explained(lane: str, since: float, until: float, causes: Iterable[Cause], gap_s: float) -> Standstill:
    """One thing may follow another: what happens while the lane has not got going again counts from there."""
    ready, why = since + gap_s, list[str]()
    for cause in causes:
        if cause.at > min(ready + SLACK_S, until):
            break
        if cause.until > ready:
            ready = cause.until
            why.append(cause.why)
    return Standstill(lane, since, until, tuple(why), max(0.0, until - ready))


def causes_in(
    audit: Iterable[Mapping[str, Any]],
    saw: Callable[[Mapping[str, Any]], bool],
    *,
    exclusive: Iterable[str],
    lost_call_s: float,
    gap_s: float,
) -> Iterator[Cause]:
    """What calls that failed let their lane, or all lanes of their account, wait for.

    Args:
        audit: all calls.
        saw: whether the worker that made a call must have had its answer.
        exclusive: dialers that take one call of a campaign at a time.
        lost_call_s: how long a call without answer may still run.
        gap_s: rest of a lane after a call.
    """
    in_a_row: defaultdict[str, int] = defaultdict(int)  # failures of a lane, and of an account
    cooled = set[str]()  # accounts in which one call goes first, and all others wait for its end
    taking_turns = frozenset(exclusive)
    for record in sorted(audit, key=_over):
        over, account, status = _over(record), record["dialer"], record["status"]
        lane = f"{account}/{record['campaign']}"
        heard = status is not None and saw(record)
        if heard and status < 400:
            in_a_row[lane] = in_a_row[account] = 0
            cooled.discard(account)
            continue
        if account in cooled:
            yield Cause(record["wall"], over, "probe", account)
        if heard and status == 429:
            cooled.add(account)
            yield Cause(over, over + BASE_S, "429", account)
        else:
            in_a_row[lane] += 1
            in_a_row[account] += 1
            if account in taking_turns and not (heard and status == 503):
                yield Cause(record["wall"], record["wall"] + BEGIN_S + lost_call_s + gap_s, "lost call", lane)
            yield Cause(over, over + _backoff_s(in_a_row[lane]), "backoff", lane)
            if trips := max(0, in_a_row[account] - BREAKER_FAILURES + 1):
                cooled.add(account)
                yield Cause(over, over + _backoff_s(trips), "cool-down", account)


def _backoff_s(failures: int) -> float:
    return min(CAP_S, BASE_S * 2.0 ** min(failures, 16))


def _over(record: Mapping[str, Any]) -> float:
    """When a call ended, Unix seconds; one that the sandbox never ended has no length."""
    ended = record["started"] if record["ended"] is None else record["ended"]
    return float(record["wall"] + ended - record["started"])
