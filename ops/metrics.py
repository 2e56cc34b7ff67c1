"""What Prometheus gets of a fleet: the state of its lanes and accounts, and how the dialers' rules are kept.

Flower serves it with its own at ``/metrics``. A thread reads Redis every few seconds, in a few round trips and without
a scan, so that a scrape costs Redis nothing and never waits for it. Labels are names of accounts, campaigns, operations
and states; there is no number and no key in them. Campaigns are the first MOST_LANES with work, or with calls.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from leadlane.workers.account_view import HELD_OPERATION
from leadlane.workers.accounts import account_names
from leadlane.workers.blocking import standing
from leadlane.workers.faults import OUTAGES
from leadlane.workers.lane_view import GROUPS, now_ms
from leadlane.workers.lanes import Lanes
from leadlane.workers.verifying import RULES, Call, Kept, Recent

log = structlog.get_logger(__name__)

EVERY_S: Final = 5.0
"""Between two looks at Redis."""
JUDGE_EVERY_S: Final = 10.0
"""From one judgement of the ledger to the next; longer where it takes long, so that it is a twentieth of the time."""
LAST_S: Final = 3600.0
"""Calls of so many seconds are judged."""
MOST_LANES: Final = 200
WATCHED: Final = ("409", "429", "none", "lost")
"""Answers that are told apart from those of their hundred."""


@dataclass(frozen=True, slots=True)
class Look:
    """What Redis said at one moment; accounts and lanes by name."""

    now_ms: int
    clock: Mapping[str, str]
    numbers: Mapping[str, int]
    slots: Mapping[str, int]
    changes: Mapping[str, str]
    accounts: Mapping[str, Mapping[str, str]]
    of_account: Mapping[str, Mapping[str, int]]
    lanes: Mapping[str, Mapping[str, int]]


def look(lanes: Lanes) -> Look:
    """What there is to tell now, but for the calls: four round trips."""
    now, names, key = now_ms(lanes), account_names(lanes), lanes.key
    with lanes.client.pipeline(transaction=False) as pipe:
        pipe.hgetall(key("clock"))
        pipe.hgetall(key("changes"))
        pipe.zcount(key("workers"), now, "+inf")
        pipe.zcard(key("dead"))
        pipe.zcard(key("uncertain"))
        pipe.zcard(key("finish"))
        pipe.scard(key("holds"))
        pipe.srandmember(key("holds"), MOST_LANES)
        pipe.zrange(key("timers"), 0, MOST_LANES - 1)
        for queue in ("turns", "control"):
            pipe.hget(key("slots", queue), "sum")
        for name in names:
            pipe.hgetall(key("acct", name))
            pipe.hget(key("load", name), "all")
            pipe.zrange(key("due", name, "leads"), 0, MOST_LANES - 1)
            pipe.scard(key("flight", name))
            for group in GROUPS:
                pipe.zcard(key("due", name, group))
        clock, changes, alive, dead, uncertain, finish, held, holds, timers, turns, control, *rest = (
            pipe.execute()
        )
    each = 4 + len(GROUPS)
    rows = {name: rest[i * each : (i + 1) * each] for i, name in enumerate(names)}
    working = [*holds, *timers, *(lane for row in rows.values() for lane in row[2])]
    return Look(
        now,
        _text(clock),
        {
            "workers": alive,
            "dead_tickets": dead,
            "uncertain_tickets": uncertain,
            "unfinished_results": finish,
            "held_lanes": held,
        },
        {"turns": int(turns or 0), "control": int(control or 0)},
        _text(changes),
        {name: _text(row[0]) for name, row in rows.items()},
        {
            name: {
                "waiting_leads": int(row[1] or 0),
                "turns": row[3],
                **dict(zip(GROUPS, row[4:], strict=True)),
            }
            for name, row in rows.items()
        },
        _lanes(lanes, [lane.decode() for lane in dict.fromkeys(working)][:MOST_LANES]),
    )


def _lanes(lanes: Lanes, names: list[str]) -> dict[str, dict[str, int]]:
    """Of each campaign's lane, by ``account/campaign/kind``: leads that wait, batches that wait, on hold or not."""
    with lanes.client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(lanes.key("lane", name), "acct", "hold")
            pipe.zcard(lanes.key("wait", name))
        found = pipe.execute()
    owners = [(fields[0] or b"").decode() for fields in found[::2]]
    with lanes.client.pipeline(transaction=False) as pipe:
        for name, account in zip(names, owners, strict=True):
            pipe.hget(lanes.key("load", account), name)
        loads = pipe.execute()
    return {
        f"{account}/{name.split('/', 3)[3]}/{name.partition('/')[0]}": {
            "waiting_leads": int(load or 0),
            "waiting_batches": batches,
            "held": int(fields[1] is not None),
        }
        for name, account, load, fields, batches in zip(
            names, owners, loads, found[::2], found[1::2], strict=True
        )
        if name.count("/") >= 3 and not name.startswith("optout/")
    }


