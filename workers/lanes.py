"""Lanes: the line in front of each campaign, kept in Redis by short Lua scripts.

One method per script; what a script does, which keys it touches and what it answers stands in its header
(``lua/*.lua``). The scripts are atomic, take the time from Redis, and each may be repeated safely after a
lost reply.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import redis

from leadlane.schemas.redis_urls import is_sentinels
from leadlane.schemas.settings import Settings
from leadlane.workers.changes import Change
from leadlane.workers.connection import connect, lua
from leadlane.workers.vault import PLAIN, Vault

Class = Literal["urgent", "normal", "bulk"]
CLASSES: dict[str, int] = {"urgent": 0, "normal": 1, "bulk": 2}
ROW_FIELDS = (
    "acct", "op", "campaign", "job", "n", "class", "attempts", "first", "conflicts", "lost", "solo",
    "search", "created", "calls", "options", "links", "cut", "seq", "undoes",
)  # fmt: skip
SCRIPTS = (
    "admit", "alive", "boot", "cancel", "carry", "claim", "dead", "dispatch", "enter", "expire", "hold", "leave",
    "note", "open", "recall", "recount", "renew", "resolve", "seal", "slice", "submit",
)  # fmt: skip
TURN_OVER, TICKET_CANCELLED = -1, -2
"""What ``Lanes.slice`` answers if no call may begin."""
ADDING = frozenset({"import", "upload"})
"""Operations that bring new leads; an upload brings them as a file."""
COUNTED_S = 86_400
"""For how long it is counted how often a message has come back."""
MOST_RIDERS = 200
"""Batches that may travel with a holder: bounds the time one script takes."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new ticket: one batch, or one command, for one campaign.

    ``n`` counts the rows of the batch, ``size`` those that are to be sent; ``why`` has reasons by row, or by
    outcome code; ``options`` must be equal for batches that share a call. ``signature`` is the JSON of the
    Celery task that waits for it, if it is not one that can be made from these fields; ``linked`` that other
    tasks wait for it (link, chain, chord), so that it must run to end. ``seq`` is the place of a command about
    a campaign's state among its like, 0 to be given one; ``after`` the job whose end it waits for. A task of
    more leads than a batch may hold is cut: its ticket has ``cut_into``, the number of pieces beside it, and
    each of those has ``piece_of``. One with ``front`` goes before all that waits. ``unturned`` is the scope of
    an opt-out: no leads lane of it is called until the ticket is over. ``said`` has digests of what it says
    under an idempotency key; ``by`` names the producer that fills its job, where only one may. ``undoes`` is
    the batch whose leads this one takes back.
    """

    id: str
    lane: str
    address: Mapping[str, str]
    account: str
    operation: str
    campaign: str
    job: str
    payload: bytes
    n: int
    size: int
    priority: Class = "normal"
    group: Literal["leads", "control"] = "leads"
    codes: str = ""
    why: Mapping[int, str] | Mapping[int | str, str] = field(default_factory=dict)
    options: str = ""
    expires_in_ms: int | None = None
    signature: str = ""
    linked: bool = False
    piece_of: str = ""
    cut_into: int = 0
    front: bool = False
    unturned: str = ""
    seq: int | None = None
    after: str = ""
    said: str = ""
    by: str = ""
    undoes: str = ""

    @property
    def kind(self) -> Literal["import", "other"]:
        """Updates and removals are a barrier in the lane: later imports do not pass them."""
        return "import" if self.operation in ADDING and self.group == "leads" else "other"


class NoRoomError(Exception):
    """As many leads wait as may; nothing was stored."""


@dataclass(frozen=True, slots=True)
class Call:
    """A ticket whose turn has come; whoever receives this publishes its task."""

    ticket: str
    queue: str
    number: int
    operation: str
    account: str
    campaign: str
    job: str
    n: int
    priority: str
    signature: str
    early_ms: int = 0
    """Until the turn may begin; above 0 only for a thread of the caller itself."""


@dataclass(frozen=True, slots=True)
class Row:
    """One ticket aboard a turn, as stored."""

    ticket: str
    codes: str
    payload: bytes | None
    fields: Mapping[str, str]

    def number(self, name: str) -> int:
        """The field as a number; 0 if it is absent."""
        return int(float(self.fields.get(name) or 0))


@dataclass(frozen=True, slots=True)
class Entry:
    """The answer to a task that has come: ``granted`` with rows, or why not."""

    verdict: Literal["granted", "parked", "elsewhere", "done", "dead", "unknown"]
    lane: str = ""
    now_ms: int = 0
    rows: tuple[Row, ...] = ()
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Overdue:
    """A called ticket that did not come, its queue to be looked at."""

    lane: str
    number: str
    queue: str


@dataclass(frozen=True, slots=True)
class Due:
    """What a dispatcher has to do now, and when to look again; ``starved`` if it could not call all that is due.

    ``changes`` are told to no other dispatcher: it is this one that says them.
    """

    wait_ms: int
    calls: tuple[Call, ...]
    overdue: tuple[Overdue, ...]
    finish: tuple[str, ...]
    starved: bool = False
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The newest command of a campaign, and for how many seconds each operation whose answer was lost may still run."""

    ticket: str
    seq: int
    unsure_s: Mapping[str, float]

    def overtakes(self, ticket: str, seq: int) -> bool:
        """Whether it is newer than this command."""
        return self.ticket != ticket and self.seq >= seq


