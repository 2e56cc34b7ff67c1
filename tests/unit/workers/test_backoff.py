"""Full jitter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.workers.backoff import full_jitter


@pytest.mark.parametrize(
    ("attempt", "longest"), [(0, 2.0), (1, 4.0), (2, 8.0), (4, 32.0), (5, 60.0), (10**9, 60.0)]
)
def test_the_longest_wait_doubles_from_two_seconds_to_a_minute(attempt: int, longest: float) -> None:
    assert full_jitter(attempt, dice=lambda: 1.0) == longest


@given(attempt=st.integers(0, 10**6), dice=st.floats(0, 1))
def test_the_wait_is_the_dices_part_of_the_longest(attempt: int, dice: float) -> None:
    assert full_jitter(attempt, dice=lambda: dice) == dice * full_jitter(attempt, dice=lambda: 1.0)