def _text(raw: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in raw.items()}


def states(fields: Mapping[str, str], now: int) -> dict[str, bool]:
    """Which of the states that an alert may want an account with these fields is in."""
    stands = standing(fields, now).state
    return {
        "held": "hold" in fields,
        "operation_held": any(name.startswith(HELD_OPERATION) for name in fields),
        "cooling": stands == "cooling",
        "breaker_open": "trips" in fields,
        "probing": stands == "probing",
        "full": "full" in fields,
    }


def of_fleet(seen: Look) -> Iterator[Metric]:
    """The metrics of a look."""
    for name, help_text in NUMBERS.items():
        yield GaugeMetricFamily(f"leadlane_{name}", help_text, value=seen.numbers[name])
    quiet = int(seen.clock.get("quiet") or 0) > seen.now_ms
    yield GaugeMetricFamily(
        "leadlane_quiet", "1 while no turn is given after a restart of Redis", value=quiet
    )
    yield _gauge("slots", "Calls that living workers can make at once", ("queue",), (
        ((queue,), n) for queue, n in seen.slots.items()
    ))  # fmt: skip
    yield _gauge("account_state", "1 if the account is in this state", ("account", "state"), (
        ((name, state), value)
        for name, fields in seen.accounts.items()
        for state, value in states(fields, seen.now_ms).items()
    ))  # fmt: skip
    yield _gauge("waiting_leads", "Leads that wait or are in a turn", ("account",), (
        ((name,), row["waiting_leads"]) for name, row in seen.of_account.items()
    ))  # fmt: skip
    yield _gauge("turns", "Turns under way", ("account",), (
        ((name,), row["turns"]) for name, row in seen.of_account.items()
    ))  # fmt: skip
    yield _gauge("due_lanes", "Free lanes with work", ("account", "group"), (
        ((name, group), row[group]) for name, row in seen.of_account.items() for group in GROUPS
    ))  # fmt: skip
    for name, help_text in OF_LANES.items():
        yield _gauge(f"lane_{name}", help_text, ("campaign", "kind"), (
            (tuple(lane.rsplit("/", 1)), row[name]) for lane, row in seen.lanes.items()
        ))  # fmt: skip
    changes = CounterMetricFamily(
        "leadlane_transitions", "States that began or ended", labels=("account", "state", "how")
    )
    for change, n in seen.changes.items():
        state, how, account = change.split(":", 2)
        changes.add_metric((account, state, how), int(n))
    yield changes


NUMBERS: Final = {
    "workers": "Worker processes that are alive",
    "dead_tickets": "Batches and commands that were given up",
    "uncertain_tickets": "Batches with leads of which nobody knows whether they arrived",
    "unfinished_results": "Ended tickets whose Celery result is still to be written",
    "held_lanes": "Lanes on hold",
}
OF_LANES: Final = {
    "waiting_leads": "Leads that wait or are in a turn, of campaigns with work",
    "waiting_batches": "Batches that wait, of campaigns with work",
    "held": "1 if the lane is on hold",
}


