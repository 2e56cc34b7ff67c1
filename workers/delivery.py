"""A turn of leads: one call with all aboard, or a slice of calls where the dialer takes one lead each."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import quote

from leadlane.schemas.settings import Account
from leadlane.workers import slices, verdicts
from leadlane.workers.blocking import OPT_OUTS
from leadlane.workers.calls_made import LOOK
from leadlane.workers.conduct import BUILDING_S, Conduct, Terms
from leadlane.workers.engine import gap_s
from leadlane.workers.ledger import Aboard, manifest, result
from leadlane.workers.providers import Operation, Provider
from leadlane.workers.providers.contract import no_others
from leadlane.workers.transport import NoAnswer
from leadlane.workers.undoing import brought
from leadlane.workers.verdicts import Move, Verdict

UNKNOWN_S = 60.0
"""For how long a lead that the dialer does not know may still come: it may be queued there."""


class Delivery(Conduct):
    """Leads to a campaign."""

    __slots__ = ()
    group = "leads"

    @classmethod
    def asks(cls, account: Account, provider: Provider, operation: str) -> Terms:
        """A dialer that takes one call at a time is waited for when an answer is lost."""
        one_by_one = provider.operations[operation].in_slices
        return Terms(
            gap_s=gap_s(account, provider),
            lost_call_s=account.lost_call_s if provider.exclusive else 0.0,
            longest_s=account.timeout_s + BUILDING_S + (slices.SLICE_S if one_by_one else 0.0),
            room=0 if one_by_one else provider.operations[operation].leads_per_call,
        )

    def decide(self) -> Verdict:
        """Send what is aboard."""
        operation = self.provider.operations[self.operation_name]
        aboard, moves = self._board(operation)
        if aboard and not operation.in_slices:
            aboard, spared = self._spare(aboard, operation)
            moves.extend(spared)
        if not aboard:
            return Verdict(moves, "none", called=False)
        verdict = (self._slice if operation.in_slices else self._call)(aboard, operation)
        verdict.moves.extend(moves)
        return verdict

    def _board(self, operation: Operation) -> tuple[list[Aboard], list[Move]]:
        """The batches that have something to send, and the moves of those that have not."""
        aboard: list[Aboard] = []
        found, moves = self.readable()
        for one in found:
            if undoes := one.row.fields.get("undoes"):
                one.keep_to_brought(self._became(undoes))
            one.adapt(one.row.fields["op"], operation)
            one.choose(operation)
            if operation.in_slices:
                one.settle_unanswered(operation)
                one.choose(operation)
            elif one.row.fields.get("lost"):
                one.mark_lost(operation)
                one.choose(operation)
            if not one.sent:
                moves.append(verdicts.go_on(one, one.search))
            elif worn_out := self.worn_out(one):
                moves.append(Move(one, "dead", worn_out))
            else:
                aboard.append(one)
        return aboard, moves

    def _became(self, ticket: str) -> Mapping[str, str]:
        """What became of each number of a batch that is undone."""
        return self.engine.patiently(lambda: brought(self.engine.jobs, ticket))

    def _spare(self, aboard: list[Aboard], operation: Operation) -> tuple[list[Aboard], list[Move]]:
        """The same without those who have opted out; nothing goes while opt-outs are being taken in."""
        opt_outs, numbers = self.engine.opt_outs, [number for one in aboard for number in one.numbers_sent]
        if operation.others is not no_others:
            numbers += [n for one in aboard for wire in one.wires_sent for n in operation.others(wire)]
        found = self.engine.patiently(
            lambda: opt_outs.before_call(
                self.turn.lane,
                self.account.name,
                numbers,
                delivers=self.operation_name != "remove",
            )
        )
        if found is None:
            return [], [verdicts.again(one, OPT_OUTS, dice=self.engine.dice) for one in aboard]
        if not found:
            return aboard, []
        for one in aboard:
            one.spare(found, operation)
            one.choose(operation)
        rest = [one for one in aboard if one.sent]
        return rest, [verdicts.go_on(one, one.search) for one in aboard if not one.sent]

    def _call(self, aboard: list[Aboard], operation: Operation) -> Verdict:
        carried = manifest(aboard, self.operation_name)
        method = (
            getattr(self.account, operation.method_setting) if operation.method_setting else operation.method
        )
        dice = self.engine.dice
        self.engine.patiently(lambda: self.engine.keeper.begins(self.turn))
        try:
            body = operation.body(carried.lines, self.campaign)
            answer = self.send(
                method,
                self._path(operation.path),
                body,
                operation.content_type,
                operation=self.operation_name,
                size=len(carried.numbers),
            )
        except NoAnswer as silent:
            self.call_ended = time.monotonic()
            verdict = verdicts.silence(aboard, operation, silent.reason, left=silent.may_have_left, dice=dice)
            verdict.called = silent.may_have_left
            return verdict
        self.call_ended = time.monotonic()
        first = min((one.row.number("first") or self.entry.now_ms) for one in aboard)
        patient = self.entry.now_ms - first < UNKNOWN_S * 1000
        verdict = verdicts.answered(
            aboard, carried, self.provider, operation, self.decoded(answer), dice=dice, patient=patient
        )
        if verdict.look:
            verdict.hold = self._look()
        return verdict

    def _slice(self, aboard: list[Aboard], operation: Operation) -> Verdict:
        """Leads one by one, for dialers that take no more in a call."""
        self.engine.patiently(lambda: self.engine.keeper.begins(self.turn))
        key = self.engine.keys[self.account.name]
        verdict = slices.Slice(
            self.engine, self.turn, aboard, self.account, self.provider, operation, self.campaign, key
        ).run()
        if verdict.look:
            verdict.hold = self._look()
        self.call_ended = time.monotonic()
        return verdict

    def _path(self, template: str) -> str:
        return template.format(campaign=quote(self.campaign, safe=""))

    def _look(self) -> str:
        """Why the campaign takes no leads, by its own words; '' if it may again, or if nobody can say."""
        if self.provider.look is None or not self.admitted():
            return ""
        try:
            answer = self.send("GET", self._path(self.provider.look.path), None, operation=LOOK)
        except NoAnswer:
            return ""
        body = verdicts.decode(answer.body)
        return self.provider.look.closed(body) if answer.status == 200 and isinstance(body, dict) else ""

    def result(self, move: Move, verdict: Verdict) -> Mapping[str, object]:
        """Counts per outcome."""
        called = int(verdict.called and bool(move.one.sent))
        return result(move.one.row, move.one.text, now_ms=self.entry.now_ms, calls=called, attempts=move.cost)
