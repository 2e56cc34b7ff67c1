"""What the keeper does with a turn that it finds to be another's."""

import time

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
