"""The search for the leads that make a dialer refuse a call, played against dialers that refuse by index."""

import random
from collections.abc import Callable

import pytest

from leadlane.workers.search import BUDGET, Search, Step, after_pass, after_refusal, to_send


def played(n: int, bad: set[int], words: Callable[[int], str] = lambda _: "bad") -> tuple[int, set[int], str]:
    """Calls made, leads rejected, and why the rest is dead if it is."""
    pending, rejected, state, calls = set(range(n)), set[int](), None, 0
    while pending:
        waiting = tuple(sorted(pending))
        sent = to_send(state, waiting) if state else waiting
        calls += 1
        found = sorted(bad & set(sent))
        if found:
            step = after_refusal(state, sent, words(found[0]))
        else:
            pending -= set(sent)
            step = after_pass(state, sent) if state else Step(None)
        rejected |= set(step.rejected)
        pending -= rejected
        if step.dead:
            return calls, rejected, step.dead
        state = Search.from_json(step.search.to_json()) if step.search else None
    return calls, rejected, ""


@pytest.mark.parametrize(("how_many", "most"), [(1, 13), (2, 25), (3, 37)])
def test_up_to_three_bad_leads_in_a_thousand_are_found_wherever_they_are(how_many: int, most: int) -> None:
    """A call for the batch, then for each bad lead eleven to find it and one for the pool."""
    dice = random.Random(how_many)
    for _ in range(300):
        bad = set(dice.sample(range(1000), how_many))
        calls, rejected, dead = played(1000, bad)
        assert (rejected, dead) == (bad, "")
        assert calls <= most <= BUDGET


@pytest.mark.parametrize("bad", [{0}, {999}, {0, 1}, {0, 1, 2}, {998, 999}, {0, 999}])
def test_bad_leads_side_by_side_or_at_the_ends_are_found(bad: set[int]) -> None:
    assert played(1000, bad)[1:] == (bad, "")


@pytest.mark.parametrize("n", [1, 2, 3, 1000])
def test_a_call_that_is_refused_as_such_blames_no_lead(n: int) -> None:
    _, rejected, dead = played(n, set(range(n)))
    assert (rejected, dead) == (({0}, "") if n == 1 else (set(), "refused_alike"))


def test_leads_that_are_refused_with_different_words_are_all_to_blame() -> None:
    assert played(2, {0, 1}, words=lambda index: f"lead {index}")[1:] == ({0, 1}, "")


def test_a_search_that_finds_no_end_gives_up() -> None:
    calls, rejected, dead = played(1000, set(range(7, 1000, 50)))
    assert dead == "poison_budget"
    assert rejected <= set(range(7, 1000, 50))
    assert calls <= 60
