"""The book of one campaign: which numbers it holds, and how often each was sent and stored."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .audit import Record


CERTAIN: Final = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503})
"""Statuses that say that nothing was done; after any other failure the client cannot know."""


class Book:
    """Numbers as the dialer knows them; about 200 bytes each.

    A number is *settled* while the last attempt that the dialer worked on was answered and its answer
    named the number. Whoever sends a settled number again does so without need.

    It is *silent* in an operation that must not be repeated while the client cannot know what became of its
    last attempt there. Whoever sends a silent number again may have somebody phoned twice.
    """

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.fields: dict[str, dict[str, Any]] = {}
        self.resent_after_answer = 0
        self.repeated_in_call = 0
        self.stored_twice = 0
        self.stored_twice_on_request = 0
        self.resent_after_silence = 0
        self.facts: dict[str, dict[str, Any]] = {}
        self._settled: dict[str, int] = {}  # and the request whose answer named it
        self._silent: defaultdict[str, set[str]] = defaultdict(set)

    def __contains__(self, number: str) -> bool:
        return number in self.stored

    def arrived(self, numbers: list[str], record: Record) -> None:
        """Note the numbers of an import that has arrived, whatever will become of it."""
        distinct = set(numbers)
        self.sent.update(numbers)
        for number in distinct & self._settled.keys():
            answered = self._settled[number]
            record.resent[answered] = record.resent.get(answered, 0) + 1
            self.resent_after_answer += 1
        self.repeated_in_call += len(numbers) - len(distinct)

    def store(self, number: str, *, on_request: bool = False) -> None:
        """Note that a number was stored, be it for the second time; `on_request` if the client asked for that."""
        times = self.stored.get(number, 0) + 1
        self.stored[number] = times
        if times > 1:
            self.stored_twice += 1
            self.stored_twice_on_request += on_request

    def remove(self, number: str) -> None:
        """Note that a stored number is there once less; to send it again is a new matter."""
        self.stored[number] -= 1
        if not self.stored[number]:
            del self.stored[number]
        self.note(number, removed=self.fact(number, "removed", 0) + 1)
        self._settled.pop(number, None)

    def note(self, number: str, **facts: object) -> None:
        """Note what is worth showing of a number besides how often it came."""
        self.facts.setdefault(number, {}).update(facts)

    def fact(self, number: str, name: str, default: Any) -> Any:
        """What was noted of a number."""
        return self.facts.get(number, {}).get(name, default)

    def keep(self, number: str, fields: Mapping[str, Any]) -> None:
        """Keep the fields of a stored number; those it had already stay unless named."""
        if fields:
            self.fields.setdefault(number, {}).update(fields)

    def settle(self, numbers: Iterable[str], record: Record, *, answered: bool) -> None:
        """Note that an attempt with these numbers ended, with an answer that named them or without one."""
        for number in numbers:
            if answered:
                self._settled[number] = record.n
            else:
                self._settled.pop(number, None)

    def attempt(self, operation: str, numbers: Iterable[str]) -> None:
        """Note an attempt at an operation that must not be repeated blindly."""
        self.resent_after_silence += len(self._silent[operation].intersection(numbers))

    def attempted(
        self, operation: str, numbers: Iterable[str], *, status: int | None, readable: bool
    ) -> None:
        """Note how that attempt ended for the client."""
        if readable or status in CERTAIN:
            self._silent[operation].difference_update(numbers)
        else:
            self._silent[operation].update(numbers)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Each number that ever arrived: times sent, times stored, facts and, where kept, its fields."""
        return {
            number: {"sent": sent, "stored": self.stored.get(number, 0)}
            | self.facts.get(number, {})
            | ({"fields": self.fields[number]} if number in self.fields else {})
            for number, sent in self.sent.items()
        }
