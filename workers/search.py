"""The search for leads that make a dialer refuse their whole call (400, 413, 422).

One call a turn. The suspects, known to hold a bad lead, are halved: if the half that is sent passes, the bad
one is in the other half; if it is refused, the other half returns to the pool. A lead refused alone is found.
In the end the pool goes as one call, which may start the search anew. If nothing has ever passed when the
first lead is refused alone, another is asked too, from far away, since bad leads stand together: the same words
for both mean that the call as such is refused, and no lead is blamed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

BUDGET = 40
"""Refused calls and halves together; what is left then is dead (``poison_budget``)."""


@dataclass(frozen=True, slots=True)
class Search:
    """Where a search stands. Positions are rows of the batch; ``words`` are the dialer's of the last refusal."""

    suspects: tuple[int, ...] = ()
    pool: tuple[int, ...] = ()
    suspected: tuple[int, ...] = ()
    passed: bool = False
    calls: int = 0
    words: str = ""

    def to_json(self) -> str:
        """The stored form."""
        return json.dumps([1, self.suspects, self.pool, self.suspected, self.passed, self.calls, self.words])

    @classmethod
    def from_json(cls, text: str) -> Search:
        """The search that was stored."""
        _, suspects, pool, suspected, passed, calls, words = json.loads(text)
        return cls(tuple(suspects), tuple(pool), tuple(suspected), passed, calls, words)


@dataclass(frozen=True, slots=True)
class Step:
    """What a refusal or a pass means: the search that goes on, leads found bad with the dialer's words, or the end."""

    search: Search | None
    rejected: Mapping[int, str] = field(default_factory=dict)
    dead: str = ""


def to_send(search: Search, pending: tuple[int, ...]) -> tuple[int, ...]:
    """Positions of the next call, of those still pending."""
    alive = set(pending)
    suspects = tuple(p for p in search.suspects if p in alive)
    if len(suspects) > 1:
        return suspects[: (len(suspects) + 1) // 2]
    return suspects or tuple(p for p in search.pool if p in alive) or pending


def after_pass(search: Search, sent: tuple[int, ...]) -> Step:
    """The call passed: the bad lead is among the suspects that were not sent."""
    gone = set(sent)
    after = replace(
        search,
        suspects=tuple(p for p in search.suspects if p not in gone),
        pool=tuple(p for p in search.pool if p not in gone),
        suspected=(),
        passed=True,
        calls=search.calls + 1,
    )
    # If this was the witness for a lead refused alone, that lead is a bad one.
    return Step(_next(after), dict.fromkeys(search.suspected, search.words))


def after_refusal(search: Search | None, sent: tuple[int, ...], words: str) -> Step:
    """The call was refused, with these words of the dialer."""
    state = search or Search()
    sent_set = set(sent)
    others = tuple(p for p in state.suspects if p not in sent_set)
    pool = (*others, *(p for p in state.pool if p not in sent_set))
    calls = state.calls + 1
    if state.suspected and len(sent) == 1:
        if words == state.words:
            return Step(None, dead="refused_alike")
        bad = dict.fromkeys(state.suspected, state.words) | dict.fromkeys(sent, words)
        return Step(_next(Search(pool=pool, passed=True, calls=calls)), bad)
    if calls >= BUDGET:
        return Step(None, dead="poison_budget")
    if len(sent) > 1:
        return Step(replace(state, suspects=sent, pool=pool, calls=calls, words=words))
    if state.passed or not pool:
        after = Search(pool=pool, passed=state.passed, calls=calls, words=words)
        return Step(_next(after), dict.fromkeys(sent, words))
    middle = len(pool) // 2
    witness, rest = pool[middle : middle + 1], (*pool[:middle], *pool[middle + 1 :])
    return Step(Search(suspects=witness, pool=rest, suspected=sent, calls=calls, words=words))


def _next(search: Search) -> Search | None:
    """The search, or None when nothing is left to look at."""
    return search if search.suspects or search.pool else None
