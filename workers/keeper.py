"""The keeper: one thread per process that renews the leases of its turns, and says that the process lives."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis
import structlog

from leadlane.workers.lanes import Lanes
from leadlane.workers.transport import CallHandle

log = structlog.get_logger(__name__)
REMEMBER_S = 60.0
"""How long outcomes are remembered in memory, to be written again if the server lost its last writes."""


BEGIN_S = 1.0
"""How long after it was granted or renewed a turn may begin its call without saying so first: what Redis takes
for the start of a call that is lost is that much later (``enter.lua`` has the same second)."""


@dataclass(slots=True)
class Turn:
    """A turn of this process. Times are of ``time.monotonic``; ``call_began`` is its grant until a call begins.

    ``here`` says that its task did not come through the broker.
    """

    lane: str
    token: str
    account: str
    group: str
    tickets: tuple[str, ...]
    deadline: float
    lost_call_s: float
    lease_until: float
    call_began: float
    seq: str = ""
    here: bool = False
    begun: bool = False
    begin_by: float = 0.0
    lost: bool = False
    handles: list[CallHandle] = field(default_factory=list)

    def may_send(self) -> bool:
        """Whether the lease still holds; asked immediately before each piece of a call leaves."""
        return not self.lost and time.monotonic() < self.lease_until

    def handle(self) -> CallHandle:
        """For the next call of this turn."""
        self.handles.append(CallHandle())
        return self.handles[-1]

    def lose(self) -> None:
        """Another may have the lane: what is still being sent is cut off.

        A call that has left whole goes on: its answer may still say what is not known.
        """
        self.lost = True
        for handle in tuple(self.handles):
            handle.stop_sending()


class Keeper:
    """Renews the leases of all turns of this process every third of a lease."""

    def __init__(self, lanes: Lanes, *, worker: str, slots: Mapping[str, int], lease_s: float) -> None:
        self.lanes = lanes
        self.worker = worker
        self.slots = slots
        self.lease_s = lease_s
        self._turns: dict[str, Turn] = {}
        self._left: deque[tuple[float, Mapping[str, Any]]] = deque()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leadlane-keeper", daemon=True)
        self._quiet = 0
        self._well = True

    def start(self) -> None:
        """Begin to keep."""
        self.beat()
        self._thread.start()

    @property
    def lives(self) -> bool:
        """Whether its thread runs, and its last round did not fail for a reason that is not Redis."""
        return self._thread.is_alive() and self._well

    def goodbye(self) -> None:
        """No more calls shall come to this process; turns that run are still kept."""
        self.slots = dict.fromkeys(self.slots, 0)
        self._guarded(self.beat)

    def stop(self) -> None:
        """End the thread; to be called when no turn runs any more."""
        self._stop.set()
        self._guarded(lambda: self.lanes.alive(self.worker, for_ms=0, slots=self.slots))

    def hold(self, turn: Turn) -> None:
        """Keep this turn from now on."""
        turn.begin_by = turn.call_began + BEGIN_S
        with self._lock:
            self._turns[turn.token] = turn

    def begins(self, turn: Turn) -> None:
        """The call of the turn begins now; one that begins late is renewed first, to be counted from here."""
        turn.call_began, turn.begun = time.monotonic(), True
        if turn.call_began > turn.begin_by:
            self._renew([turn])

    def release(self, turn: Turn) -> None:
        """The turn is over."""
        with self._lock:
            self._turns.pop(turn.token, None)

    def remember(self, document: Mapping[str, Any]) -> None:
        """Keep what a turn left with, to say it again should Redis come back without its last writes."""
        now = time.monotonic()
        with self._lock:
            self._left.append((now, document))
            while self._left and self._left[0][0] < now - REMEMBER_S:
                self._left.popleft()

    def beat(self) -> None:
        """One round: say that the process lives, replay after a restart of Redis, renew every lease."""
        self.lanes.alive(self.worker, for_ms=int(self.lease_s * 1000), slots=self.slots)
        quiet = int(self.lanes.client.hget(self.lanes.key("clock"), "quiet") or 0)
        if quiet != self._quiet:
            if self._quiet or quiet:
                self._replay()
            self._quiet = quiet
        with self._lock:
            turns = list(self._turns.values())
        self._renew(turns)  # last: a turn that was left may stand in the way of the one granted after it

    def _renew(self, turns: Sequence[Turn]) -> None:
        if not turns:
            return
        asked = time.monotonic()
        lost, stays = self.lanes.renew(
            [_document(turn, asked) for turn in turns], lease_ms=int(self.lease_s * 1000)
        )
        for turn in turns:
            if turn.token in lost:
                turn.lose()
                log.warning("turn lost", lane=turn.lane)
            elif turn.token not in stays:
                turn.lease_until = min(asked + self.lease_s, turn.deadline)
                if not turn.begun:
                    turn.begin_by = asked + BEGIN_S

    def _replay(self) -> None:
        now = time.monotonic()
        with self._lock:
            documents = [_older(document, round((now - left) * 1000)) for left, document in self._left]
        for document in documents:
            self.lanes.leave({**document, "rest_ms": 0, "may_call": False, "replay": True})
        if documents:
            log.warning("redis restarted: outcomes of the last minute written again", turns=len(documents))

    def _run(self) -> None:
        while not self._stop.wait(self.lease_s / 3):
            self._guarded(self.beat)

    def _guarded(self, act: Callable[[], object]) -> None:
        try:
            act()
            self._well = True
        except redis.RedisError as exc:
            log.warning("keeper cannot reach redis", error=type(exc).__name__)
        except Exception as exc:  # noqa: BLE001
            # Whatever it was, such as no memory: the next round may do better, and if not, the pulse tells.
            self._well = False
            log.error("keeper failed", error=type(exc).__name__)


def _older(document: Mapping[str, Any], by_ms: int) -> dict[str, Any]:
    """What a turn left with, its calls that much longer ago."""
    calls = [
        call | {"began": call["began"] + by_ms, "ended": call["ended"] + by_ms, "wall": call["wall"] + by_ms}
        for call in document.get("calls", ())
    ]
    return {**document, "calls": calls}


def _document(turn: Turn, now: float) -> dict[str, Any]:
    began = turn.call_began if turn.begun else now + BEGIN_S
    command = {"seq": turn.seq} if turn.seq else {}
    return command | {
        "lane": turn.lane,
        "token": turn.token,
        "acct": turn.account,
        "group": turn.group,
        "tickets": turn.tickets,
        "lost_ms": max(int((began + turn.lost_call_s - now) * 1000), 0),
        "turn_ms": max(int((turn.deadline - now) * 1000), 0),
    }
