"""A world around real lanes: producers, a broker that loses and doubles, workers that die and freeze, clocks that jump.

Each act runs the scripts as the product does and holds what they did against the design's rules (3.2 to 3.5),
which are written here a second time, as what may be seen from outside. Time stands still but for ``pass_time``: the
scripts take it from P:clock instead of Redis, so that a life can be lived again to the ms. Times here are ms of the
*true* time: that of the lanes less what the clocks of failed-over servers have jumped (``skew``).
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from redis import Redis

from leadlane.schemas.settings import Rate
from leadlane.workers.accounts import gcra
from leadlane.workers.dispatcher import Dispatcher
from leadlane.workers.lanes import CLASSES, Call, Entry, Lanes, NoRoomError, Row, Ticket
from tests.integration.workers.lane_snapshot import ABOARD, ENDED, FINAL, PENDING, Snapshot, is_sound, waiting
from tests.still_clock import BEGINNING_MS, on_a_still_clock

GAP, LEASE, TIMEOUT, LOST, TURN, BEGIN = 2_000, 5_000, 6_000, 8_000, 10_000, 1_000
SLOTS, ROOM, RETENTION, REMEMBER = 2, 6, 3_600_000_000, 60_000
LANES = ("leads/voiso/x/1", "leads/voiso/x/2", "leads/voiso/y/1")
SCOPES = ("campaign/voiso/x/1", "account/voiso/x", "all")
"""Of opt-outs; each covers more of LANES than the one before."""
ALL_LANES = (*LANES, *(f"optout/{scope}" for scope in SCOPES))
NOBODY = "*"
"""The account of an opt-out."""
RATES = {"metered": (Rate(2, 1.0), Rate(6, 10.0)), "capped": (), "plain": ()}
CAPS = {"metered": 0, "capped": 1, "plain": 0}
MOST = {
    "capped": {"max_waiting": 9, "max_waiting_per_campaign": 5},
    "plain": {"max_waiting_per_campaign": 7},
}
"""Leads that may wait of an account, and in one campaign of it."""
MOVES = {
    "new": {"waiting", "called", "done"},
    "waiting": {"called", "holding", "riding", "done"},
    "called": {"waiting", "holding", "done", "dead"},
    "holding": {"waiting", "called", "done", "dead"},
    "riding": {"waiting", "called", "done", "dead"},
    "dead": {"done"},
    "done": set(),
}
REVIVED = {"dead": {"waiting"}, "done": {"waiting"}}
"""What else a person may do to a ticket."""
KINDS = ("ok", "partly", "silence", "5xx", "429", "401", "403", "404", "422", "conflict", "closed", "twins")
"""How a call may end, as ``World.leave`` takes it."""
SIGNALS = {
    "silence": "failed", "5xx": "failed", "429": "throttled", "401": "hold", "403": "hold_op", "not sent": "none",
}  # fmt: skip


@dataclass(slots=True)
class Batch:
    """What the world knows of a ticket. ``place`` is (epoch, class, number), counted here a second time."""

    id: str
    lane: str
    account: str
    op: str
    options: str
    n: int
    size: int
    job: str
    place: tuple[int, int, int]
    expires: int | None
    not_before: int = 0
    foggy: bool = False
    alone: bool = False
    calls_out: int = 0
    unanswered: set[int] = field(default_factory=set)
    resent: set[int] = field(default_factory=set)
    scope: str = ""
    has_result: bool = False


@dataclass(slots=True)
class Flight:
    """A call at the dialer; without an answer it may last until ``start + LOST``."""

    lane: str
    start: int
    end: int | None = None

    @property
    def clear(self) -> int:
        """From when on the lane may have its next call."""
        return (self.start + LOST if self.end is None else self.end) + GAP


@dataclass(slots=True)
class Run:
    """A task that holds a turn, in a worker process."""

    worker: str
    token: str
    lane: str
    account: str
    rows: tuple[Row, ...]
    granted: int
    lease_until: int
    begin_by: int
    frozen: bool = False
    lost: bool = False
    flight: Flight | None = None

    @property
    def deadline(self) -> int:
        return self.granted + TURN


@dataclass(frozen=True, slots=True)
class Message:
    queue: str
    ticket: str
    number: int


Memory = Mapping[bytes, tuple[bytes, int]]
"""All keys that a server had at a moment: their dump, ms to live (0: for ever)."""


class World:
    """One Redis with lanes, and everything that acts on them."""

    def __init__(self, client: Redis) -> None:
        client.flushall()
        self.client = client
        self.lanes = on_a_still_clock(Lanes(client, "P"))
        self.offset = self.skew = self.quiet_until = self.servers = 0
        self.seen = Snapshot({})
        self.batches: dict[str, Batch] = {}
        self.queue: list[Message] = []
        self.runs: list[Run] = []
        self.flights: list[Flight] = []
        self.workers: list[str] = []
        self.remembered: list[tuple[int, str, dict[str, Any]]] = []
        self.replays_due = self.finisher_dies = False
        self.sealed: set[str] = set()
        self.kinds: dict[str, tuple[int, str]] = {}
        self.grants: dict[str, list[int]] = defaultdict(list)
        self.cool_until: Counter[str] = Counter()
        self.probing: dict[str, str] = {}
        self.names = iter(range(10**6))
        self.dispatcher = Dispatcher(
            self.lanes,
            publish=self._publish,
            finish=self._finish,
            queue_is_empty=lambda queue: not any(message.queue == queue for message in self.queue),
        )
        client.hset("P:clock", mapping={"lost": LOST + GAP, "retention": RETENTION})
        for account, rates in RATES.items():
            client.hset(f"P:acct:{account}", mapping={"gcra": gcra(rates), "flight": CAPS[account]})
            for limit, most in MOST.get(account, {}).items():
                client.hset(f"P:acct:{account}", limit, most)
        self._boot()
        self.start_worker()

    def have_had_turns(self, turns: int) -> None:
        """The lanes are not new: so many turns were had before."""
        for lane in LANES:
            self.client.hset(f"P:lane:{lane}", "turns", turns)

    # Time ------------------------------------------------------------------------------------------

    def now(self) -> int:
        return BEGINNING_MS + self.offset - self.skew

    def pass_time(self, ms: int) -> None:
        """Time passes: keepers beat, calls that get no answer are given up."""
        while ms > 0:
            self._shift(min(ms, 1_200))
            ms -= 1_200
            for run in list(self.runs):
                patience = run.flight.start + TIMEOUT if run.flight else run.granted + 2 * BEGIN
                if not run.frozen and self.now() > patience:
                    self.leave(run, "silence")
            self.beat()

    def pass_to_next_moment(self) -> None:
        """Time passes until the next thing is due, to the ms, or for two seconds."""
        now = self.now() + self.skew
        moments = [*self.seen.scores("accounts").values(), *self.seen.scores("timers").values()]
        self.pass_time(int(min([at - now for at in moments if at > now] + [2_000])))

    def _shift(self, ms: int) -> None:
        self.offset += ms
        self.client.hset("P:clock", "offset", self.offset)

    # Producers and operators -----------------------------------------------------------------------

    def submit(
        self,
        lane: str,
        account: str,
        op: str,
        priority: Any,
        n: int,
        *,
        options: str = "",
        expires: int | None = None,
        decided: int = 0,
        job: str = "j1",
        may_call: bool = True,
        twice: bool = False,
        front: bool = False,
        bounded: bool = False,
    ) -> None:
        """``front`` is for what is no import: it goes before all that waits, as word of an opt-out does."""
        if bounded and self._is_full(lane, account, n - decided):
            with pytest.raises(NoRoomError):
                self.lanes.submit(
                    Ticket("none", lane, {}, account, op, "1", job, b"", n, n - decided), bounded=True
                )
            self.client.hdel(f"P:job:{job}", "refused")
            self.look(changed=False)
            return
        number = next(self.names)
        name = f"t{number}"
        kind = "import" if op == "import" else "other"
        front = front and kind == "other"
        if front:
            epoch = -1
        else:
            epoch, last = self.kinds.get(lane, (0, kind))
            epoch += last != kind
            self.kinds[lane] = (epoch, kind)
        ticket = Ticket(
            name, lane, {"campaign": "1"}, account, op, "1", job, b"payload", n, n - decided, priority,
            codes="i" * decided + "." * (n - decided) if decided else "",
            why=dict.fromkeys(range(decided), "no number"), options=options, expires_in_ms=expires,
            front=front,
        )  # fmt: skip
        self.batches[name] = Batch(
            name, lane, account, op, options, n, n - decided, job,
            (epoch, CLASSES[priority] if kind == "import" else 0, number),
            None if expires is None else self.now() + expires,
        )  # fmt: skip
        with self._calls():
            new, call = self.lanes.submit(ticket, may_call=may_call, bounded=bounded)
            assert new
            self.look()
        if call:
            self._publish(call)
        if twice:
            assert self.lanes.submit(ticket, may_call=may_call, bounded=True) == (False, None)
            self.look(changed=False)

    def _is_full(self, lane: str, account: str, n: int) -> bool:
        """What is empty takes any batch."""
        there = waiting(self.seen).get(account, {})
        where = {"max_waiting": "all", "max_waiting_per_campaign": lane}
        waits = [(there.get(where[limit], 0), most) for limit, most in MOST.get(account, {}).items()]
        return any(has and has + n > most for has, most in waits)

    def opt_out(self, scope: str, *, may_call: bool, job: str = "j1") -> None:
        """From now until this is over no lead of the scope is called."""
        number = next(self.names)
        name, lane = f"t{number}", f"optout/{scope}"
        self.batches[name] = Batch(
            name, lane, NOBODY, "optout", "", 1, 1, job, (0, 0, number), None, scope=scope
        )
        ticket = Ticket(
            name, lane, {"campaign": ""}, NOBODY, "optout", "", job, b"payload", 1, 1, group="control",
            unturned=scope,
        )  # fmt: skip
        with self._calls():
            new, call = self.lanes.submit(ticket, may_call=may_call)
            assert new
            self.look()
        if call:
            self._publish(call)

    def _is_hushed(self, lane: str) -> bool:
        """Whether somebody has opted out in a scope of the lane and is not yet kept from its calls."""
        pending = {batch.scope for name, batch in self.batches.items() if self.seen.state(name) != "done"}
        _, _, campaign = lane.partition("leads/")
        account = campaign.rpartition("/")[0]
        return bool(campaign) and not pending.isdisjoint(
            {f"campaign/{campaign}", f"account/{account}", "all"}
        )

    def cancel(self, name: str) -> None:
        was, lease_holds = self.seen.state(name), self._lease_holds(self.batches[name].lane)
        answer = self.lanes.cancel(name)
        self.look()
        if was == "done":
            assert answer == "done"
        elif was not in ABOARD:
            assert answer == "cancelled"
        else:
            assert answer == ("flagged" if lease_holds else "cancelled")
        assert answer == "flagged" or self.seen.state(name) == "done"

    def _lease_holds(self, lane: str) -> bool:
        return self.seen.number("lease", "lane", lane) - self.skew > self.now()

    def resolve(self, name: str, act: Any, seed: int) -> None:
        """A person settles some of a ticket's uncertain leads, or all, or has them sent again."""
        batch, codes, state = self.batches[name], self.seen.codes[name], self.seen.state(name)
        dice = random.Random(seed)
        chosen = None if dice.random() < 0.5 else [i for i in range(batch.n) if dice.random() < 0.5]
        rows = {i for i in range(batch.n) if codes[i] == "?" and (chosen is None or i in chosen)}
        revives = act == "resend" and rows and state in ENDED
        if revives:
            self._revived(batch)
        if act == "resend" and state not in ABOARD:
            batch.resent |= rows
            batch.unanswered -= rows
        answer, n = self.lanes.resolve(name, act, "by hand", chosen)
        self.look(by_hand=name)
        if act == "resend" and state in ABOARD and "?" in codes:
            assert (answer, n) == ("aboard", 0)
        elif rows:
            assert (answer, n) == ("settled", len(rows))
            code = {"delivered": "u" if batch.op == "update" else "c", "discard": "f", "resend": "."}[act]
            assert {self.seen.codes[name][i] for i in rows} == {code}
            assert (self.seen.state(name) == "waiting") == bool(revives) or state in ("waiting", "called")

    def settle_dead(self, name: str, act: Any) -> None:
        """A person has a ticket tried again, or gives it up, if it is dead."""
        state, pending = self.seen.state(name), self.seen.hash("t", name).get("pending")
        if state == "dead" and act == "retry":
            self._revived(self.batches[name])
        answer = self.lanes.dead(name, act)
        self.look(by_hand=name)
        assert answer == (("settled", int(pending or 0)) if state == "dead" else ("alive", 0))
        if state == "dead":
            assert self.seen.state(name) == ("waiting" if act == "retry" else "done")

    def _revived(self, batch: Batch) -> None:
        """It stands behind all that wait, as if it had come now."""
        kind = "import" if batch.op == "import" else "other"
        epoch, last = self.kinds.get(batch.lane, (0, kind))
        epoch += last != kind
        self.kinds[batch.lane] = (epoch, kind)
        priority = CLASSES[self.seen.hash("t", batch.id)["class"]] if kind == "import" else 0
        batch.place = (epoch, priority, next(self.names))
        batch.expires, batch.not_before, batch.calls_out, batch.has_result = None, 0, 0, False
        batch.alone = "solo" in self.seen.hash("t", batch.id)

    def seal(self, job: str) -> None:
        self.sealed.add(job)
        self.lanes.seal(job)
        self.look()

    def hold(self, what: Any, name: str, op: str, reason: str) -> None:
        self.lanes.hold(what, name, reason, op)
        if not reason and what == "account":
            self.cool_until[name] = 0
            self.probing.pop(name, None)
        self.look()

    # The broker ------------------------------------------------------------------------------------

    def _publish(self, call: Call) -> None:
        assert call.queue == _queue_of(self.batches[call.ticket].lane)
        self.batches[call.ticket].calls_out += 1
        self.queue.append(Message(call.queue, call.ticket, call.number))

    def lose_message(self, index: int) -> None:
        if self.has_messages():
            self.queue.pop(index % len(self.queue))

    def double_message(self, index: int) -> None:
        if self.has_messages():
            self.queue.append(self.queue[index % len(self.queue)])

    def has_messages(self) -> bool:
        if not self.queue:
            self.dispatch()
        return bool(self.queue)

    @contextmanager
    def _calls(self) -> Iterator[None]:
        """Within it, up to a look, tickets may be called: one per slot, not in the quiet time, heads of their lanes."""
        before = self.seen.called
        yield
        after = self.seen.called
        for name in after.keys() - before.keys():
            queue = _queue_of(self.batches[name].lane)
            assert self._called_in(queue) <= self._slots_of(queue), (
                "more calls than living workers have slots"
            )
            assert not self._is_hushed(self.batches[name].lane), "called while an opt-out of the scope waits"
            assert self.now() >= self.quiet_until, "called in the quiet time"
            self._must_be_head(name, turns=int(self.seen.number("turns", "lane", self.batches[name].lane)))

    def _called_in(self, queue: str) -> int:
        return len(self.seen.scores("calls", queue))

    def _slots_of(self, queue: str) -> float:
        return self.seen.number("sum", "slots", queue)

    def _must_be_head(self, name: str, *, turns: int) -> None:
        """Order: by class inside an epoch, every tenth turn for bulk; what has expired is passed over."""
        lane = self.batches[name].lane
        waiting = [self.batches[other] for other in self.seen.of_lane(lane, "waiting", "called") | {name}]
        rest = [batch for batch in waiting if not self._expired(batch)]
        head = min(rest, key=lambda batch: batch.place)
        bulk = [batch for batch in rest if batch.place[:2] == (head.place[0], 2)]
        if turns % 10 == 9 and bulk:
            head = min(bulk, key=lambda batch: batch.place)
        assert name == head.id, f"{name} goes before {head.id}"

    def _expired(self, batch: Batch) -> bool:
        return batch.expires is not None and batch.expires <= self.now()

    # Worker processes ------------------------------------------------------------------------------

    def start_worker(self) -> None:
        self.workers.append(f"w{next(self.names)}")
        self.beat()

    def kill_worker(self, worker: str) -> None:
        """A process dies with all its turns; their calls may still run at the dialer."""
        self.workers.remove(worker)
        self.runs = [run for run in self.runs if run.worker != worker]
        self.remembered = [one for one in self.remembered if one[1] != worker]

    def freeze(self, run: Run) -> None:
        """The process stops for a while: nobody renews."""
        run.frozen = True

    def free_worker(self) -> str | None:
        busy = Counter(run.worker for run in self.runs)
        return next((worker for worker in self.workers if busy[worker] < SLOTS), None)

    def beat(self) -> None:
        """What every keeper does a few times per lease."""
        for worker in self.workers:
            self.lanes.alive(worker, for_ms=LEASE, slots={"turns": SLOTS, "control": 1})
        self._renew([run for run in self.runs if not run.frozen])
        replays, self.replays_due = self.replays_due, False
        if replays:
            for at, _, document in self.remembered:
                if at > self.now() - REMEMBER:
                    for move in document["tickets"]:
                        self.batches[move["id"]].foggy = True
                    self.lanes.leave({**document, "rest_ms": 0, "may_call": False, "replay": True})
        self.look(left=replays)

    def _renew(self, runs: Sequence[Run]) -> None:
        if not runs:
            return
        asked = self.now()
        turns = [
            {
                "lane": run.lane,
                "token": run.token,
                "acct": run.account,
                "group": "control" if run.account == NOBODY else "leads",
                "tickets": [row.ticket for row in run.rows],
                "lost_ms": max((run.flight.start if run.flight else asked + BEGIN) + LOST + GAP - asked, 0),
                "turn_ms": max(run.deadline - asked, 0),
            }
            for run in runs
        ]
        lost, _ = self.lanes.renew(turns, lease_ms=LEASE)
        for run in runs:
            if run.token in lost:
                run.lost = True
            else:
                run.lease_until = min(asked + LEASE, run.deadline)
                run.begin_by = asked + BEGIN

    # Turns -----------------------------------------------------------------------------------------

    def a_run(self, index: int) -> Run | None:
        """One of the turns; if there is none, what must happen for one does."""
        for _ in range(4):
            if self.runs:
                return self.runs[index % len(self.runs)]
            if not self.workers:
                self.start_worker()
            if not self.deliver(0):
                self.pass_to_next_moment()
        return None

    def deliver(self, index: int, *, begin: bool = True, lost_reply: bool = False) -> Run | None:
        """A worker with a free slot takes a message and enters; the turn, if it is granted."""
        worker = self.free_worker()
        if worker is None or not self.has_messages():
            return None
        message = self.queue.pop(index % len(self.queue))
        batch, before = self.batches[message.ticket], self.seen
        must, expected = self._must_be_granted(batch), self._aboard_with(batch)
        batch.calls_out = 0
        token, asked = f"k{next(self.names)}", self.now()
        terms = {"lease_ms": LEASE, "turn_ms": TURN, "lost_ms": LOST, "gap_ms": GAP, "room": ROOM}
        entry = self.lanes.enter(batch.id, token, number=message.number, **terms)
        if lost_reply and entry.verdict == "granted":
            again = self.lanes.enter(batch.id, token, number=message.number, **terms)
            assert (again.verdict, again.rows) == (entry.verdict, entry.rows), (
                "granted again to the same token"
            )
        self.look()
        if entry.verdict == "granted":
            run = Run(
                worker, token, batch.lane, batch.account, entry.rows, asked, asked + LEASE, asked + BEGIN
            )
            self._granted_rightly(run, entry, before, expected)
            self.runs.append(run)
            if begin:
                self.begin(run)
            return run
        if entry.verdict == "parked":
            assert not must, f"{batch.id} was called and nothing is in its way, but it is parked"
        elif entry.verdict == "elsewhere":
            assert before.state(batch.id) in ABOARD
            noted = {**before.tickets, batch.id: {**before.tickets[batch.id], "twin": "1"}}
            changed = [name for name, fields in self.seen.tickets.items() if fields != noted.get(name)]
            assert not changed, [(noted.get(name), self.seen.tickets[name]) for name in changed]
            assert before.codes == self.seen.codes
        else:
            given_up = self.seen.tickets[batch.id].get("end") == "discarded"
            assert entry.verdict == ("dead" if given_up else self.seen.state(batch.id))
            batch.has_result = True
        return None

    def _must_be_granted(self, batch: Batch) -> bool:
        """Whether it is called and nothing stands in its way; rates are left open."""
        account, lane = self.seen.hash("acct", batch.account), self.seen.hash("lane", batch.lane)
        free = not CAPS.get(batch.account) or not self.seen.members("flight", batch.account)
        held = {"hold", f"hold:{batch.op}", "probe"} & account.keys() or "hold" in lane
        cools = float(account.get("cool", 0)) - self.skew > self.now()
        quiet = self._quiet()
        late = self._expired(batch)
        called = self.seen.state(batch.id) == "called"
        hushed = self._is_hushed(batch.lane)
        return called and free and not (held or cools or quiet or late or hushed or RATES.get(batch.account))

    def _aboard_with(self, holder: Batch) -> list[str] | None:
        """Who must be aboard if this ticket is granted its turn now; None if a jump of the clock leaves that open."""
        names = self.seen.of_lane(holder.lane, "waiting", "called") - {holder.id}
        waiting = sorted((self.batches[name] for name in names), key=lambda batch: batch.place)
        if any(batch.foggy for batch in waiting):
            return None
        aboard, room = [holder.id], ROOM - holder.size
        for batch in waiting:
            if self._expired(batch):
                continue
            alike = (batch.op, batch.account, batch.options) == (holder.op, holder.account, holder.options)
            ready = not batch.alone and not holder.alone and batch.not_before <= self.now()
            if not (alike and ready and 0 < room >= batch.size):
                break
            aboard.append(batch.id)
            room -= batch.size
        return aboard

    def _granted_rightly(self, run: Run, entry: Entry, before: Snapshot, expected: list[str] | None) -> None:
        at, holder = entry.now_ms - self.skew, self.batches[entry.rows[0].ticket]
        turns = int(self.seen.number("turns", "lane", run.lane)) - 1
        if before.state(holder.id) != "called":
            self._must_be_head(holder.id, turns=turns)
        assert at >= self.quiet_until, "a turn in the quiet time"
        assert not self._is_hushed(run.lane), "a turn while an opt-out of the scope waits"
        assert at >= holder.not_before, "a turn before its backoff is over"
        self._lane_is_clear(run.lane, at)
        self._account_admits(run.account, at, run.token)
        assert expected in (None, [row.ticket for row in entry.rows])
        for row in entry.rows:
            batch = self.batches[row.ticket]
            batch.foggy = False
            assert len(row.codes) == batch.n, "batches are never split"
            told = row.fields.get("lost") or all(row.codes[i] != "." for i in batch.unanswered)
            assert told, "the next attempt must know of the one that got no answer"

    def _lane_is_clear(self, lane: str, at: int) -> None:
        for flight in self.flights:
            assert flight.lane != lane or at >= flight.clear, f"{flight.clear - at} ms too early"

    def _account_admits(self, account: str, at: int, token: str) -> None:
        self._rate_is_kept(account, at)
        fields, lanes = self.seen.hash("acct", account), self.seen.members("flight", account)
        assert "hold" not in fields, "a turn of an account on hold"
        assert not CAPS.get(account) or len(lanes) <= CAPS[account]
        assert at >= self.cool_until[account], "a turn while the account cools down"
        if self.cool_until[account]:
            assert self.probing.get(account) not in {self._token(lane) for lane in lanes}, (
                "one probe goes first"
            )
            self.probing[account] = token

    def _rate_is_kept(self, account: str, at: int) -> None:
        self.grants[account].append(at)
        for rate in RATES.get(account, ()):
            inside = sum(at - rate.period_s * 1000 < one <= at for one in self.grants[account])
            assert inside <= rate.count, f"{inside} calls in {rate.period_s} s"

    def _token(self, lane: str) -> str:
        return self.seen.hash("lane", lane).get("token", "")

    def admit(self, account: str) -> None:
        """One more call in a turn, a look at the campaign, under the account's rate."""
        at = self.now()
        if self.lanes.admit(account) == 0:
            self._rate_is_kept(account, at)
        self.look()

    def begin(self, run: Run) -> None:
        """The first byte of a call leaves, if the lease holds; an opt-out makes none."""
        if run.flight or run.frozen or run.account == NOBODY:
            return
        flight = Flight(run.lane, self.now())
        if flight.start > run.begin_by:
            run.flight = flight
            self._renew([run])
            run.flight = None
        if run.lost or self.now() >= run.lease_until:
            return
        self._lane_is_clear(run.lane, flight.start)
        run.flight = flight
        self.flights.append(flight)
        for row in run.rows:
            self.batches[row.ticket].unanswered |= {i for i, code in enumerate(row.codes) if code in PENDING}

    def leave(self, run: Run, kind: str, *, late: int = 0, seed: int = 0, lost_reply: bool = False) -> None:
        """The turn ends as ``kind`` says, ``late`` ms after its call did."""
        self.runs.remove(run)
        if not run.flight and (run.account != NOBODY or kind != "ok"):
            kind = "not sent"
        now = self.now()
        end = max(now - late, run.flight.start) if run.flight else now
        document = _document(run, kind, now, end, random.Random(seed))
        self.remembered.append((now, run.worker, document))
        stale = self._token(run.lane) != run.token
        with self._calls():
            left = self.lanes.leave(document)
            assert left.stale == stale
            own = (
                set()
                if stale
                else self._settle(run, kind, now, end, document["tickets"], document["account"])
            )
            self.look(own=own, stale=stale, left=not stale)
        if left.call:
            self._publish(left.call)
        if lost_reply:
            again = self.lanes.leave(document)
            assert (again.stale, again.complete) == (stale, left.complete), (
                "who leaves twice is told the same"
            )
            self.look(changed=False)

    def _settle(
        self,
        run: Run,
        kind: str,
        now: int,
        end: int,
        moves: Sequence[dict[str, Any]],
        account: dict[str, Any],
    ) -> set[str]:
        """Notes what the world now knows of call, batches and account; the ticket that its own task has ended."""
        if run.flight and kind != "silence":
            run.flight.end = end
        for move in moves:
            batch = self.batches[move["id"]]
            batch.not_before = now + move["wait_ms"]
            batch.alone = "solo" in move or "search" in move
            batch.op = move.get("op", batch.op)
            if run.flight and kind not in ("silence", "5xx"):
                batch.unanswered = {i for i in batch.unanswered if move["codes"][i] == "~"}
            if "behind" in move:
                batch.place = (batch.place[0], 2, next(self.names))
        if self.probing.get(run.account) == run.token:
            del self.probing[run.account]
            if account["signal"] != "none":
                self.cool_until[run.account] = 0
        if account["signal"] == "throttled":
            self.probing.pop(run.account, None)
            if wait := account.get("wait_ms"):
                self.cool_until[run.account] = max(self.cool_until[run.account], now + wait)
        own = {move["id"] for move in moves[:1] if move["act"] != "again"}
        for name in own:
            self.batches[name].has_result = True
        return own

    def work(self) -> None:
        """What a fleet does on a good day: all calls are made, answered and come again."""
        self.dispatch()
        for run in [run for run in self.runs if not run.frozen]:
            self.begin(run)
            self.leave(run, "ok")
        while self.queue and self.free_worker():
            if run := self.deliver(0):
                self.leave(run, "ok")

    # Dispatchers and servers -----------------------------------------------------------------------

    def dispatch(self, *, finisher_dies: bool = False) -> None:
        self.finisher_dies = finisher_dies
        with self._calls():
            self.dispatcher.step()
            self.look()
        for lane in ALL_LANES:
            assert not self._is_overlooked(lane), (
                f"{lane} is due, nothing is in its way, and it was not called"
            )

    def _finish(self, names: Sequence[str]) -> None:
        if self.finisher_dies:
            return
        for name in names:
            self.batches[name].has_result = True
        self.lanes.finished(names)

    def _is_overlooked(self, lane: str) -> bool:
        """Whether its head is due and would be granted; rates, tenth turns and jumps of the clock are left open."""
        fields, names = self.seen.hash("lane", lane), self.seen.of_lane(lane, "waiting")
        waiting = [self.batches[name] for name in names]
        tenth = int(fields.get("turns", 0)) % 10 == 9
        if fields.get("state") != "idle" or not waiting or tenth or any(batch.foggy for batch in waiting):
            return False
        head = min(waiting, key=lambda batch: batch.place)
        account = self.seen.hash("acct", head.account)
        held = {"hold", f"hold:{head.op}", "probe"} & account.keys() or "hold" in fields
        cools = float(account.get("cool", 0)) - self.skew > self.now()
        later = max(float(fields.get("next", 0)) - self.skew, head.not_before) > self.now()
        quiet = self._quiet()
        slots = self._called_in(_queue_of(lane)) < self._slots_of(_queue_of(lane))
        limited = RATES.get(head.account) or CAPS.get(head.account) or self._is_hushed(lane)
        return slots and not (held or cools or later or quiet or limited)

    def _quiet(self) -> bool:
        return self.now() + self.skew < self.seen.number("quiet", "clock")

    def _boot(self) -> None:
        self.servers += 1
        self.lanes._run("boot", f"server{self.servers}")

    def fail_over(self, jump: int, *, clean: bool = False, forgotten: Memory | None = None) -> None:
        """Another server, whose clock may differ and which may lack what the old one wrote last."""
        if forgotten:
            self._restore(forgotten)
        if clean:
            self.client.hset("P:clock", "clean", 1)
        began = self.now()
        self.skew += jump
        self._shift(jump)
        self._boot()
        if not clean:
            self.quiet_until = began + LOST + GAP
        for batch in self.batches.values():
            if batch.expires is not None:
                batch.expires -= jump
            if jump > 0:  # what was to wait by the old clock may be over by the new one
                batch.not_before -= jump
            batch.foggy |= jump < 0
        if jump > 0:
            self.cool_until = Counter({name: at - jump for name, at in self.cool_until.items() if at})
        self.replays_due = True
        self.look(forget=forgotten is not None)
        if forgotten:  # a cancel before the keepers have spoken could not know of what was forgotten
            self.beat()

    def remember(self) -> Memory:
        """All that the server knows now."""
        keys: list[bytes] = self.client.keys("*")
        with self.client.pipeline() as pipe:
            for key in keys:
                pipe.dump(key)
                pipe.pttl(key)
            found = pipe.execute()
        return {key: (found[2 * i], max(found[2 * i + 1], 0)) for i, key in enumerate(keys)}

    def _restore(self, memory: Memory) -> None:
        with self.client.pipeline() as pipe:
            pipe.flushdb()
            for key, (value, ttl) in memory.items():
                pipe.restore(key, ttl, value)
            pipe.execute()

    # What must hold at any moment ------------------------------------------------------------------

    def look(
        self,
        *,
        own: Iterable[str] = (),
        left: bool = False,
        stale: bool = False,
        forget: bool = False,
        changed: bool = True,
        by_hand: str = "",
    ) -> None:
        """Reads everything and holds it against the rules, and against what was seen before.

        ``own`` ended by their own task; ``left`` says that a turn was left just now, ``stale`` that one was which was
        lost before; ``forget`` that the server has forgotten something; ``by_hand`` is the ticket a person acted on.
        """
        before, now = self.seen, Snapshot.of(self.client)
        self.seen = now
        assert changed or _essence(before) == _essence(now), "doing it twice is doing it once"
        if not forget:
            for name in now.tickets:
                self._moved_rightly(name, before, now, own=name in own, left=left, by_hand=name == by_hand)
                self._codes_rightly(name, before, now, stale=stale, by_hand=name == by_hand)
        is_sound(now, self.batches, lanes=ALL_LANES, sealed=self.sealed)

    def _moved_rightly(
        self, name: str, before: Snapshot, now: Snapshot, *, own: bool, left: bool, by_hand: bool
    ) -> None:
        was, state, batch = before.state(name), now.state(name), self.batches[name]
        may = MOVES[was] | (REVIVED.get(was, set()) if by_hand else set())
        assert state == was or state in may, f"{name} went from {was} to {state}"
        if state in ENDED and was not in ENDED:
            own = own and "twin" not in before.hash(
                "t", name
            )  # whose message is gone: the list has it as well
            assert (name in now.finish) != own, f"{name} ended; by its own task: {own}"
        elif (was != "dead" or state == "dead") and not by_hand:
            assert name not in now.finish - before.finish
        if state == "dead" and was != "dead" and now.tickets[name]["reason"] == "did_not_come":
            assert batch.calls_out >= 3
        if was in ABOARD and state not in (*ABOARD, *ENDED) and not left:
            batch.alone = True  # its worker is gone

    def _codes_rightly(
        self, name: str, before: Snapshot, now: Snapshot, *, stale: bool, by_hand: bool
    ) -> None:
        batch, codes = self.batches[name], now.codes[name]
        assert len(codes) == batch.n
        assert now.state(name) != "done" or set(codes) <= set(FINAL)
        for i, (old, new) in enumerate(zip(before.codes.get(name, "." * batch.n), codes, strict=True)):
            if old == new:
                continue
            if by_hand and old == "?" and i in batch.resent and new == ".":
                continue
            assert old in PENDING or (old == "?" and new not in PENDING), f"{name}: {old} became {new}"
            assert new != ".", f"{name}: what was sent is unsent again"
            assert not (stale and new in PENDING and old != "."), f"{name}: a stale leave made {new} of {old}"
            no_answer = i in batch.unanswered | batch.resent and old != "?"
            assert not (new in "xef" and no_answer), f"{name}: {new}, but an attempt got no answer"

    # The end ---------------------------------------------------------------------------------------

    def drain(self) -> None:
        """All obstacles are taken away; a fair world must bring every ticket to its end."""
        for account in RATES:
            for op in ("import", "update"):
                self.hold("operation", account, op, "")
            self.hold("account", account, "", "")
        for run in self.runs:
            run.frozen = False
        self.start_worker()
        for _ in range(500):
            self._release_lanes()
            self._give_up_dead_opt_outs()
            self.work()
            if all(self.seen.state(name) in ENDED for name in self.batches) and not self.seen.finish:
                break
            self.pass_to_next_moment()
        stuck = {name: fields for name, fields in self.seen.tickets.items() if fields["state"] not in ENDED}
        assert not stuck, stuck
        assert not self.seen.finish
        for name, batch in self.batches.items():
            assert name in self.seen.tickets, name
            assert batch.has_result, f"nobody wrote the result of {name}"
        for job in sorted({batch.job for batch in self.batches.values()}):
            self.seal(job)

    def _release_lanes(self) -> None:
        for lane in LANES:
            if "hold" in self.seen.hash("lane", lane):
                self.hold("lane", lane, "", "")

    def _give_up_dead_opt_outs(self) -> None:
        """Until somebody does, their scopes are silent."""
        for name in self.seen.scores("dead"):
            if self.batches[name].scope:
                self.settle_dead(name, "discard")


