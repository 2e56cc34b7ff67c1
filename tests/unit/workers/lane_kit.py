"""Lanes on a fake Redis whose clock a test moves, with words for the usual."""

from collections.abc import Mapping
from typing import Any

from fakeredis import FakeRedis

from leadlane.workers.lanes import Call, Due, Entry, Lanes, Left, Ticket
from tests.still_clock import BEGINNING_MS, on_a_still_clock

GAP, LEASE, TURN, LOST, ROOM = 2_000, 12_000, 60_000, 60_000, 1_000
LANE = "leads/voiso/x/1"


class Kit:
    """One lane (or more), account ``acme`` (or more), a worker with ten slots. Times are ms from the beginning."""

    def __init__(self) -> None:
        self.client = FakeRedis()
        self.lanes = on_a_still_clock(Lanes(self.client, "P"))
        self.worker_lives = True
        self.pass_ms(0)

    # Acts

    def pass_ms(self, ms: int) -> None:
        self.client.hincrby("P:clock", "offset", ms)
        if self.worker_lives:
            self.client.hdel("P:clock", "heard")  # it was, all the while
            self.lanes.alive("worker", for_ms=LEASE, slots={"turns": 10, "control": 10})

    def lose_the_worker(self) -> None:
        self.worker_lives = False
        self.lanes.alive("worker", for_ms=0, slots={"turns": 10, "control": 10})

    def submit(
        self,
        name: str,
        *,
        lane: str = LANE,
        n: int = 2,
        may_call: bool = True,
        bounded: bool = False,
        **more: Any,
    ) -> Call | None:
        known: dict[str, Any] = {
            "address": {}, "account": "acme", "operation": "import", "campaign": "1", "job": "j", "payload": b"p",
            "size": n,
        }  # fmt: skip
        ticket = Ticket(id=name, lane=lane, n=n, **{**known, **more})
        return self.lanes.submit(ticket, may_call=may_call, bounded=bounded)[1]

    def enter(self, name: str, token: str = "k1", *, number: int = 0, room: int = ROOM) -> Entry:
        return self.lanes.enter(
            name, token, number=number, lease_ms=LEASE, turn_ms=TURN, lost_ms=LOST, gap_ms=GAP, room=room
        )

    def granted(self, name: str, token: str = "k1", **more: Any) -> list[str]:
        """Enters; the tickets aboard."""
        entry = self.enter(name, token, **more)
        assert entry.verdict == "granted"
        return [row.ticket for row in entry.rows]

    def leave(
        self,
        *moves: Mapping[str, Any],
        token: str = "k1",
        lane: str = LANE,
        account: str = "acme",
        rest: int = GAP,
        signal: str = "ok",
        terms: Mapping[str, Any] | None = None,
        **document: Any,
    ) -> Left:
        told = {
            "acct": account, "op": "import", "signal": signal, "reason": signal, "began_ms": 0, "base_ms": 2_000,
            "cap_ms": 60_000, "dice": 0.5, "fails": 3, **(terms or {}),
        }  # fmt: skip
        return self.lanes.leave(
            {
                "lane": lane,
                "token": token,
                "rest_ms": rest,
                "account": told,
                "may_call": True,
                "tickets": moves,
                **document,
            }
        )

    def renew(self, *tickets: str, token: str = "k1", **more: Any) -> list[str]:
        turn = {
            "lane": LANE, "token": token, "acct": "acme", "group": "leads", "tickets": tickets,
            "lost_ms": LOST + GAP, "turn_ms": TURN, **more,
        }  # fmt: skip
        lost, _ = self.lanes.renew([turn], lease_ms=LEASE)
        return sorted(lost)

    def boot(self, run_id: str) -> int:
        return int(self.lanes._run("boot", run_id))

    def dispatch(self, **more: int) -> Due:
        return self.lanes.dispatch(**more)

    def called(self) -> list[str]:
        """Dispatches; the tickets called now."""
        return [call.ticket for call in self.dispatch().calls]

    # Looks

    def hash(self, *parts: str) -> dict[str, str]:
        return {
            key.decode(): value.decode()
            for key, value in self.client.hgetall(":".join(("P", *parts))).items()
        }

    def ticket(self, name: str) -> dict[str, str]:
        return self.hash("t", name)

    def state(self, name: str) -> str:
        return self.ticket(name).get("state", "")

    def codes(self, name: str) -> str:
        return (self.client.get(f"P:out:{name}") or b"").decode()

    def lane(self, lane: str = LANE) -> dict[str, str]:
        return self.hash("lane", lane)

    def at(self, key: str, field: str, *parts: str) -> int:
        """A moment in a hash, from the beginning."""
        return int(float(self.hash(key, *parts)[field])) - BEGINNING_MS

    def due(self, lane: str = LANE, account: str = "acme") -> int | None:
        """When a free lane is due, 0 if it always was; None if it is not."""
        score = self.client.zscore(f"P:due:{account}:leads", lane)
        return None if score is None else max(int(score) - BEGINNING_MS, 0)

    def job(self, job: str = "j") -> dict[str, str]:
        return self.hash("job", job)

    def finish(self) -> list[str]:
        return [name.decode() for name in self.client.zrange("P:finish", 0, -1)]

    def lives_for_ever(self, *parts: str) -> bool:
        return self.client.pttl(":".join(("P", *parts))) == -1


def move(name: str, act: str = "done", codes: str = "cc", **more: Any) -> dict[str, Any]:
    """What becomes of a ticket aboard, as ``leave.lua`` takes it."""
    return {
        "id": name, "act": act, "codes": codes, "reason": act, "cost": 1, "called": 1, "wait_ms": 0, "conflicts": 0,
        **more,
    }  # fmt: skip
