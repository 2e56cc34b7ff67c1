"""Lanes by the thousand, made without producers, and what each script costs the server among them."""

from __future__ import annotations

import itertools
import statistics
import sys
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.schemas.settings import load_settings
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes, Ticket

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

PREFIX: Final = "leadlane"
ACCOUNT: Final = "voiso"
SIZES: Final = (10, 1_000, 100_000)
ROUNDS: Final = 100
"""Calls of each script; the median counts."""
AWAY_MS: Final = 1_800_000
"""How far away the next turn of a lane is that has work, but nothing due."""
AT_ONCE: Final = 500
"""Tickets in one round trip."""
SIGNAL: Final = {
    "acct": ACCOUNT, "op": "import", "signal": "ok", "reason": "", "began_ms": 0, "base_ms": 2_000, "cap_ms": 60_000,
    "dice": 0.5, "fails": 5,
}  # fmt: skip


class Queued(Lanes):
    """Lanes that collect what they are told for one round trip; nothing is answered."""

    def __init__(self, client: redis.Redis, prefix: str) -> None:
        super().__init__(client, prefix)
        self.pipe = client.pipeline(transaction=False)

    def _run(self, script: str, *args: str | bytes | float) -> Any:
        self._scripts[script](keys=[self.prefix], args=args, client=self.pipe)
        return b"new", None


def ticket(name: str, lane: str, **more: Any) -> Ticket:
    """A batch of a thousand leads, without the leads."""
    about = {"account": ACCOUNT, "operation": "import", "campaign": "1", "job": "bench", **more}
    return Ticket(id=name, lane=lane, address={}, payload=b"x", **{"n": 1000, "size": 1000, **about})


def fill(client: redis.Redis, lanes: int, tickets: int) -> None:
    """Make so many lanes, each with so many tickets; no lane is due within half an hour."""
    queued = Queued(client, PREFIX)
    seconds, _ = client.time()
    names = [f"leads/voiso/bench/{n}" for n in range(lanes)]
    for name in names:
        queued.pipe.hset(queued.key("lane", name), "next", seconds * 1000 + AWAY_MS)
    for done, (n, name) in enumerate(itertools.product(range(tickets), names), 1):
        queued.submit(ticket(f"{name}#{n}", name))
        if done % AT_ONCE == 0:
            queued.pipe.execute()
    queued.pipe.execute()


def script_costs() -> Iterator[dict[str, Any]]:
    """Microseconds of the server for a call of each script: so many lanes with a ticket each, one with so many."""
    for shape in ("lanes", "tickets"):
        for size in SIZES:
            sys.stderr.write(f"scripts: {size} {shape} ...\n")
            with EmbeddedRedis() as server:
                client = connect(load_settings(environ={"LEADLANE_REDIS_URL": server.url}))
                fill(client, *((size, 1) if shape == "lanes" else (1, size)))
                found = _Trial(client, "leads/voiso/bench/0" if shape == "tickets" else "").costs()
                client.close()
            for script, us in found.items():
                yield {"bench": "scripts", "script": script, "shape": shape, "size": size, "us": us}


class _Trial:
    """Each script called again and again: on the one long lane, or each time on another among many."""

    def __init__(self, client: redis.Redis, lane: str) -> None:
        self.lanes = Lanes(client, PREFIX)
        self._lane = lane
        self._us: dict[str, list[int]] = defaultdict(list)
        self._before = 0

    def costs(self) -> dict[str, float]:
        """Median microseconds per script, or what of it is meant."""
        slots = {"turns": 40, "control": 4}
        self.lanes.alive("bench", for_ms=600_000, slots=slots)
        if self._lane:  # the long lane is due
            self.lanes.client.hset(self.lanes.key("lane", self._lane), "next", 0)
            self.lanes.hold("lane", self._lane, "due now")
            self.lanes.hold("lane", self._lane, "")
        for n in range(ROUNDS):
            self._before = self._spent()
            self._round(f"round{n}", self._lane or f"leads/voiso/bench/round{n}")
        return {name: statistics.median(spent) for name, spent in self._us.items()}

    def _round(self, name: str, lane: str) -> None:
        """A ticket from its beginning to its end, and what else there is to say to lanes."""
        lanes, token = self.lanes, f"token-{name}"
        with self._timed("alive"):
            lanes.alive("bench", for_ms=600_000, slots={"turns": 40, "control": 4})
        if not self._lane:
            with self._timed("dispatch, nothing due"):
                lanes.dispatch()
        with self._timed("submit"):
            lanes.submit(ticket(name, lane), may_call=False)
        with self._timed("submit urgent"):
            lanes.submit(ticket(f"{name}-urgent", lane, priority="urgent"), may_call=False)
        with self._timed("cancel"):
            lanes.cancel(f"{name}-urgent")
        with self._timed("hold a lane"):
            lanes.hold("lane", lane, "bench")
        with self._timed("release a lane"):
            lanes.hold("lane", lane, "")
        with self._timed("hold an account"):
            lanes.hold("account", ACCOUNT, "bench")
        with self._timed("release an account"):
            lanes.hold("account", ACCOUNT, "")
        with self._timed("dispatch"):
            (call,) = lanes.dispatch(most=1).calls
        with self._timed("enter"):
            entry = lanes.enter(
                call.ticket, token, number=call.number, lease_ms=12_000, turn_ms=60_000, lost_ms=60_000, gap_ms=0,
                room=1000,
            )  # fmt: skip
        assert entry.verdict == "granted", entry  # noqa: S101 - else nothing was measured
        with self._timed("renew"):
            lanes.renew([{"lane": lane, "token": token, "acct": ACCOUNT, "group": "leads", "tickets": [call.ticket],
                          "lost_ms": 60_000, "turn_ms": 60_000}], lease_ms=12_000)  # fmt: skip
        with self._timed("slice"):
            lanes.slice(lane, token, begins=(call.ticket, 0))
        with self._timed("leave"):
            lanes.leave(_left(lane, token, call.ticket, "done", "c" * 1000))
        with self._timed("command"):
            lanes.submit(ticket(f"{name}-start", lane.replace("leads", "state", 1), operation="start", n=1, size=1,
                                group="control", seq=0, job="commands"), may_call=False)  # fmt: skip
        lanes.cancel(f"{name}-start")

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        yield
        before, self._before = self._before, self._spent()
        self._us[what].append(self._before - before)

    def _spent(self) -> int:
        """Microseconds that scripts have taken so far, by the server's own clock."""
        stats = self.lanes.client.info("commandstats")
        return sum(stats.get(f"cmdstat_{name}", {}).get("usec", 0) for name in ("eval", "evalsha"))


def _left(lane: str, token: str, name: str, act: str, codes: str) -> dict[str, Any]:
    """A turn's end, as ``leave.lua`` takes it."""
    moved = {
        "id": name, "act": act, "codes": codes, "reason": act, "cost": 1, "called": 1, "wait_ms": 0, "conflicts": 0,
    }  # fmt: skip
    return {
        "lane": lane,
        "token": token,
        "rest_ms": 0,
        "account": SIGNAL,
        "may_call": False,
        "tickets": [moved],
    }
