"""After a restart of Redis nothing rests that need not: where all workers had left in peace, nothing was in flight."""

import pytest

from leadlane import Fleet
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes

SLOTS = {"turns": 4, "control": 1}


@pytest.fixture
def settings(redis_url: str) -> Settings:
    account = "LEADLANE_ACCOUNTS__VOISO__"
    given = {"PROVIDER": "voiso", "BASE_URL": "https://dialer.example", "API_KEY": "env:NONE"}
    return load_settings(
        environ={"LEADLANE_REDIS_URL": redis_url} | {f"{account}{key}": value for key, value in given.items()}
    )


@pytest.fixture
def lanes(settings: Settings) -> Lanes:
    return Lanes(connect(settings), settings.key_prefix)


def comes(lanes: Lanes, worker: str) -> None:
    lanes.alive(worker, for_ms=60_000, slots=SLOTS)


def leaves(lanes: Lanes, worker: str) -> None:
    lanes.alive(worker, for_ms=0, slots=SLOTS)


def rests_after_a_restart(lanes: Lanes) -> bool:
    return int(lanes._run("boot", "another server")) > 0


def test_where_the_last_worker_has_left_nothing_rests(lanes: Lanes, settings: Settings) -> None:
    Fleet(settings=settings).campaign("voiso/3").import_leads([{"phone_number": "+12125550101"}])
    comes(lanes, "a")
    comes(lanes, "b")
    leaves(lanes, "a")
    leaves(lanes, "b")
    assert not rests_after_a_restart(lanes)


@pytest.mark.parametrize("back", [False, True], ids=["another works", "one has come since"])
def test_where_a_worker_lives_all_rests(lanes: Lanes, settings: Settings, back: bool) -> None:
    Fleet(settings=settings).campaign("voiso/3").import_leads([{"phone_number": "+12125550101"}])
    comes(lanes, "a")
    if not back:
        comes(lanes, "b")
    leaves(lanes, "a")
    if back:
        comes(lanes, "c")
    assert rests_after_a_restart(lanes)


def test_where_a_turn_was_left_behind_all_rests(lanes: Lanes, settings: Settings) -> None:
    Fleet(settings=settings).campaign("voiso/3").import_leads([{"phone_number": "+12125550101"}])
    comes(lanes, "a")
    (call,) = lanes.dispatch().calls
    lanes.enter(call.ticket, "t", number=1, lease_ms=9000, turn_ms=9000, lost_ms=9000, gap_ms=0, room=1)
    leaves(lanes, "a")
    assert rests_after_a_restart(lanes)


def test_the_marker_is_good_for_one_restart(lanes: Lanes, settings: Settings) -> None:
    Fleet(settings=settings).campaign("voiso/3").import_leads([{"phone_number": "+12125550101"}])
    comes(lanes, "a")
    leaves(lanes, "a")
    assert not rests_after_a_restart(lanes)
    assert int(lanes._run("boot", "a third one")) > 0
