"""Where it happens: the sandbox, a Redis, workers and producers as children, and the blows that fall on them."""

from __future__ import annotations

import heapq
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, cast

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from leadlane.cli import output
from leadlane.ops.chaos.judge import Freeze, Worker, dark_since
from leadlane.ops.chaos.plan import (
    BURST,
    EVERY_S,
    OUTAGE,
    RATE,
    ROLES,
    SINGLES,
    Conditions,
    Strike,
    faults,
    strikes,
)
from leadlane.ops.chaos.producer import journal_of
from leadlane.ops.chaos.standstill import CALLED_AGAIN_S, Cause, Span
from leadlane.ops.children import Child
from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.local import sandbox_account
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.ops.sandbox.settings import SCOPES
from leadlane.schemas.errors import Unreachable
from leadlane.workers.accounts import lane_at

SPARE_KEYS: Final = 100
LOOK_S: Final = 0.05
TELL_S: Final = 30.0
LATER_S: Final = 0.2
STARTS_WITHIN_S: Final = 60.0
LANES: Final = sorted({f"{role.account}/{campaign}" for role in ROLES for campaign in role.campaigns})


class Fighter:
    """A worker process and what befell it."""

    def __init__(self, child: Child, worker: Worker) -> None:
        self.child, self.worker = child, worker
        self.frozen: float | None = None
        self.lanes: tuple[str, ...] = ()  # where it held a turn as it froze


