"""What is known of each lead of the batches aboard, as one outcome code per row (``schemas/outcomes.py``).

Pure functions over codes; Redis keeps what they return, and lets the first definite outcome of a lead win.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from leadlane.schemas.outcomes import ANSWER_LOST, LEFT_OUT, NOT_SENT, PENDING, RECONCILED, TO_UPDATE, counts
from leadlane.workers import payloads
from leadlane.workers.lanes import ADDING, Row
from leadlane.workers.providers import Operation
from leadlane.workers.providers.contract import Reading, one_kind
from leadlane.workers.search import Search, to_send
from leadlane.workers.vault import PLAIN, Vault

MISSING_WORDS = "the dialer's answer did not name this number, twice"
LOST_WORDS = "sent, but no answer came; sending again could double the lead"
TWIN_WORDS = "the same number was in the same call"
BROUGHT = frozenset(f"cCa?{NOT_SENT}{ANSWER_LOST}{LEFT_OUT}")
"""Codes of leads that a batch has brought to the dialer, or may have, or still will if a person says so."""
_TO_COME = frozenset(PENDING) - {TO_UPDATE}


OPTED_OUT = "the person has opted out"
OPTED_OUT_LOST = "sent, but no answer came; the person has opted out since, so it is not sent again"


WAS_THERE = "the dialer had it before that job"
UPDATED = "that job updated it, and what it was before is not known"
NEVER_CAME = "that job did not bring it, after all: there is nothing to take back"


def spared(code: str) -> tuple[str, str]:
    """What becomes of a lead whose person has opted out, and why: an earlier call may have had it."""
    return ("?", OPTED_OUT_LOST) if code in (ANSWER_LOST, LEFT_OUT) else ("s", OPTED_OUT)


@dataclass(slots=True)
class Aboard:
    """One batch aboard a turn, and what this turn does with it."""

    row: Row
    batch: payloads.Batch
    codes: list[str]
    search: Search | None
    sent: tuple[int, ...] = ()
    why: dict[str, str] = field(default_factory=dict)
    ask_later: bool = False

    @classmethod
    def of(cls, row: Row, vault: Vault = PLAIN) -> Aboard:
        """The batch as stored; raises payloads.PayloadUnreadableError, KeyMissingError."""
        if row.payload is None:
            raise payloads.PayloadUnreadableError("payload is gone")
        batch = payloads.unpack(vault.opened(row.ticket, row.payload))
        return cls(row, batch, list(row.codes), _search(row))

    @classmethod
    def unread(cls, row: Row) -> Aboard:
        """The batch as it was before the turn, when this process cannot open it."""
        return cls(row, payloads.Batch(0, "", [], b""), list(row.codes), _search(row))

    @classmethod
    def without_payload(cls, row: Row) -> Aboard:
        """The batch when its payload is gone: nothing can be sent, and what may have left stays known."""
        codes = [ANSWER_LOST if code == NOT_SENT and "lost" in row.fields else code for code in row.codes]
        return cls(row, payloads.Batch(0, "", [], b""), codes, None)

    @property
    def pending(self) -> tuple[int, ...]:
        """Positions whose outcome is still to come."""
        if self.codes.count(NOT_SENT) == len(self.codes):
            return tuple(range(len(self.codes)))
        if _TO_COME.isdisjoint(self.codes):
            return ()
        return tuple(p for p, code in enumerate(self.codes) if code in _TO_COME)

    @property
    def whole(self) -> bool:
        """Whether all of it is sent, in its order."""
        return self.search is None and len(self.sent) == len(self.codes)

    @property
    def numbers_sent(self) -> Sequence[str]:
        """The numbers of what is sent."""
        numbers = self.batch.numbers
        return numbers if self.whole else [numbers[p] for p in self.sent]

    @property
    def wires_sent(self) -> Sequence[str]:
        """The wire leads that are sent."""
        wires = self.batch.wires
        return wires if self.whole else [wires[p] for p in self.sent]

    @property
    def lines_sent(self) -> bytes:
        """The same, one a line."""
        return self.batch.lines if self.whole else "\n".join(self.wires_sent).encode()

    @property
    def updates_duplicates(self) -> bool:
        """Whether leads that the dialer has already are to be updated."""
        return self.row.fields["op"] == "import" and "update" in self.row.fields.get("options", "")

    def adapt(self, operation_name: str, operation: Operation) -> None:
        """Bring wire leads that were made for another operation into the form of this one."""
        if self.batch.operation != operation_name:
            wires = [operation.adapt(wire) if wire else "" for wire in self.batch.wires]
            self.batch = payloads.Batch.of(self.batch.start, operation_name, self.batch.numbers, wires)

    def choose(self, operation: Operation) -> None:
        """Settle which rows this turn sends. The same rows each time, as long as nothing more is known of them."""
        rows = to_send(self.search, self.pending) if self.search else self.pending
        most = payloads.MOST_ROWS if operation.in_slices else operation.leads_per_call
        if operation.apart is one_kind:
            self.sent = rows[:most]
        else:
            self.sent = tuple(islice(self._alike(rows, operation), most))
        if operation.fits is not len:
            self.sent = self.sent[: operation.fits(self.wires_sent)]

    def _alike(self, rows: Iterable[int], operation: Operation) -> Iterator[int]:
        """The rows that may share a call with the first; no row overtakes an earlier one of its number."""
        kind: str | None = None
        passed: set[str] = set()
        for p in rows:
            number, own = self.batch.numbers[p], operation.apart(self.batch.wires[p])
            kind = own if kind is None else kind
            if own == kind and number not in passed:
                yield p
            else:
                passed.add(number)

    def mark_lost(self, operation: Operation, *, believed: bool = False) -> None:
        """An attempt with the chosen rows got no answer; ``believed`` if one came that says it did nothing."""
        for p in self.sent:
            if operation.resend_safe(self.batch.wires[p]):
                self.codes[p] = LEFT_OUT if self.codes[p] == LEFT_OUT else ANSWER_LOST
            elif not believed:
                self.codes[p] = "?"
                self.why["?"] = LOST_WORDS

    def spare(self, numbers: frozenset[str], operation: Operation) -> None:
        """Leave out these numbers, in digits: their people have opted out. What tells the dialer so stays in."""
        if not numbers:
            return
        for p in self.pending:
            wire = self.batch.wires[p]
            if self.batch.numbers[p] in numbers:
                if not operation.silences(wire):
                    code, self.why[str(p)] = spared(self.codes[p])
                    self.codes[p] = code
            elif not numbers.isdisjoint(operation.others(wire)):
                self.replace(p, operation.without(wire, numbers))

    def keep_to_brought(self, became: Mapping[str, str]) -> None:
        """Take back no more than what the batch that is undone has brought; ``became`` has its codes by number."""
        for p in self.pending:
            code = became.get(self.batch.numbers[p], "c")
            if code in BROUGHT:
                continue
            if code in ("d", "u", TO_UPDATE):
                self.codes[p], self.why[str(p)] = ("d", WAS_THERE) if code == "d" else ("f", UPDATED)
            else:
                self.codes[p], self.why[str(p)] = "x", NEVER_CAME

    def replace(self, position: int, wire: str) -> None:
        """Send this instead of what is stored for the row."""
        wires = list(self.batch.wires)
        wires[position] = wire
        self.batch = replace(self.batch, lines="\n".join(wires).encode())

    def settle_unanswered(self, operation: Operation) -> None:
        """Rows whose own call was begun and never answered, where each row has a call of its own."""
        self.sent = tuple(p for p, code in enumerate(self.codes) if code == ANSWER_LOST)
        self.mark_lost(operation)

    def settle(self, position: int, code: str, *, twin: bool = False) -> None:
        """The answer gave this row a code; '' if it named it nowhere.

        ``twin`` says that another row has the number as created.
        """
        before = self.codes[position]
        if not code:
            self.codes[position] = "?" if before == LEFT_OUT else LEFT_OUT
            if before == LEFT_OUT:
                self.why[str(position)] = MISSING_WORDS
        elif code == "d" and self.updates_duplicates:
            self.codes[position] = TO_UPDATE
        elif code == "d" and before in (ANSWER_LOST, LEFT_OUT) and not twin:
            self.codes[position] = RECONCILED  # it was our own lost attempt that stored it
        else:
            self.codes[position] = code

    def reject(self, refused: Mapping[int, str]) -> None:
        """The dialer refused these rows for good, with these words."""
        for p, words in refused.items():
            self.codes[p] = "r"
            self.why[str(p)] = words

    def to_updates(self) -> bool:
        """If only duplicates to be updated are left, make them the work of an update: whether it is so."""
        if self.pending or TO_UPDATE not in self.codes:
            return False
        self.codes = [NOT_SENT if code == TO_UPDATE else code for code in self.codes]
        return True

    @property
    def text(self) -> str:
        """The codes as stored."""
        return "".join(self.codes)


@dataclass(frozen=True, slots=True)
class Manifest:
    """The leads of one call: as wires, one a line, and numbers.

    ``standing`` has, if any number comes twice, the row that stands for each.
    """

    lines: bytes
    numbers: Sequence[str] = ()
    standing: Mapping[str, tuple[Aboard, int]] = field(default_factory=dict)


def _search(row: Row) -> Search | None:
    search = row.fields.get("search")
    return Search.from_json(search) if search else None


def manifest(aboard: Sequence[Aboard], operation: str) -> Manifest:
    """The leads to send: of a number that comes twice an import keeps the first, an update the last."""
    numbers = [number for one in aboard for number in one.numbers_sent]
    if len(set(numbers)) == len(numbers):
        return Manifest(b"\n".join([one.lines_sent for one in aboard]), numbers)
    chosen: dict[str, tuple[Aboard, int]] = {}
    for one in aboard:
        for p in one.sent:
            if operation in ADDING:
                chosen.setdefault(one.batch.numbers[p], (one, p))
            else:
                chosen[one.batch.numbers[p]] = (one, p)
    lines = "\n".join([one.batch.wires[p] for one, p in chosen.values()]).encode()
    return Manifest(lines, list(chosen), chosen)


def settle_all(
    aboard: Sequence[Aboard], carried: Manifest, reading: Reading, *, patient: bool = True
) -> None:
    """Give each row that was sent the code that the answer has for its number.

    A lead that the dialer does not know yet stays pending while we are ``patient``.
    """
    reconciled: set[str] = set()
    for one in aboard:
        if _settled_plainly(one, carried, reading):
            continue
        if reading.all and (words := reading.words.get("")):
            one.why[reading.all] = words
        for p in one.sent:
            number = one.batch.numbers[p]
            if number in reading.later:
                if patient:
                    one.ask_later = True
                    continue
                code = reading.later[number]
            else:
                code = reading.all or reading.codes.get(number, "")
            if words := reading.words.get(number):
                one.why[str(p)] = words
            if code == "c" and carried.standing.get(number, (one, p)) != (one, p):
                code = "d"  # its twin was created
                one.why.setdefault(str(p), TWIN_WORDS)
            one.settle(p, code, twin=number in reconciled)
            if one.codes[p] == RECONCILED:
                reconciled.add(number)


def _settled_plainly(one: Aboard, carried: Manifest, reading: Reading) -> bool:
    """Settle at once a batch of which all went for the first time and the answer tells all plainly: whether it is one.

    Says the same as the rows one by one would, in a tenth of the time.
    """
    if carried.standing or reading.words or reading.later or one.updates_duplicates:
        return False
    if not one.whole or one.codes.count(NOT_SENT) != len(one.codes):
        return False
    if reading.all:
        codes = [reading.all] * len(one.codes)
    else:
        codes = [reading.codes.get(number, "") for number in one.batch.numbers]
    if not all(codes):
        return False
    one.codes = codes
    return True


def result(
    row: Row, codes: str, *, now_ms: int, calls: int = 0, attempts: int = 0
) -> dict[str, int | float | str]:
    """What a task returns: counts and ids, no number (design: results are seen in Flower and logs)."""
    first = row.number("first") or now_ms
    return {
        "campaign": f"{row.fields['acct']}/{row.fields['campaign']}",
        "batch": row.ticket,
        "job": row.fields["job"],
        "leads": row.number("n"),
        **counts(codes),
        "calls": row.number("calls") + calls,
        "attempts": row.number("attempts") + attempts,
        "waited_s": round(max(first - row.number("created"), 0) / 1000, 3),
    }
