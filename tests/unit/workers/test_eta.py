"""When leads will have left: on lanes whose clock stands still, against what can be counted by hand."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from leadlane.schemas.settings import Account, Rate, Settings
from leadlane.workers.accounts import publish_facts
from leadlane.workers.bounds import Full
from leadlane.workers.eta import eta, room_in_s
from leadlane.workers.jobs import Jobs
from tests.still_clock import BEGINNING_MS
from tests.unit.workers.lane_kit import Kit, move

VOISO, SINGLE = "leads/voiso/x/1", "leads/dialnexa/n/cmp_1"
CALL = {"answer": "200", "n": 1, "op": "import", "size": 1, "began": 0, "ended": 0}


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> Kit:
    """Two accounts, ten slots; calls of Voiso take half a second, those of DialNexa a tenth."""
    monkeypatch.setattr(time, "time", lambda: BEGINNING_MS / 1000)  # the fake server's own
    kit = Kit()
    voiso = Account(name="acme", provider="voiso", base_url="https://x", api_key="env:K", import_gap_s=2.0)
    single = Account(
        name="nexa", provider="dialnexa", base_url="https://n", api_key="env:K", rate=(Rate(100, 1.0),)
    )
    publish_facts(kit.lanes, Settings(accounts={"acme": voiso, "nexa": single}))
    kit.client.hset("P:acct:acme", "call_ms", 500)
    kit.client.hset("P:acct:nexa", "call_ms", 100)
    return kit


def bring(kit: Kit, name: str, *, lane: str = VOISO, n: int = 1000, job: str = "j", **more: Any) -> None:
    account = "nexa" if lane.startswith("leads/dialnexa") else "acme"
    Jobs(kit.lanes).open(account, "1", lane, "import", job=job)
    kit.submit(name, lane=lane, n=n, job=job, account=account, may_call=False, **more)


def left_s(kit: Kit, job: str = "j") -> float:
    """Seconds from now until the job's last lead will have left."""
    found = eta(kit.lanes, job, Jobs(kit.lanes).fields(job))
    assert found is not None
    now = BEGINNING_MS / 1000 + int(kit.hash("clock")["offset"]) / 1000
    return round(datetime.fromisoformat(found).astimezone(UTC).timestamp() - now, 2)


def test_a_lane_alone_takes_its_calls_and_the_gaps_between_them(kit: Kit) -> None:
    for i in range(5):
        bring(kit, f"t{i}")
    assert left_s(kit) == 5 * 0.5 + 4 * 2


def test_what_waits_ahead_counts_and_what_waits_behind_does_not(kit: Kit) -> None:
    for i in range(3):
        bring(kit, f"a{i}", job="before")
    bring(kit, "t")
    bring(kit, "z", job="behind")
    assert left_s(kit) == 4 * 0.5 + 3 * 2
    assert left_s(kit, "before") == 3 * 0.5 + 2 * 2


def test_small_batches_share_calls_and_large_ones_are_not_split(kit: Kit) -> None:
    for i in range(8):
        bring(kit, f"t{i}", n=250)
    assert left_s(kit) == 2 * 0.5 + 2
    for i in range(4):
        bring(kit, f"u{i}", n=600, lane="leads/voiso/x/2", job="large")
    assert left_s(kit, "large") == 4 * 0.5 + 3 * 2


def test_the_rest_of_the_lane_and_the_call_under_way_come_first(kit: Kit) -> None:
    for i in range(3):
        bring(kit, f"t{i}")
    kit.granted("t0")
    kit.pass_ms(200)
    assert left_s(kit) == 0.3 + 2 + 2 * 0.5 + 2
    kit.leave(move("t0", codes="c" * 1000))
    kit.pass_ms(500)
    assert left_s(kit) == 1.5 + 2 * 0.5 + 2


def test_many_lanes_share_the_slots_of_the_workers(kit: Kit) -> None:
    for lane in range(12):
        for i in range(2):
            bring(kit, f"t{lane}-{i}", lane=f"leads/voiso/x/{lane}", job=f"j{lane}")
    assert left_s(kit, "j9") == 2 * 0.5 + 2
    kit.client.hset("P:acct:acme", "call_ms", 3000)
    kit.lanes.alive("worker", for_ms=1000, slots={"turns": 2, "control": 1})
    assert left_s(kit, "j9") == 24 * 3 / 3
    bring(kit, "short", lane="leads/voiso/x/99", job="short")
    assert left_s(kit, "short") == 13 * 3 / 3


def test_a_dialer_of_single_leads_goes_in_lines_or_by_its_rate(kit: Kit) -> None:
    bring(kit, "t", lane=SINGLE, n=100)
    assert left_s(kit) == 100 * 0.1 / 5
    kit.client.hset("P:acct:nexa", "gcra", "500.000:0.000")
    assert left_s(kit) == 99 * 0.5 + 0.1
    bring(kit, "o", lane="leads/dialnexa/n/cmp_2", n=30, job="other")
    assert left_s(kit, "other") == 59 * 0.5 + 0.1


def test_what_a_slice_has_settled_does_not_count_any_more(kit: Kit) -> None:
    bring(kit, "t", lane=SINGLE, n=100)
    kit.granted("t", room=0)
    kit.client.set("P:out:t", "c" * 60 + "." * 40)
    assert left_s(kit) == 40 * 0.1 / 5
    bring(kit, "o", lane="leads/dialnexa/n/cmp_2", n=100, job="other")
    kit.client.hset("P:acct:nexa", "gcra", "500.000:0.000")
    assert left_s(kit) == 79 * 0.5 + 0.1, "the other lane is taken to be as far"


def test_pace_is_measured_by_calls_that_the_dialer_took(kit: Kit) -> None:
    for i in range(4):
        bring(kit, f"t{i}", n=2)
    kit.client.hdel("P:acct:acme", "call_ms")
    for i, (ms, answer) in enumerate([(1000, "200"), (2000, "200"), (9000, "503")]):
        token = f"k{i}"
        kit.granted(f"t{i}", token, room=2)
        kit.pass_ms(ms)
        kit.leave(move(f"t{i}"), token=token, rest=0, calls=[CALL | {"answer": answer}])
    assert kit.hash("acct", "acme")["call_ms"] == "1200"


def test_a_command_has_no_eta_nor_has_what_does_not_wait(kit: Kit) -> None:
    bring(kit, "t", n=2)
    kit.lanes.cancel("t")
    assert eta(kit.lanes, "j", Jobs(kit.lanes).fields("j")) is None


def test_room_is_expected_when_enough_has_left(kit: Kit) -> None:
    for i in range(4):
        bring(kit, f"t{i}")
    room = Full("campaign", 4000, 4500)
    assert room_in_s(kit.lanes, room, "acme", VOISO, "import", 1000) == 0.5
    assert room_in_s(kit.lanes, Full("campaign", 4000, 3000), "acme", VOISO, "import", 1000) == 2 * 0.5 + 2
    bring(kit, "o", lane="leads/voiso/x/2", job="other")
    assert room_in_s(kit.lanes, Full("account", 5000, 4000), "acme", VOISO, "import", 1000) == 0.5
    kit.lanes.hold("account", "acme", "key")
    assert room_in_s(kit.lanes, room, "acme", VOISO, "import", 1000) is None
