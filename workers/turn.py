"""One turn: enter the lane, make the call, leave with what became of each lead."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote
from uuid import uuid4

import structlog

from leadlane.schemas.settings import Account
from leadlane.workers import payloads, slices, verdicts
from leadlane.workers.accounts import NO_SETTINGS
from leadlane.workers.answers import retry_after_s
from leadlane.workers.blocking import OPT_OUTS
from leadlane.workers.engine import Engine, ShuttingDownError, gap_s
from leadlane.workers.faults import told
from leadlane.workers.keeper import Turn
from leadlane.workers.lanes import Entry, Left
from leadlane.workers.ledger import Aboard, manifest, result
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.transport import Answer, NoAnswer, Request
from leadlane.workers.verdicts import Move, Verdict

log = structlog.get_logger(__name__)
BUILDING_S = 30.0
"""What a turn may take beside its call: reading payloads, waiting for a look at the campaign."""

UNKNOWN_S = 60.0
"""For how long a lead that the dialer does not know may still come: it may be queued there."""


@dataclass(frozen=True, slots=True)
class End:
    """How the task of a ticket ends."""

    verdict: Literal["done", "parked", "elsewhere", "dead", "unknown"]
    result: Mapping[str, object] | None = None
    detail: str = ""


class BrokenOffError(Exception):
    """A bug in the middle of a turn. It is no end of the tickets aboard: their lane goes on as after a crash."""


def take(engine: Engine, ticket: str, *, account_name: str, operation_name: str, number: int) -> End:
    """Take the turn of a ticket whose task has come, if it is granted, and say how the task ends.

    Raises ShuttingDownError, and BrokenOffError, after which the task must come again.
    """
    account = engine.account(account_name)
    if account is None:
        engine.patiently(lambda: engine.lanes.hold("account", account_name, NO_SETTINGS))
        log.error("account held", account=account_name, reason=NO_SETTINGS)
        return End("parked")
    provider = engine.provider(account)
    operation = provider.operations[operation_name]
    gap = gap_s(account, provider)
    lost_s = account.lost_call_s if provider.exclusive else 0.0
    longest_s = account.timeout_s + BUILDING_S + (slices.SLICE_S if operation.leads_per_call == 1 else 0.0)
    token = uuid4().hex
    asked = time.monotonic()
    entry = engine.patiently(
        lambda: engine.lanes.enter(
            ticket,
            token,
            number=number,
            lease_ms=int(engine.settings.lease_s * 1000),
            turn_ms=int(longest_s * 1000),
            lost_ms=int(lost_s * 1000),
            gap_ms=int(gap * 1000),
            room=operation.leads_per_call if operation.leads_per_call > 1 else 0,
        )
    )
    if entry.verdict != "granted":
        return End(entry.verdict, detail=entry.detail)
    turn = Turn(
        lane=entry.lane,
        token=token,
        account=account_name,
        group="leads",
        tickets=tuple(row.ticket for row in entry.rows),
        deadline=asked + longest_s,
        lost_call_s=lost_s + gap,
        lease_until=asked + engine.settings.lease_s,
        call_began=asked,
    )
    engine.keeper.hold(turn)
    try:
        return _Conduct(engine, entry, turn, account, provider, gap).run()
    except ShuttingDownError:
        raise
    except Exception as exc:  # noqa: BLE001  whatever it was
        log.error("turn broke off", lane=entry.lane, error=told(exc))
        raise BrokenOffError from None
    finally:
        engine.keeper.release(turn)


@dataclass(slots=True)
class _Conduct:
    """The steps of a granted turn."""

    engine: Engine
    entry: Entry
    turn: Turn
    account: Account
    provider: Provider
    gap: float
    call_ended: float = 0.0

    def run(self) -> End:
        operation_name = self.entry.rows[0].fields["op"]
        operation = self.provider.operations[operation_name]
        aboard, moves = self._board(operation)
        if aboard and operation.leads_per_call > 1:
            aboard, spared = self._spare(aboard, operation, operation_name)
            moves.extend(spared)
        if aboard:
            send = self._slice if operation.leads_per_call == 1 else self._call
            verdict = send(aboard, operation, operation_name)
            verdict.moves.extend(moves)
        else:
            verdict = Verdict(moves, "none", called=False)
        # The holder first: its task is this one.
        order = {row.ticket: i for i, row in enumerate(self.entry.rows)}
        verdict.moves.sort(key=lambda move: order[move.one.row.ticket])
        left = self._leave(verdict, operation_name)
        self._say(verdict, left)
        return self._end(verdict, left)

    def _board(self, operation: Operation) -> tuple[list[Aboard], list[Move]]:
        """The batches that have something to send, and the moves of those that have not."""
        aboard: list[Aboard] = []
        moves: list[Move] = []
        most = operation.leads_per_call if operation.leads_per_call > 1 else payloads.MOST_ROWS
        for row in self.entry.rows:
            try:
                one = Aboard.of(row)
            except payloads.PayloadUnreadableError:
                nothing = payloads.Batch(0, "", [], [])
                moves.append(Move(Aboard(row, nothing, list(row.codes), None), "dead", "payload_lost"))
                continue
            one.adapt(row.fields["op"], operation)
            one.choose(most)
            if operation.leads_per_call == 1:
                one.settle_unanswered(operation)
                one.choose(most)
            elif row.fields.get("lost"):
                one.mark_lost(operation)
                one.choose(most)
            if not one.sent:
                moves.append(verdicts.go_on(one, one.search))
            elif worn_out := self._worn_out(one):
                moves.append(Move(one, "dead", worn_out))
            else:
                aboard.append(one)
        return aboard, moves

    def _spare(
        self, aboard: list[Aboard], operation: Operation, name: str
    ) -> tuple[list[Aboard], list[Move]]:
        """The same without those who have opted out; nothing goes while opt-outs are being taken in."""
        opt_outs, numbers = self.engine.opt_outs, [one.batch.numbers[p] for one in aboard for p in one.sent]
        others = [n for one in aboard for p in one.sent for n in operation.others(one.batch.wires[p])]
        found = self.engine.patiently(
            lambda: opt_outs.before_call(
                self.turn.lane, self.account.name, numbers + others, delivers=name != "remove"
            )
        )
        if found is None:
            return [], [verdicts.again(one, OPT_OUTS, dice=self.engine.dice) for one in aboard]
        if not found:
            return aboard, []
        for one in aboard:
            one.spare(found, operation)
            one.choose(operation.leads_per_call)
        rest = [one for one in aboard if one.sent]
        return rest, [verdicts.go_on(one, one.search) for one in aboard if not one.sent]

    def _worn_out(self, one: Aboard) -> str:
        settings = self.engine.settings
        if one.row.number("attempts") >= settings.max_attempts:
            return f"too_many_attempts: {settings.max_attempts} attempts failed"
        first = one.row.number("first")
        if first and self.entry.now_ms - first > settings.max_age_s * 1000:
            return f"too_old: {settings.max_age_s:.0f} s since the first attempt"
        return ""

    def _call(self, aboard: list[Aboard], operation: Operation, name: str) -> Verdict:
        carried = manifest(aboard, name)
        method = (
            getattr(self.account, operation.method_setting) if operation.method_setting else operation.method
        )
        dice = self.engine.dice
        self.engine.patiently(lambda: self.engine.keeper.begins(self.turn))
        try:
            answer = self._send(
                method, self._path(operation.path), operation.body(carried.wires, self.campaign)
            )
        except NoAnswer as silent:
            self.call_ended = time.monotonic()
            verdict = verdicts.silence(aboard, operation, silent.reason, left=silent.may_have_left, dice=dice)
            verdict.called = silent.may_have_left
            return verdict
        self.call_ended = time.monotonic()
        wait = retry_after_s(answer.headers.get("retry-after"), time.time())
        key = self.engine.keys[self.account.name].encode()  # a dialer may quote the one that it refuses
        decoded = verdicts.Answered(answer.status, verdicts.decode(answer.body.replace(key, b"[key]")), wait)
        first = min((one.row.number("first") or self.entry.now_ms) for one in aboard)
        patient = self.entry.now_ms - first < UNKNOWN_S * 1000
        verdict = verdicts.answered(
            aboard, carried, self.provider, operation, decoded, dice=dice, patient=patient
        )
        if verdict.look:
            verdict.hold = self._look()
        return verdict

    def _slice(self, aboard: list[Aboard], operation: Operation, _name: str) -> Verdict:
        """Leads one by one, for dialers that take no more in a call."""
        self.engine.patiently(lambda: self.engine.keeper.begins(self.turn))
        key = self.engine.keys[self.account.name]
        verdict = slices.Slice(
            self.engine, self.turn, aboard[0], self.account, self.provider, operation, self.campaign, key
        ).run()
        if verdict.look:
            verdict.hold = self._look()
        self.call_ended = time.monotonic()
        return verdict

    @property
    def campaign(self) -> str:
        """The campaign's id at the dialer."""
        return self.entry.rows[0].fields["campaign"]

    def _path(self, template: str) -> str:
        return template.format(campaign=quote(self.campaign, safe=""))

    def _send(self, method: str, path: str, body: bytes | None) -> Answer:
        headers = self.provider.headers(self.engine.keys[self.account.name])
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = Request(method, self.account.base_url + path, headers, body)
        return self.engine.transport.send(
            request, timeout_s=self.account.timeout_s, may_send=self.turn.may_send
        )

    def _look(self) -> str:
        """Why the campaign takes no leads, by its own words; '' if it may again, or if nobody can say."""
        if self.provider.look is None:
            return ""
        wait_ms = self.engine.patiently(lambda: self.engine.lanes.admit(self.account.name))
        if 0 < wait_ms <= 2000:
            self.engine.sleep(wait_ms / 1000)
            wait_ms = self.engine.patiently(lambda: self.engine.lanes.admit(self.account.name))
        if wait_ms:
            return ""
        try:
            answer = self._send("GET", self._path(self.provider.look.path), None)
        except NoAnswer:
            return ""
        body = verdicts.decode(answer.body)
        return self.provider.look.closed(body) if answer.status == 200 and isinstance(body, dict) else ""

    def _leave(self, verdict: Verdict, operation_name: str) -> Left:
        began = self.turn.call_began

        def leave() -> Left:
            now = time.monotonic()
            rest_s = 0.0
            if verdict.called:
                rest_s = self.call_ended + max(self.gap, verdict.rest_s) - now
            if verdict.lost and self.provider.exclusive:
                rest_s = max(rest_s, began + self.account.lost_call_s + self.gap - now)
            document = verdicts.document(
                verdict,
                lane=self.turn.lane,
                token=self.turn.token,
                account=self.account.name,
                operation=operation_name,
                rest_ms=max(int(rest_s * 1000) + 1, 0) if verdict.called else 0,
                began_ms=max(int((now - began) * 1000), 0),
                dice=self.engine.dice,
            )
            self.engine.keeper.remember(document)
            return self.engine.lanes.leave(document)

        left = self.engine.patiently(leave)
        if left.call:
            self.engine.publish(left.call)
        self.engine.wake()
        return left

    def _say(self, verdict: Verdict, left: Left) -> None:
        line = log.bind(lane=self.turn.lane, batches=len(self.entry.rows))
        leads = sum(len(move.one.sent) for move in verdict.moves)
        if left.stale:
            line.warning("turn ended after it was lost")
        elif verdict.signal in ("hold", "hold_op"):
            line.error("account held", account=self.account.name, reason=verdict.reason)
        elif verdict.hold:
            line.error("lane held", reason=verdict.hold)
        elif all(move.act == "done" for move in verdict.moves):
            line.info("delivered", leads=leads)
        else:
            acts = {act: sum(move.act == act for move in verdict.moves) for act in ("done", "again", "dead")}
            line.info("not all delivered", leads=leads, reason=verdict.moves[0].reason, **acts)

    def _end(self, verdict: Verdict, left: Left) -> End:
        if left.stale:
            return End("elsewhere")
        own, *riders = verdict.moves
        if done := [move for move in riders if move.act == "done"]:
            self.engine.finish(
                [(m.one.row, None if _ends_later(m) else self._result(m, verdict)) for m in done]
            )
        if own.act == "again" or not left.complete:
            return End("parked", detail=own.reason)
        if own.act == "dead":
            return End("dead", detail=own.reason)
        if "cut" in own.one.row.fields:
            return End("done")  # the sum over its pieces, which others may have ended
        return End("done", result=self._result(own, verdict))

    def _result(self, move: Move, verdict: Verdict) -> Mapping[str, object]:
        called = int(verdict.called and bool(move.one.sent))
        return result(move.one.row, move.one.text, now_ms=self.entry.now_ms, calls=called, attempts=move.cost)


def _ends_later(move: Move) -> bool:
    """A rider that must run to end, since tasks wait for it, or that ends with its last piece."""
    return "links" in move.one.row.fields or "cut" in move.one.row.fields
