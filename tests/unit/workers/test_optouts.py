"""Opt-outs: what is kept of them, what is found, and that no number can be read there."""

import random

import fakeredis
import pytest

from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import (
    CHUNK,
    DAY_S,
    FEW,
    SHORT,
    OptOuts,
    among,
    entered,
    overview,
    scopes_of,
)

LANE, OTHER, ABROAD = (
    "leads/voiso/emea.test/3",
    "leads/voiso/emea.test/4",
    "leads/voiceaiwrapper/vw.test/camp/3",
)
HERE, CENTRE = "campaign/voiso/emea.test/3", "account/voiso/emea.test"
ANN, BOB, CID = "12125550001", "12125550002", "12125550003"


class Kept(OptOuts):
    """With a clock to turn."""

    def __init__(self, key: bytes = b"k", client: fakeredis.FakeRedis | None = None) -> None:
        self.client = client or fakeredis.FakeRedis()
        self.lanes = Lanes(self.client, "leadlane")
        self.now_s = 1_800_000_000.0
        super().__init__(self.lanes, key, clock=lambda: self.now_s)

    def everything(self) -> bytes:
        """All that lies in Redis."""
        return b"\n".join(self.client.dump(name) + name for name in self.client.scan_iter())


def test_a_lane_lies_in_three_scopes() -> None:
    assert scopes_of(LANE) == (HERE, CENTRE, "all")
    assert scopes_of(ABROAD) == (
        "campaign/voiceaiwrapper/vw.test/camp/3",
        "account/voiceaiwrapper/vw.test",
        "all",
    )


def test_who_has_opted_out_nowhere_is_called() -> None:
    kept = Kept()
    assert kept.before_call(LANE, "acct", [ANN, BOB]) == frozenset()


@pytest.mark.parametrize(
    ("scope", "lanes"), [(HERE, {LANE}), (CENTRE, {LANE, OTHER}), ("all", {LANE, OTHER, ABROAD})]
)
def test_an_opt_out_reaches_as_far_as_its_scope(scope: str, lanes: set[str]) -> None:
    kept = Kept()
    kept.add(scope, [ANN], "job")
    for lane in (LANE, OTHER, ABROAD):
        assert kept.before_call(lane, "acct", [ANN, BOB]) == ({ANN} if lane in lanes else set())


def test_the_first_entry_of_a_number_stays_and_removing_it_lets_it_be_called() -> None:
    kept = Kept()
    assert kept.add(CENTRE, [ANN, BOB], "first") == 2
    kept.now_s += 60
    assert kept.add(CENTRE, [BOB, CID], "second") == 1
    assert [(row.source, row.at_ms, row.numbers) for row in entered(kept.lanes)] == [
        ("second", 1_800_000_060_000, 1),
        ("first", 1_800_000_000_000, 2),
    ]
    assert overview(kept.lanes) == [{"scope": CENTRE, "numbers": 3, "pending": 0}]
    assert kept.remove(HERE, [ANN]) == 0
    assert kept.remove(CENTRE, [ANN, ANN]) == 1
    assert kept.suppressed([HERE, CENTRE, "all"], [ANN, BOB, CID]) == {BOB, CID}


def test_campaigns_that_were_called_with_a_number_are_found() -> None:
    kept = Kept()
    kept.before_call(LANE, "one", [CID, ANN])
    kept.before_call(LANE, "two", [BOB])
    kept.before_call(OTHER, "one", [ANN])
    kept.before_call(ABROAD, "three", [ANN, BOB])
    assert [(r.lane, r.account, r.numbers) for r in kept.reached(CENTRE, [ANN, BOB])] == [
        (LANE, "two", (ANN, BOB)),
        (OTHER, "one", (ANN,)),
    ]
    assert [r.lane for r in kept.reached("all", [BOB])] == [ABROAD, LANE]
    assert [r.lane for r in kept.reached(HERE, [ANN])] == [LANE]
    assert list(kept.reached("all", ["12125550009"])) == []


def test_a_call_that_delivers_nothing_leaves_no_trace_but_is_looked_at() -> None:
    kept = Kept()
    kept.add("all", [ANN], "job")
    assert kept.before_call(LANE, "one", [ANN, BOB], delivers=False) == {ANN}
    assert list(kept.reached("all", [ANN, BOB])) == []


@pytest.mark.parametrize("days", [0, 29, 31, 60, 95])
def test_a_campaign_is_found_for_a_hundred_days(days: int) -> None:
    kept = Kept()
    kept.before_call(LANE, "one", [ANN])
    kept.now_s += days * DAY_S
    assert [r.lane for r in kept.reached("all", [ANN])] == [LANE]
    ends = [ttl for name in kept.client.keys("leadlane:had:*") for ttl in [kept.client.ttl(name)]]
    assert ends == [100 * DAY_S]


def test_nothing_that_lies_there_tells_a_number_nor_finds_one_without_the_key() -> None:
    kept = Kept()
    kept.before_call(LANE, "one", [ANN, BOB])
    kept.add("all", [ANN], "job")
    assert ANN.encode() not in kept.everything()
    assert BOB.encode() not in kept.everything()
    stranger = Kept(b"guess", kept.client)
    assert stranger.before_call(LANE, "one", [ANN], delivers=False) == frozenset()
    assert list(stranger.reached("all", [ANN])) == []


@pytest.mark.parametrize("wanted", [1, FEW, FEW + 1, 500])
def test_few_and_many_numbers_are_found_alike_and_only_where_one_begins(wanted: int) -> None:
    dice = random.Random(7)
    lie = [dice.randbytes(SHORT) for _ in range(2000)]
    chunk = b"".join(lie)
    there = lie[:: 2000 // wanted][:wanted]
    between = [chunk[at : at + SHORT] for at in range(1, 600, SHORT)][:wanted]
    assert among(chunk, [*there[: max(wanted // 2, 1)], *between]) == set(there[: max(wanted // 2, 1)])


def test_a_string_longer_than_a_chunk_is_looked_through_to_its_end() -> None:
    kept = Kept()
    filler = CHUNK // SHORT
    kept.client.append(
        "leadlane:had:" + LANE + f":{int(kept.now_s // (30 * DAY_S))}", b"\x00" * SHORT * filler
    )
    kept.before_call(LANE, "one", [ANN])
    assert [r.numbers for r in kept.reached("all", [ANN])] == [(ANN,)]
