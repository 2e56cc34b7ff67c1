"""The book of one campaign: which numbers it holds, and how often each was sent and stored."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Book:
    """Numbers as the dialer knows them; about 200 bytes each.

    A number is *settled* while the last attempt that the dialer worked on was answered and its answer
    named the number. Whoever sends a settled number again does so without need.
    """

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.stored: Counter[str] = Counter()
        self.fields: dict[str, dict[str, Any]] = {}
        self.resent_after_answer = 0
        self.repeated_in_call = 0
        self.stored_twice = 0
        self._settled: set[str] = set()

    def __contains__(self, number: str) -> bool:
        return number in self.stored

    def arrived(self, numbers: list[str]) -> None:
        """Note the numbers of an import that has arrived, whatever will become of it."""
        distinct = set(numbers)
        self.sent.update(numbers)
        self.resent_after_answer += len(distinct & self._settled)
        self.repeated_in_call += len(numbers) - len(distinct)

    def store(self, number: str) -> None:
        """Note that a number was stored, be it for the second time."""
        self.stored[number] += 1
        self.stored_twice += self.stored[number] > 1

    def keep(self, number: str, fields: Mapping[str, Any]) -> None:
        """Keep the fields of a stored number; those it had already stay unless named."""
        self.fields.setdefault(number, {}).update(fields)

    def settle(self, numbers: Iterable[str], *, answered: bool) -> None:
        """Note that an attempt with these numbers ended, with an answer that named them or without one."""
        if answered:
            self._settled.update(numbers)
        else:
            self._settled.difference_update(numbers)

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Each number that ever arrived: times sent, times stored and, where kept, its fields."""
        return {
            number: {"sent": sent, "stored": self.stored.get(number, 0)}
            | ({"fields": self.fields[number]} if number in self.fields else {})
            for number, sent in self.sent.items()
        }
