"""Properties over generated inputs: each is a test of a few examples, and a slow one of many.

The same inputs come each time. What was tried is counted by calls of the property, not by what was asked for.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hostile import NUMBER, SCALARS, Imp

Property = Callable[..., None]
FEW = 40


def _as_test(prop: Property, slow: int, few: int, run: Callable[[Property, int], None]) -> Property:
    @pytest.mark.parametrize(
        "examples", [few, pytest.param(slow, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])]
    )
    def test(examples: int, inputs: Callable[[int], None]) -> None:
        tried = 0

        def counted(*args: Any, **kwargs: Any) -> None:
            nonlocal tried
            tried += 1
            prop(*args, **kwargs)

        run(counted, examples)
        assert tried >= examples
        inputs(tried)

    test.__name__, test.__doc__ = prop.__name__, prop.__doc__
    return test


def holds(
    *, slow: int, few: int = FEW, **strategies: st.SearchStrategy[Any]
) -> Callable[[Property], Property]:
    """The property holds for what hypothesis finds in these strategies."""

    def made(prop: Property) -> Property:
        def run(counted: Property, examples: int) -> None:
            @settings(
                max_examples=examples,
                derandomize=True,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(**strategies)
            @wraps(prop)
            def tried(**values: Any) -> None:
                counted(**values)

            tried()

        return _as_test(prop, slow, few, run)

    return made


def holds_for_imps(
    *, slow: int, few: int = 4 * FEW, names: tuple[str, ...] = ("a",)
) -> Callable[[Property], Property]:
    """The property holds for what imps make of so many seeds: ten times as fast, and nastier."""

    def made(prop: Property) -> Property:
        def run(counted: Property, examples: int) -> None:
            for seed in range(examples):
                try:
                    counted(Imp(seed, names))
                except BaseException as exc:
                    exc.add_note(f"seed {seed}")
                    raise

        return _as_test(prop, slow, few, run)

    return made


def is_short_error(error: Exception, most: int = 700, *, hides: str = NUMBER) -> None:
    """AssertionError unless the error says something, in not too many characters, and not what it ``hides``."""
    assert 0 < len(str(error)) < most, str(error)
    assert not hides or hides not in str(error), str(error)


scalars = st.one_of(st.sampled_from(SCALARS), st.integers(), st.floats(), st.text(max_size=30), st.booleans())


def any_json(*names: str) -> st.SearchStrategy[Any]:
    """JSON values whose objects often have these names, and what JSON readers make of NaN and half characters."""
    keys = st.one_of(st.sampled_from(names), st.text(max_size=8))
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4)),
        max_leaves=10,
    )