@dataclass(frozen=True, slots=True)
class Left:
    """What leaving a turn brought: the next call to publish, whether the turn was still ours."""

    stale: bool
    call: Call | None
    complete: bool


class TakenOverError(Exception):
    """Another producer fills the job now: this one was silent for too long. Nothing was stored."""


class _Kept(threading.local):
    """A connection that stays with its thread: to take one from the pool is a quarter of what a script costs here."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: redis.Redis = client.client()  # type: ignore[no-untyped-call]


class Lanes:
    """The lanes of one Redis. Thread-safe; holds no state but the scripts and the keys of payloads.

    With ``kept`` each thread that runs scripts keeps a connection for them, which is for a process whose threads stay.
    """

    def __init__(self, client: redis.Redis, prefix: str, vault: Vault = PLAIN, *, kept: bool = False) -> None:
        self.client = client
        self.prefix = prefix
        self.vault = vault
        self._scripts = {name: client.register_script(lua(name)) for name in SCRIPTS}
        self._kept = _Kept(client) if kept else None

    @classmethod
    def of(cls, settings: Settings, *, kept: bool = False) -> Lanes:
        """The lanes that the settings name, not asked for anything yet; raises SettingsError for a payload key."""
        vault = Vault.of(settings)
        # A connection that breaks and is kept connects to where it was: behind sentinels that may be the wrong server.
        kept = kept and not is_sentinels(settings.redis_url)
        return cls(connect(settings), settings.key_prefix, vault, kept=kept)

    def _run(self, script: str, *args: str | bytes | float) -> Any:
        client = self._kept.client if self._kept else None
        return self._scripts[script](keys=[self.prefix], args=args, client=client)

    def key(self, *parts: str) -> str:
        """The name of a key; ``lane.lua`` lists them."""
        return ":".join((self.prefix, *parts))

    def came_back(self, task: str) -> int:
        """How often the message of this task has come back; counted here, once each time."""
        key = self.key("back", task)
        with self.client.pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, COUNTED_S)
            times, _ = pipe.execute()
        return int(times)

    def submit(
        self, ticket: Ticket, *, may_call: bool = True, bounded: bool = False
    ) -> tuple[bool, Call | None]:
        """Store the ticket and put it in its lane: whether it is new, and the call to publish if its turn is now.

        Raises TakenOverError; NoRoomError if it is ``bounded`` and the account's limits of waiting leads leave no
        room for it.
        """
        fields: dict[str, str | int] = {
            "acct": ticket.account,
            "op": ticket.operation,
            "campaign": ticket.campaign,
            "job": ticket.job,
            "n": ticket.n,
            "size": ticket.size,
            "class": ticket.priority,
        }
        more: dict[str, str | int] = {
            "options": ticket.options,
            "sig": ticket.signature,
            "of": ticket.piece_of,
            "cut": ticket.cut_into,
            "links": int(ticket.linked),
            "after": ticket.after,
            "front": int(ticket.front),
            "unturned": ticket.unturned,
            "said": ticket.said,
            "by": ticket.by,
            "undoes": ticket.undoes,
        }
        fields |= {name: value for name, value in more.items() if value}
        if ticket.seq is not None:
            fields["seq"] = ticket.seq
        if ticket.expires_in_ms is not None:
            fields["expires_in"] = ticket.expires_in_ms
        status, call = self._run(
            "submit", ticket.id, ticket.lane, ticket.group, CLASSES[ticket.priority], ticket.kind,
            self.vault.sealed(ticket.id, ticket.payload),
            ticket.codes, json.dumps(dict(ticket.why)) if ticket.why else "", int(may_call), json.dumps(ticket.address),
            int(bounded), *[part for pair in fields.items() for part in pair],
        )  # fmt: skip
        if status == b"taken":
            raise TakenOverError
        if status == b"full":
            raise NoRoomError
        return status == b"new", _call(call)

    def open(self, job: str, fields: Mapping[str, str], *, is_command: bool, undoes: str) -> None:
        """Begin a job, or go on with it; ``fields`` as ``open.lua`` takes them."""
        parts = [part for pair in fields.items() for part in pair]
        self._run("open", job, int(not is_command), undoes, *parts)

    def claim(
        self,
        job: str,
        producer: str,
        act: Literal["claim", "renew", "leave"],
        *,
        gone_ms: int = 0,
        before: str = "",
    ) -> str:
        """Be the one producer that fills a job, still or no more: what ``claim.lua`` answers."""
        answer: bytes = self._run("claim", job, producer, act, gone_ms, before)
        return answer.decode()

    def expect_pieces(self, ticket: str, n: int) -> None:
        """Say, before the first of them is submitted, how many pieces a ticket has beside itself."""
        self.client.set(self.key("pieces", ticket), n, nx=True)

    def pieces_left(self, ticket: str) -> int:
        """How many pieces of a ticket that was cut are not over."""
        return int(self.client.get(self.key("pieces", ticket)) or 0)

    def enter(
        self,
        ticket: str,
        token: str,
        *,
        number: int,
        lease_ms: int,
        turn_ms: int,
        lost_ms: int,
        gap_ms: int,
        room: int,
        worker: str = "",
        listed: bool = False,
    ) -> Entry:
        """Grant the turn to a task that has come, with the riders that fit into ``room`` leads.

        ``listed``: what the task returns is stored by nobody, so a ticket that is over stays on the finish list.
        """
        verdict, *rest = self._run(
            "enter", ticket, token, number, lease_ms, turn_ms, lost_ms, gap_ms, room, MOST_RIDERS, worker, int(listed)
        )  # fmt: skip
        word = verdict.decode()
        if word == "granted":
            return Entry("granted", rest[0].decode(), int(rest[1]), tuple(_row(raw) for raw in rest[2:]))
        return Entry(word, detail=rest[0].decode() if rest and rest[0] else "")

    def slice(
        self,
        lane: str,
        token: str,
        *,
        ended: tuple[str, int] | None = None,
        code: str = "",
        why: str = "",
        begins: tuple[str, int] | None = None,
        made: Mapping[str, Any] | None = None,
    ) -> int:
        """Record the call of one lead and let the next begin: 0, ms to wait, TURN_OVER or TICKET_CANCELLED.

        A lead is named by its ticket and its position there; ``made`` is for the call ledger (``slice.lua``).
        """
        return int(
            self._run(
                "slice", lane, token, *(ended or ("", -1)), code, why, *(begins or ("", -1)),
                json.dumps(made) if made else "",
            )
        )  # fmt: skip

    def carry(
        self, lane: str, account: str, *, month: int, numbers: bytes, kept_s: int
    ) -> Literal["pending", "some", "none"]:
        """Note the numbers that a lane gets now: whether opt-outs hold for it, as ``carry.lua`` says."""
        answer: bytes = self._run("carry", lane, account, month, numbers, kept_s)
        return answer.decode()  # type: ignore[return-value]

    def note(self, document: Mapping[str, Any]) -> None:
        """Write a call that was made in no lane into the call ledger: the document is described in ``note.lua``."""
        self._run("note", json.dumps(document))

    def leave(self, document: Mapping[str, Any]) -> Left:
        """End a turn: the document is described in ``leave.lua``."""
        verdict, call, complete = self._run("leave", json.dumps(document))
        return Left(verdict == b"stale", _call(call), bool(complete))

    def renew(self, turns: Sequence[Mapping[str, Any]], *, lease_ms: int) -> tuple[set[str], set[str]]:
        """Keep the leases of the given turns; the tokens of those that are lost, and of those not renewed."""
        lost, stays = self._run("renew", lease_ms, json.dumps(list(turns)))
        return {token.decode() for token in lost}, {token.decode() for token in stays}

    def wanted(self, lane: str) -> Wanted:
        """What a state lane knows now of the commands that were given."""
        with self.client.pipeline(transaction=False) as pipe:
            pipe.time()
            pipe.hget(self.key("clock"), "offset")
            pipe.hgetall(self.key("lane", lane))
            (seconds, micros), offset, fields = pipe.execute()
        now_ms = seconds * 1000 + micros // 1000 + int(offset or 0)
        unsure = {
            name.removeprefix(b"unsure:").decode(): max(float(until) - now_ms, 0.0) / 1000
            for name, until in fields.items()
            if name.startswith(b"unsure:")
        }
        return Wanted(fields.get(b"want", b"").decode(), int(fields.get(b"want_seq", 0)), unsure)

    def dispatch(
        self,
        *,
        most: int = 50,
        claims: int = 100,
        threads: int = 1000,
        ahead_ms: int = 0,
        written: Sequence[str] = (),
    ) -> Due:
        """Call what is due; ``threads`` are the caller's free ones, the rest is for those of others.

        Leads that are due within ``ahead_ms`` are called for them too. The results of ``written`` have been: these
        tickets leave the finish list.
        """
        wait_ms, calls, overdue, finish, starved, changes = self._run(
            "dispatch", most, claims, threads, ahead_ms, *written
        )
        return Due(
            int(wait_ms),
            tuple(call for call in map(_call, calls) if call),
            tuple(Overdue(*(part.decode() for part in row)) for row in overdue),
            tuple(ticket.decode() for ticket in finish),
            bool(starved),
            tuple(Change.of(row) for row in changes),
        )

    def recall(self, overdue: Overdue) -> Call | None:
        """Repeat a call whose message is gone."""
        return _call(self._run("recall", overdue.lane, overdue.number))

    def cancel(self, ticket: str) -> str:
        """End a ticket that has not left: ``cancelled``, ``flagged`` (aboard a call), ``done`` or ``unknown``."""
        answer: bytes = self._run("cancel", ticket)
        return answer.decode()

    def expire(self, ticket: str) -> bool:
        """End a ticket that waits and whose time is over: whether it ended here."""
        return bool(self._run("expire", ticket))

    def resolve(
        self,
        ticket: str,
        act: Literal["delivered", "discard", "resend"],
        why: str,
        rows: Sequence[int] | None,
    ) -> tuple[str, int]:
        """Settle uncertain leads of a ticket, or have them sent again: what was done, and with how many.

        ``rows`` are positions in the ticket; None stands for all that are uncertain.
        """
        positions = "" if rows is None else json.dumps(list(rows))
        answer, n = self._run("resolve", ticket, act, why, positions)
        return answer.decode(), int(n)

    def dead(self, ticket: str, act: Literal["retry", "discard"]) -> tuple[str, int]:
        """Have a dead ticket tried again, or give it up: what was done, and with how many leads."""
        answer, n = self._run("dead", ticket, act)
        return answer.decode(), int(n)

    def hold(
        self,
        what: Literal["account", "operation", "lane"],
        name: str,
        reason: str,
        operation: str = "",
        *,
        account: str = "",
        over: str = "*",
    ) -> bool:
        """Hold (or, with an empty reason, release) an account, an operation of it, or a lane: whether that is a change.

        Any hold gives way, or only one with the reason ``over`` ('' if there must be none): what no person decided is
        not to undo what one did. ``account`` is the one a lane is of, told if nobody has used it yet.
        """
        return bool(self._run("hold", what, name, operation, reason, account, over))

    def held(self, lane: str) -> str:
        """Why a lane is on hold, or ''."""
        reason: bytes | None = self.client.hget(self.key("lane", lane), "hold")  # type: ignore[assignment]
        return (reason or b"").decode()

    def admit(self, account: str) -> int:
        """Take a slot of the account's rate for one more call in a turn: 0, or ms until one is free."""
        return int(self._run("admit", account))

    def state_waits(self, account: str) -> bool:
        """Whether a command about a campaign's state waits for a slot of the account's rate, or for a thread."""
        seconds, micros = self.client.time()
        with self.client.pipeline(transaction=False) as pipe:
            now_ms = seconds * 1000 + micros // 1000
            pipe.zrangebyscore(self.key("due", account, "control"), 0, now_ms, start=0, num=50)
            pipe.zrange(self.key("calls", "control"), 0, 49)
            due, called = pipe.execute()
            for ticket in called:
                pipe.hexists(self.key("t", ticket.decode()), "seq")
            return any(lane.startswith(b"state/") for lane in due) or any(pipe.execute())

    def alive(self, worker: str, *, for_ms: int, slots: Mapping[str, int]) -> int:
        """Say that a worker process lives, with its slots per queue; 0 ms says goodbye. The number alive."""
        return int(self._run("alive", worker, for_ms, *[part for pair in slots.items() for part in pair]))

    def seal(self, job: str, *, cancelled: bool = False) -> int:
        """Say that a job has all its batches: its number of leads. If ``cancelled``, what comes still is cancelled."""
        return int(self._run("seal", job, int(cancelled)))

    def recount(self, lane: str) -> int:
        """Count anew the leads that wait in a lane: by how many the count was wrong."""
        return int(self._run("recount", lane))

    def postpone_finish(self, ticket: str, by_ms: int) -> None:
        """An ended ticket has been published; no dispatcher shall look at it before that time."""
        self.client.zincrby(self.key("finish"), by_ms, ticket)

    def finished(self, tickets: Iterable[str]) -> None:
        """Take tickets off the finish list: their results are written."""
        names = list(tickets)
        if names:
            self.client.zrem(self.key("finish"), *names)


def _call(raw: Sequence[Any] | None) -> Call | None:
    if not raw:
        return None
    ticket, queue, number, op, account, campaign, job, n, priority, signature, early = (
        part.decode() if isinstance(part, bytes) else part for part in raw
    )
    return Call(
        ticket, queue, int(number), op, account, campaign, job, int(n), priority, signature, int(early)
    )


def _row(raw: Sequence[Any]) -> Row:
    ticket, codes, payload, *values = raw
    fields = {
        name: value.decode() for name, value in zip(ROW_FIELDS, values, strict=True) if value is not None
    }
    return Row(ticket.decode(), codes.decode() if codes else "." * int(fields["n"]), payload, fields)
