"""A rate becomes GCRA windows that no window of its length exceeds."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from leadlane.schemas.settings import Rate
from leadlane.workers.accounts import gcra

rates = st.builds(Rate, st.integers(1, 200), st.sampled_from([0.5, 1.0, 5.0, 60.0]))


def windows(text: str) -> list[tuple[float, float]]:
    return [(float(step), float(slack)) for step, slack in (part.split(":") for part in text.split(","))]


def admitted(text: str, *, asked: list[float]) -> list[float]:
    """When calls may begin that are asked for so many ms after one another, as ``lane.lua`` would say."""
    state, now, out = [0.0] * len(windows(text)), 0.0, []
    for wait in asked:
        now += wait
        tats = [max(tat, now) for tat in state]
        now = max([now, *(tat - slack for tat, (_, slack) in zip(tats, windows(text), strict=True))])
        state = [max(tat, now) + step for tat, (step, _) in zip(state, windows(text), strict=True)]
        out.append(now)
    return out


def most_in_a_window(times: list[float], length_ms: float) -> int:
    return max(sum(begin <= at < begin + length_ms for at in times) for begin in times)


@given(
    several=st.lists(rates, min_size=1, max_size=3),
    asked=st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.0, 40.0, 700.0, 70_000.0]), min_size=1, max_size=500),
)
@example(several=[Rate(1, 1.0)], asked=[0.0] * 50)
@example(several=[Rate(10, 1.0), Rate(600, 60.0)], asked=[0.0] * 700)
def test_no_window_of_its_length_holds_more_calls_than_a_rate_allows(
    several: list[Rate], asked: list[float]
) -> None:
    times = admitted(gcra(tuple(several)), asked=asked)
    for rate in several:
        assert most_in_a_window(times, rate.period_s * 1000) <= rate.count


@pytest.mark.parametrize("rate", [Rate(1, 1.0), Rate(10, 1.0), Rate(600, 60.0), Rate(5, 10.0)], ids=str)
def test_a_steady_flow_gets_most_of_its_rate(rate: Rate) -> None:
    times = admitted(gcra((rate,)), asked=[0.0] * (rate.count * 20))
    assert len(times) / (times[-1] / 1000) >= 0.85 * rate.count / rate.period_s


def test_a_tenth_of_a_rate_may_go_at_once_and_the_rest_is_spread_evenly() -> None:
    times = admitted(gcra((Rate(100, 1.0),)), asked=[0.0] * 40)
    assert times[:10] == [0.0] * 10
    steps = {round(after - before, 3) for before, after in pairwise(times[10:])}
    assert len(steps) == 1


def test_an_account_without_a_rate_has_no_windows() -> None:
    assert gcra(()) == ""
