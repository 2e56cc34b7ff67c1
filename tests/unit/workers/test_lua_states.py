"""Changes of state: each is written when it begins and when it ends, and told to one dispatcher."""

import pytest
from structlog.testing import capture_logs

from leadlane.workers.changes import WORDS, Change
from leadlane.workers.lanes import NoRoomError
from tests.unit.workers.lane_kit import LANE, LOST, Kit, move


@pytest.fixture
def kit() -> Kit:
    return Kit()


def told(kit: Kit) -> list[tuple[str, str, str, str, str]]:
    """What this dispatcher is given to say."""
    return [(one.state, one.how, one.account, one.name, one.why) for one in kit.dispatch().changes]


def learns(kit: Kit, signal: str, name: str, reason: str = "why", **terms: object) -> None:
    """A turn that ends with this news of the account."""
    kit.submit(name)
    kit.granted(name, f"k-{name}")
    moves = move(name, "done" if signal == "ok" else "again", "cc" if signal == "ok" else "..")
    kit.leave(moves, token=f"k-{name}", signal=signal, rest=0, terms={"reason": reason, **terms})
    kit.lanes.cancel(name)


@pytest.mark.parametrize("what", ["account", "operation", "lane"])
def test_a_hold_is_told_once_when_it_begins_and_once_when_it_ends(kit: Kit, what: str) -> None:
    name = LANE if what == "lane" else "acme"
    of = {"account": "", "operation": "import", "lane": LANE}[what]
    for _ in range(2):
        kit.lanes.hold(what, name, "legal", "import", account="acme")  # type: ignore[arg-type]
    assert told(kit) == [(what, "begins", "acme", of, "legal")]
    assert told(kit) == []
    for _ in range(2):
        kit.lanes.hold(what, name, "", "import")  # type: ignore[arg-type]
    assert [row[:4] for row in told(kit)] == [(what, "ends", "acme" if what != "lane" else "", of)]
    assert told(kit) == []


@pytest.mark.parametrize(
    ("signal", "state", "of"), [("hold", "account", ""), ("hold_op", "operation", "import")]
)
def test_two_refusals_of_the_key_are_one_hold(kit: Kit, signal: str, state: str, of: str) -> None:
    for name, lane in (("t1", LANE), ("o1", "other")):
        kit.submit(name, lane=lane)
        kit.granted(name, f"k-{name}")
    for name, lane in (("t1", LANE), ("o1", "other")):
        kit.leave(
            move(name, "again", ".."),
            token=f"k-{name}",
            lane=lane,
            signal=signal,
            terms={"reason": f"401 {name}"},
        )
    assert told(kit) == [(state, "begins", "acme", of, "401 t1")]


def test_no_automatic_hold_takes_the_place_of_an_operators(kit: Kit) -> None:
    kit.submit("t1")
    kit.granted("t1")
    kit.lanes.hold("account", "acme", "legal")
    kit.lanes.hold("lane", LANE, "legal too")
    kit.leave(move("t1", "again", ".."), signal="hold", terms={"reason": "401"}, hold="campaign is final")
    assert not kit.lanes.hold("account", "acme", "no settings", over="")
    assert kit.hash("acct", "acme")["hold"] == "legal"
    assert kit.lanes.held(LANE) == "legal too"


def test_an_automatic_release_lifts_its_own_hold_only(kit: Kit) -> None:
    kit.lanes.hold("account", "acme", "legal")
    assert not kit.lanes.hold("account", "acme", "", over="no settings")
    assert kit.hash("acct", "acme")["hold"] == "legal"
    kit.lanes.hold("account", "acme", "no settings")
    assert kit.lanes.hold("account", "acme", "", over="no settings")
    assert "hold" not in kit.hash("acct", "acme")


def test_the_breaker_opens_once_and_closes_with_the_success_of_the_one_probe(kit: Kit) -> None:
    for i in range(5):
        kit.submit(f"t{i}", lane=f"lane{i}")
        kit.granted(f"t{i}", f"k{i}")
    for i in range(5):  # the third failure opens it, two more were under way
        kit.leave(
            move(f"t{i}", "again", ".."),
            token=f"k{i}",
            lane=f"lane{i}",
            signal="failed",
            terms={"reason": "503"},
        )
    assert told(kit) == [("breaker", "begins", "acme", "", "503")]
    kit.pass_ms(60_000)
    [probe] = kit.called()
    kit.granted(probe, "k-probe")
    assert kit.called() == []  # the others wait for what the probe finds
    kit.leave(move(probe), token="k-probe", lane=f"lane{probe[1:]}", may_call=False)
    assert told(kit) == [("breaker", "ends", "acme", "", "")]
    kit.called()
    assert sorted(kit.state(f"t{i}") for i in range(5)) == ["called"] * 4 + ["done"]