def _gauge(
    name: str, help_text: str, labels: tuple[str, ...], rows: Iterable[tuple[Any, float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"leadlane_{name}", help_text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


@dataclass(slots=True)
class Calls:
    """Calls since this process began to count: by account, operation and answer, and the leads they carried."""

    made: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    leads: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count(self, calls: Iterable[Call]) -> None:
        """Add these."""
        for one in calls:
            answer = one.answer if one.answer in WATCHED else f"{one.answer[:1]}xx"
            self.made[one.account, one.operation, answer] += 1
            if answer == "2xx":
                self.leads[one.account, one.operation] += one.size

    def told(self) -> Iterator[Metric]:
        """The two counters."""
        for name, help_text, labels, counted in (
            ("calls", "Calls to dialers by their answer", ("account", "operation", "answer"), self.made),
            (
                "called_leads",
                "Leads, or agents, in calls that were answered 2xx",
                ("account", "operation"),
                self.leads,
            ),
        ):
            family = CounterMetricFamily(f"leadlane_{name}", help_text, labels=labels)
            for values, n in counted.items():
                family.add_metric(values, n)
            yield family


def of_rules(kept: list[Kept]) -> Iterator[Metric]:
    """How the rules were kept in the last hour: sums over all campaigns, and campaigns one by one."""
    sums = {rule: sum(getattr(one, rule) for one in kept) for rule in RULES}
    yield _gauge("broken_rules", "Breaches in the last hour, of all campaigns; 0 is the promise", ("rule",), (
        ((rule,), n) for rule, n in sums.items()
    ))  # fmt: skip
    shown = sorted(kept, key=lambda one: (-one.breaches, -one.calls))[:MOST_LANES]
    yield _gauge("rule_breaches", "Breaches in the last hour; 0 is the promise", ("campaign", "rule"), (
        ((one.campaign, rule), getattr(one, rule)) for one in shown for rule in RULES
    ))  # fmt: skip
    for name, (figure, help_text) in FIGURES.items():
        yield _gauge(f"rule_{name}", f"{help_text}, in the last hour", ("campaign",), (
            ((one.campaign,), value) for one in shown if (value := getattr(one, figure)) is not None
        ))  # fmt: skip


FIGURES: Final = {
    "most_at_once": ("most_at_once", "Calls with leads at the same time"),
    "smallest_gap_seconds": ("smallest_gap_s", "From the end of a call with leads to the next"),
    "largest_call_leads": ("largest_call", "Leads in a call"),
}


class FleetMetrics(Collector):
    """The metrics as of the last look; while Redis cannot be reached ``leadlane_up`` is 0 and stands alone."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._recent, self._calls = Recent(lanes, LAST_S), Calls()
        self._looks = 0
        self._judge_at = 0.0
        self._rules: list[Metric] = []
        self._told: list[Metric] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadlane-metrics", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()

    def describe(self) -> list[Metric]:
        """Nothing: what there is to tell is known after the first look."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What the last look found."""
        told = self._told
        yield GaugeMetricFamily("leadlane_up", "1 if Redis was reached at the last look", value=bool(told))
        yield from told

    def refresh(self) -> None:
        """Look at Redis now; raises what redis-py does."""
        new = self._recent.read()
        if self._looks:  # what was there before is none of ours to count
            self._calls.count(new)
        self._looks += 1
        if time.monotonic() >= self._judge_at:
            began = time.monotonic()
            self._rules = list(of_rules(self._recent.judged()))
            took = time.monotonic() - began
            self._judge_at = began + max(JUDGE_EVERY_S, 20 * took)
        self._told = [*of_fleet(look(self._lanes)), *self._calls.told(), *self._rules]

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self.refresh()
            except OUTAGES as exc:
                self._told = []
                log.warning("metrics cannot reach redis", error=type(exc).__name__)
            except Exception as exc:  # noqa: BLE001  its text may hold data, so only its kind is said
                self._told = []
                log.error("metrics failed", error=type(exc).__name__)
            self._stopped.wait(EVERY_S)