def _queue_of(lane: str) -> str:
    return "turns" if lane.startswith("leads/") else "control"


def _essence(snapshot: Snapshot) -> tuple[Any, ...]:
    return snapshot.tickets, snapshot.codes, snapshot.finish, snapshot.called


# What a worker says when it leaves, as ``turn.py`` and ``verdicts.py`` would make it ------------------


def _document(run: Run, kind: str, now: int, end: int, dice: random.Random) -> dict[str, Any]:
    rest = max(end + GAP - now, dice.randrange(8_000) if kind == "conflict" else 0) + 1 if run.flight else 0
    if run.flight and kind == "silence":
        rest = max(rest, run.flight.start + LOST + GAP - now)
    account = {
        "acct": run.account, "op": run.rows[0].fields["op"], "signal": SIGNALS.get(kind, "ok"), "reason": kind,
        "began_ms": now - (run.flight.start if run.flight else now), "base_ms": 2000, "cap_ms": 60_000,
        "dice": dice.random(), "fails": 3,
    }  # fmt: skip
    if kind == "429" and dice.random() < 0.7:
        account["wait_ms"] = dice.choice([500, 3_000, 30_000])
    return {
        "lane": run.lane,
        "token": run.token,
        "rest_ms": max(rest, 0),
        "account": account,
        "may_call": dice.random() < 0.8,
        "tickets": [
            _move(row, kind, dice, called=bool(run.flight), many=len(run.rows) > 1) for row in run.rows
        ],
        **({"hold": "the campaign is closed"} if kind == "closed" else {}),
    }