def test_a_probe_that_fails_opens_no_second_breaker(kit: Kit) -> None:
    for i in range(3):
        learns(kit, "failed", f"t{i}")
    assert [row[0] for row in told(kit)] == ["breaker"]
    kit.pass_ms(60_000)
    learns(kit, "failed", "probe")
    assert told(kit) == []
    assert float(kit.hash("acct", "acme")["cool"]) > 0
    kit.pass_ms(120_000)
    learns(kit, "ok", "again")
    assert [row[:2] for row in told(kit)] == [("breaker", "ends")]


def test_a_throttled_account_is_told_of_once_however_many_429_come(kit: Kit) -> None:
    learns(kit, "throttled", "t1", wait_ms=3_000)
    kit.pass_ms(3_000)
    learns(kit, "throttled", "t2", wait_ms=3_000)
    assert [row[:2] for row in told(kit)] == [("throttled", "begins")]
    kit.pass_ms(3_000)
    learns(kit, "ok", "t3")
    assert [row[:2] for row in told(kit)] == [("throttled", "ends")]
    learns(kit, "ok", "t4")
    assert told(kit) == []


def test_a_release_ends_the_breaker_too(kit: Kit) -> None:
    for i in range(3):
        learns(kit, "failed", f"t{i}")
    kit.lanes.hold("account", "acme", "")
    assert [row[:2] for row in told(kit)] == [("breaker", "begins"), ("breaker", "ends")]


def test_the_quiet_time_after_a_crash_of_redis_is_told_and_its_end(kit: Kit) -> None:
    kit.client.hset("P:clock", "lost", LOST)
    kit.boot("one")
    kit.boot("two")
    assert [row[:2] for row in told(kit)] == [("quiet", "begins")]
    kit.pass_ms(LOST - 1)
    assert told(kit) == []
    kit.pass_ms(1)
    assert [row[:2] for row in told(kit)] == [("quiet", "ends")]
    assert told(kit) == []
    assert "unsaid" not in kit.hash("clock")  # nobody looks in vain


@pytest.mark.parametrize(
    ("limit", "of"),
    [({"max_waiting": 10}, ""), ({"max_waiting_per_campaign": 10}, LANE)],
    ids=["account", "campaign"],
)
def test_an_account_is_full_from_a_refusal_until_a_fifth_is_free(
    kit: Kit, limit: dict[str, int], of: str
) -> None:
    kit.client.hset("P:acct:acme", mapping=limit)
    for name in ("t1", "t2"):
        kit.submit(name, n=4, may_call=False, bounded=True)
    for _ in range(2):
        with pytest.raises(NoRoomError):
            kit.submit("t3", n=4, may_call=False, bounded=True)
    assert told(kit) == [("full", "begins", "acme", of, "")]
    kit.lanes.cancel("t1")
    kit.submit("t4", n=5, may_call=False, bounded=True)  # there is room, but not much
    assert told(kit) == []
    kit.lanes.cancel("t2")
    kit.submit("t5", n=3, may_call=False, bounded=True)
    assert told(kit) == [("full", "ends", "acme", "", "")]


def test_an_account_for_which_nothing_waits_is_not_full(kit: Kit) -> None:
    kit.client.hset("P:acct:acme", "max_waiting", 5)
    kit.submit("t1", n=4, may_call=False)
    with pytest.raises(NoRoomError):
        kit.submit("t2", n=4, may_call=False, bounded=True)
    assert [row[:2] for row in told(kit)] == [("full", "begins")]
    kit.lanes.cancel("t1")
    assert [row[:2] for row in told(kit)] == [("full", "ends")]


def test_many_changes_are_told_in_order_and_none_twice(kit: Kit) -> None:
    for i in range(120):
        kit.lanes.hold("operation", "acme", "why", f"op{i}")
    seen = [row[3] for _ in range(4) for row in told(kit)]
    assert seen == [f"op{i}" for i in range(120)]


def test_changes_are_counted_and_their_stream_is_bounded(kit: Kit) -> None:
    for _ in range(1200):
        kit.lanes.hold("account", "acme", "why")
        kit.lanes.hold("account", "acme", "")
    assert kit.hash("changes") == {"account:begins:acme": "1200", "account:ends:acme": "1200"}
    assert kit.client.xlen("P:states") < 1200


@pytest.mark.parametrize("known", WORDS)
def test_a_change_is_a_line_with_what_it_is_about(known: tuple[str, str]) -> None:
    state, how = known
    with capture_logs() as lines:
        Change(state, how, "acme", "import", "401: wrong key", 0).say()
    (line,) = lines
    assert (line["log_level"], line["event"]) == WORDS[known]
    assert (line["account"], line["reason"]) == ("acme", "401: wrong key")
