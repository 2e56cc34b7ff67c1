"""Lanes as people look at them, on the real scripts."""

from dataclasses import replace

import pytest

from leadlane import Fleet
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.blocking import OPT_OUTS
from leadlane.workers.connection import connect
from leadlane.workers.lane_view import LaneView, lanes_with_work, living_workers
from leadlane.workers.lanes import Lanes
from leadlane.workers.optouts import suppress

LANE = "leads/voiso/dialer.example/3"


@pytest.fixture
def settings(redis_url: str) -> Settings:
    account = "LEADLANE_ACCOUNTS__VOISO__"
    given = {"PROVIDER": "voiso", "BASE_URL": "https://dialer.example", "API_KEY": "env:NONE"}
    return load_settings(
        environ={"LEADLANE_REDIS_URL": redis_url}
        | {f"{account}{name}": value for name, value in given.items()}
    )


@pytest.fixture
def lanes(settings: Settings) -> Lanes:
    return Lanes(connect(settings), settings.key_prefix)


def fill(settings: Settings, campaign: str = "voiso/3", batches: int = 1) -> None:
    for _ in range(batches):
        Fleet(settings=settings).campaign(campaign).import_leads([{"phone_number": "+12125550101"}])


def only(lanes: Lanes) -> LaneView:
    (view,) = lanes_with_work(lanes)
    return view


def called(lanes: Lanes) -> str:
    """A worker has come to life and the head of the one lane is called; its ticket."""
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    (call,) = lanes.dispatch().calls
    return call.ticket


def enter(lanes: Lanes, ticket: str) -> None:
    entry = lanes.enter(ticket, "tok", number=1, lease_ms=9000, turn_ms=9000, lost_ms=9000, gap_ms=0, room=1)
    assert entry.verdict == "granted"


def test_a_lane_that_waits_for_opt_outs_says_so(lanes: Lanes, settings: Settings) -> None:
    fill(settings)
    opt_out = suppress("all", ["12125550101"], source="job")
    lanes.submit(opt_out, may_call=False)
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    assert [call.ticket for call in lanes.dispatch().calls] == [opt_out.id]
    [view] = [view for view in lanes_with_work(lanes) if view.lane == LANE]
    assert (view.state, view.reason) == ("free", OPT_OUTS)
    lanes.cancel(opt_out.id)
    assert only(lanes).reason == ""


def test_no_work_is_no_lane(lanes: Lanes) -> None:
    assert lanes_with_work(lanes) == []
    assert living_workers(lanes) == 0


def test_a_lane_goes_from_free_over_called_to_its_turn(lanes: Lanes, settings: Settings) -> None:
    fill(settings, batches=2)
    waits = only(lanes)
    assert (waits.campaign, waits.provider, waits.lane) == ("voiso/3", "voiso", LANE)
    assert (waits.state, waits.waiting, waits.aboard, waits.next_s, waits.reason) == ("free", 2, 0, 0.0, "")

    ticket = called(lanes)
    assert (only(lanes).state, only(lanes).waiting) == ("called", 2)
    assert living_workers(lanes) == 1

    enter(lanes, ticket)
    turn = only(lanes)
    assert (turn.state, turn.waiting, turn.aboard) == ("in a turn", 1, 1)
    assert turn.next_s


def test_a_held_lane_is_found_though_it_is_not_due(lanes: Lanes, settings: Settings) -> None:
    fill(settings)
    lanes.hold("lane", LANE, "wait for legal")
    view = only(lanes)
    assert (view.state, view.next_s, view.reason) == ("on hold", None, "the lane is on hold: wait for legal")
    lanes.hold("lane", LANE, "")
    assert only(lanes).state == "free"


def test_a_held_account_or_operation_says_why(lanes: Lanes, settings: Settings) -> None:
    fill(settings)
    lanes.hold("account", "voiso", "401")
    assert only(lanes).reason == "account voiso is on hold: 401"
    lanes.hold("account", "voiso", "")
    lanes.hold("operation", "voiso", "403", "import")
    assert only(lanes).reason == "operation import of account voiso is on hold: 403"
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    assert lanes.dispatch().calls == ()  # now the lane is in the set of held ones
    assert (only(lanes).state, only(lanes).waiting) == ("on hold", 1)


def test_the_lane_whose_turn_is_next_comes_first_and_holds_last(lanes: Lanes, settings: Settings) -> None:
    for campaign in ("voiso/1", "voiso/2", "voiso/3"):
        fill(settings, campaign)
    lanes.hold("lane", LANE.replace("/3", "/1"), "later")
    lanes.client.hset(lanes.key("lane", LANE.replace("/3", "/2")), "next", 2**42)
    assert [view.campaign for view in lanes_with_work(lanes)] == ["voiso/3", "voiso/2", "voiso/1"]


def test_a_lane_of_another_prefix_is_not_ours(lanes: Lanes, settings: Settings) -> None:
    fill(replace(settings, key_prefix="other"))
    assert lanes_with_work(lanes) == []
