import signal
from collections.abc import Iterator

import pytest

from leadlane.cli.stopping import Stopped, stoppable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_between_rows_the_row_in_hand_is_kept_and_the_next_is_not_read(number: signal.Signals) -> None:
    with stoppable(iter("abc")) as rows:
        assert next(rows) == "a"
        signal.raise_signal(number)
        with pytest.raises(Stopped):
            next(rows)


def test_a_row_that_is_waited_for_is_waited_for_no_more() -> None:
    def source() -> Iterator[str]:
        yield "a"
        signal.raise_signal(signal.SIGINT)
        yield "b"

    with stoppable(source()) as rows:
        assert next(rows) == "a"
        with pytest.raises(Stopped):
            next(rows)


def test_who_asks_twice_is_heard_at_once() -> None:
    with stoppable(iter("abc")) as rows:
        next(rows)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with stoppable(iter("abc")) as rows:
        assert list(rows) == ["a", "b", "c"]
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
