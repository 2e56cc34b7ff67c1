"""What the keeper does with a turn that it finds to be another's, and how it takes what goes wrong."""

import time

import pytest
from fakeredis import FakeRedis

from leadlane.workers.keeper import Keeper, Turn
from leadlane.workers.lanes import Lanes


def test_a_turn_that_is_lost_sends_nothing_more_and_still_hears_what_it_has_asked() -> None:
    keeper, now = (
        Keeper(Lanes(FakeRedis(), "P"), worker="w", slots={"turns": 1}, lease_s=60),
        time.monotonic(),
    )
    turn = Turn(
        lane="leads/voiso/dialer.test/3", token="k1", account="acme", group="leads", tickets=("t1",),
        deadline=now + 60, lost_call_s=60, lease_until=now + 60, call_began=now,
    )  # fmt: skip
    sending, waiting = turn.handle(), turn.handle()
    waiting.sent = True
    keeper.hold(turn)
    assert turn.may_send()
    keeper.beat()  # the lanes know nothing of it
    assert not turn.may_send()
    assert (sending.aborted, waiting.aborted) == (True, False)


def test_a_round_that_fails_is_not_the_last_and_is_told_to_the_pulse(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(Lanes(FakeRedis(), "P"), worker="w", slots={"turns": 1}, lease_s=0.03)
    keeper.start()
    beat, outcomes = keeper.beat, iter([MemoryError(), None])
    seen: list[bool] = []

    def fails_once() -> None:
        seen.append(keeper.lives)
        if problem := next(outcomes, None):
            raise problem
        beat()

    monkeypatch.setattr(keeper, "beat", fails_once)
    while len(seen) < 3:
        time.sleep(0.01)
    assert seen[:3] == [True, False, True]
    keeper.stop()