class Arena:
    """A context manager: everything runs inside its block, and nothing of it is left behind.

    Attributes:
        blows: how many of each kind have fallen; ``ended by itself`` counts workers that nobody killed.
        causes: what lets lanes stand still.
        freezes: of workers that have thawed.
        workers: every worker there ever was, by the label of its API key.
    """

    def __init__(self, conditions: Conditions, folder: Path) -> None:
        self.conditions = conditions
        self.folder = folder
        most = len(strikes(conditions)) + conditions.workers + SPARE_KEYS
        self._keys = [f"chaos-key-{i}" for i in range(1, most + 1)]
        keys: dict[str, Any] = {f"{name}_keys": {key: [] for key in self._keys} for name in SINGLES}
        keys["keys"] = {key: list(SCOPES) for key in self._keys}
        self.sandbox = SandboxProcess(
            audit_file=folder / "audit.jsonl", gap_s=conditions.gap_s, call_time_s=0.1, **keys
        )
        self.redis = EmbeddedRedis(appendfsync=conditions.appendfsync)
        self.blows: dict[str, int] = dict.fromkeys(EVERY_S, 0) | {"ended by itself": 0}
        self.causes: list[Cause] = []
        self.freezes: list[Freeze] = []
        self.workers: dict[str, Worker] = {}
        self.away: list[Span] = []  # when Redis was
        self._away_since: float | None = None
        self._fighters: list[Fighter] = []
        self._producers: list[Child] = []
        self._numbers = count(1)
        self._acts = count()
        self._pids: set[int] = set()
        self._ends = 0.0
        self._stack = ExitStack()
        self._later: list[tuple[float, int, Callable[[], None]]] = []

    def __enter__(self) -> Self:
        try:
            self._stack.enter_context(self.sandbox)
            self._stack.enter_context(self.redis)
            self._client = self._stack.enter_context(
                Redis.from_url(self.redis.url, socket_timeout=1, retry=Retry(NoBackoff(), 0))
            )
            self._stack.callback(self._end_children)
            self.environ = self._settings()
            for _ in range(self.conditions.workers):
                self._fighters.append(self._fighter())
            self._await_fighters()
            for i in range(len(ROLES)):
                self._producers.append(self._producer(i))
            self._faults()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def fight(self) -> None:
        """Let the blows fall, each in its time; returns when the last is over, with everything running again."""
        began = time.monotonic()
        self._ends = began + self.conditions.lasts_s
        acts: dict[str, Callable[[Strike], None]] = {name: getattr(self, f"_{name}_now") for name in EVERY_S}
        for strike in strikes(self.conditions):
            self._at(began + strike.at_s, partial(acts[strike.blow], strike))
        told = began
        while self._later or time.monotonic() < self._ends:
            while self._later and self._later[0][0] <= time.monotonic():
                heapq.heappop(self._later)[2]()
            self._replace_the_fallen()
            if time.monotonic() - told > TELL_S:
                told = time.monotonic()
                fallen = ", ".join(f"{n} {blow}" for blow, n in self.blows.items() if n)
                output.note(f"{told - began:.0f} s: {fallen}")
            time.sleep(LOOK_S)
        self.sandbox.clear_faults()

    def settle(self, within_s: float) -> bool:
        """Tell the producers to stop; whether all they had sent came to its end in time."""
        (self.folder / "stop").touch()
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self._replace_the_fallen()
            for i, child in enumerate(self._producers):
                if child.exit_code not in (None, 0):
                    output.note(f"producer {ROLES[i].name} ended by itself:\n{child.last_words()}")
                    self.blows["ended by itself"] += 1
                    child.again()
            if all(child.exit_code == 0 for child in self._producers):
                return True
            time.sleep(LOOK_S)
        return False

    def _settings(self) -> dict[str, str]:
        c = self.conditions
        given = {name: value for name, value in os.environ.items() if not name.startswith("LEADLANE_")}
        calls = {"timeout_s": f"{c.timeout_s:g}", "lost_call_s": f"{c.lost_call_s:g}", "rate": RATE}
        given |= sandbox_account("voiso", self.sandbox.url, import_gap_s=f"{c.gap_s:g}", **calls)
        for name in SINGLES:
            given |= sandbox_account(name, self.sandbox.url, provider=name, import_gap_s="0", **calls)
        return given | {
            "LEADLANE_REDIS_URL": self.redis.url,
            "LEADLANE_LEASE_S": f"{c.lease_s:g}",
            "LEADLANE_VISIBILITY_TIMEOUT_S": f"{c.lost_call_s:g}",
            "LEADLANE_HASH_KEY": "chaos" * 8,
            "LEADLANE_MAX_ATTEMPTS": "1000",  # what dies of them is for a person, and the run has none
        }

    def _fighter(self) -> Fighter:
        n = next(self._numbers)
        accounts = ("voiso", *SINGLES)
        environ = self.environ | {f"LEADLANE_{name.upper()}_KEY": self._keys[n - 1] for name in accounts}
        threads = str(self.conditions.threads)
        log = self.folder / f"worker-{n}.log"
        child = Child("worker", "--name", f"w{n}", "--concurrency", threads, log=log, environ=environ)
        fighter = Fighter(child, Worker(f"key {n}"))
        self.workers[fighter.worker.key] = fighter.worker
        return fighter

    def _producer(self, i: int) -> Child:
        log = journal_of(self.folder, ROLES[i]).with_suffix(".log")
        trickle = "1" if self.conditions.minutes > 2 else "0"  # a job without producer is free a minute later
        words = (str(i), str(self.conditions.seed), str(self.folder), trickle)
        return Child(*words, log=log, environ=self.environ, program="leadlane.ops.chaos.producer")

    def _await_fighters(self) -> None:
        """Wait until all of them live in the lanes. Raises Unreachable."""
        deadline = time.monotonic() + STARTS_WITHIN_S
        while len(self._up()) < len(self._fighters):
            if time.monotonic() > deadline:
                raise Unreachable("the workers", f"are not up after {STARTS_WITHIN_S:.0f} s")
            time.sleep(LOOK_S)

    def _end_children(self) -> None:
        for child in (*self._producers, *(fighter.child for fighter in self._fighters)):
            child.kill()

    def _faults(self) -> None:
        self.sandbox.clear_faults()
        for rule in faults(self.conditions):
            self.sandbox.fault(**rule)

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._later, (moment, next(self._acts), act))

    def _replace_the_fallen(self) -> None:
        for fighter in list(self._fighters):
            code = fighter.child.exit_code
            if code is None or not self.redis.running:
                continue
            if code != Unreachable.exit_code:  # with that it may end if Redis is away as it starts
                output.note(f"worker {fighter.worker.key} ended by itself:\n{fighter.child.last_words()}")
                self.blows["ended by itself"] += 1
            self._bury(fighter)

    def _bury(self, fighter: Fighter) -> None:
        now = time.monotonic()
        away = [*self.away, *([(self._away_since, now)] if self._away_since else [])]
        began = now if fighter.frozen is None else fighter.frozen
        fighter.worker.dark.append((dark_since(began, away), float("inf")))
        fighter.child.kill()
        self._went_down(fighter)
        self._fighters.remove(fighter)
        self._fighters.append(self._fighter())

    def _up(self) -> list[Fighter]:
        """Those who live in the lanes and can move; as last seen while Redis is away."""
        try:
            members = self._client.zrange("leadlane:workers", 0, -1)
            self._pids = {int(member.split(b":")[1]) for member in cast("list[bytes]", members)}
        except RedisError:
            pass  # they are still those that were up
        return [one for one in self._fighters if one.child.pid in self._pids and one.frozen is None]

    def _went_down(self, fighter: Fighter) -> tuple[str, ...]:
        """What its end, or its freeze, does to lanes; those that it held. While Redis is away nobody can say."""
        held, now = [], time.time()
        gone = f":{fighter.child.pid}:".encode()
        try:
            for lane in LANES:
                account, _, campaign = lane.partition("/")
                name = lane_at(account, self.sandbox.url, campaign, "leads")
                state, worker, until, token = self._client.hmget(
                    f"leadlane:lane:{name}", "state", "worker", "until", "token"
                )
                if state == b"called":
                    self.causes.append(Cause(now, now + CALLED_AGAIN_S, "message lost", lane))
                elif state == b"held" and gone in (worker or b""):
                    held.append(lane)
                    probes = self._client.hget(f"leadlane:acct:{account}", "probe") == token
                    over = float(until) / 1000 + self.conditions.gap_s
                    self.causes.append(Cause(now, over, "turn lost", account if probes else lane))
        except RedisError:
            pass
        return tuple(held)

    # the blows; the names are those of the plan

    def _strike_one(self, strike: Strike, act: Callable[[Fighter], None]) -> None:
        """Strike one of those who are up as soon as there are two: else nobody would ever get to work."""
        up = self._up()
        if len(up) > 1:
            self.blows[strike.blow] += 1
            act(up[int(strike.pick * len(up))])
        elif time.monotonic() < self._ends:
            self._at(time.monotonic() + LATER_S, partial(self._strike_one, strike, act))

    def _kill_now(self, strike: Strike) -> None:
        self._strike_one(strike, self._bury)

    def _freeze_now(self, strike: Strike) -> None:
        def freeze(fighter: Fighter) -> None:
            fighter.frozen = time.monotonic()
            os.kill(fighter.child.pid, signal.SIGSTOP)
            fighter.lanes = self._went_down(fighter)
            # What it waited for on its broker connection it has taken, and will not serve.
            self.causes.append(Cause(time.time(), time.time() + 1 + CALLED_AGAIN_S, "freeze"))
            self._at(fighter.frozen + strike.lasts_s, partial(self._thaw, fighter))

        self._strike_one(strike, freeze)

    def _thaw(self, fighter: Fighter) -> None:
        if fighter in self._fighters and fighter.frozen is not None:
            now = time.monotonic()
            fighter.worker.dark.append((dark_since(fighter.frozen, self.away), now))
            self.freezes.append(Freeze(fighter.worker.key, fighter.frozen, now, fighter.lanes))
            fighter.frozen = None
            os.kill(fighter.child.pid, signal.SIGCONT)

    def _restart_now(self, strike: Strike) -> None:
        self._away(strike, "restart", self.redis.stop)

    def _crash_now(self, strike: Strike) -> None:
        self._away(strike, "crash", self.redis.kill)

    def _away(self, strike: Strike, blow: str, end: Callable[[], None]) -> None:
        if not self.redis.running:
            return
        self.blows[blow] += 1
        self._away_since = time.monotonic()
        end()
        self._at(time.monotonic() + strike.lasts_s, self._back)

    def _back(self) -> None:
        self.redis.start()
        since, now = self._away_since or 0.0, time.monotonic()
        self.away.append((since, now))
        self._away_since = None
        quiet_s = self.conditions.lost_call_s + self.conditions.gap_s
        self.causes.append(Cause(time.time() - (now - since), time.time() + quiet_s, "restart of Redis"))

    def _producer_now(self, strike: Strike) -> None:
        self.blows["producer"] += 1
        self._producers[int(strike.pick * len(self._producers))].again()

    def _throttle_now(self, _: Strike) -> None:
        self.blows["throttle"] += 1
        self.sandbox.fault(**BURST)

    def _outage_now(self, strike: Strike) -> None:
        self.blows["outage"] += 1
        self.sandbox.clear_faults()
        self.sandbox.fault(**OUTAGE)
        self._at(time.monotonic() + strike.lasts_s, self._faults)