def _move(row: Row, kind: str, dice: random.Random, *, called: bool, many: bool) -> dict[str, Any]:
    codes = [("~" if code == "." and row.fields.get("lost") else code) for code in row.codes]
    if kind in ("silence", "5xx"):
        codes = ["~" if code == "." else code for code in codes]
    pending = [i for i, code in enumerate(codes) if code in PENDING]
    for i in pending if kind in ("ok", "partly") else ():
        codes[i] = "," if kind == "partly" and dice.random() < 0.5 else dice.choice("cdru")
    how: dict[str, Any] = {}
    if kind == "422" and many:
        how["solo"] = 1
    elif kind == "422":
        for i in pending[: len(pending) // 2]:
            codes[i] = "r"
        how["search"] = "[1]"
        if row.fields["op"] == "import":
            how["behind"] = 1
    elif kind == "twins" and row.fields["op"] == "import":
        how["op"] = "update"
    act = "dead" if kind == "404" else "again"
    if not any(code in PENDING for code in codes):
        act, how = "done", {}
    waits = kind in ("silence", "5xx") and act == "again"
    return {
        "id": row.ticket,
        "act": act,
        "codes": "".join(codes),
        "reason": kind,
        "cost": int(kind in ("ok", "partly", "silence", "5xx")),
        "called": int(called),
        "wait_ms": dice.choice([0, 1_000, 9_000]) if waits else 0,
        "conflicts": int(kind == "conflict"),
        **how,
    }
