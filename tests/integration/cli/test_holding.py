"""Holding and releasing lanes and accounts from the command line, on the real scripts."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane import Fleet
from leadlane.ops.main import app
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.accounts import publish_facts, take_up
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes

LANE = "leads/voiso/dialer.example/3"


@pytest.fixture
def lanes(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lanes:
    """The lanes of a fleet with one account, of which a worker has told."""
    account = "LEADLANE_ACCOUNTS__VOISO__"
    given = {"PROVIDER": "voiso", "BASE_URL": "https://dialer.example", "API_KEY": "env:NONE", "RATE": "10/s"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", redis_url)
    for name, value in given.items():
        monkeypatch.setenv(f"{account}{name}", value)
    lanes = Lanes(connect(Settings(redis_url=redis_url)), "leadlane")
    publish_facts(lanes, load_settings())
    return lanes


def fill(priority: Any = "normal") -> None:
    Fleet().campaign("voiso/3").import_leads([{"phone_number": "+12125550101"}], priority=priority)


def ran(*words: str, code: int = 0) -> str:
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == code, ended.output
    return ended.stdout


def told(*words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran(*words, "--json"))
    return found


def test_a_lane_is_held_with_a_reason_and_goes_on_when_released(lanes: Lanes) -> None:
    fill()
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    said = ran("lane", "hold", "voiso/03", "--reason", "wait for legal")
    assert "leadlane lane release voiso/3" in said
    assert lanes.dispatch().calls == ()

    (held,) = told("lane", "list")["lanes"]
    assert (held["campaign"], held["kind"], held["state"]) == ("voiso/3", "leads", "on hold")
    assert held["reason"] == "the lane is on hold: wait for legal"

    assert told("lane", "release", "voiso/3")["changed"] is True
    assert len(lanes.dispatch().calls) == 1
    assert "was not on hold" in ran("lane", "release", "voiso/3")
    ran("lane", "hold", "voiso/3", "--reason", "again")
    assert "it was on hold: again" in ran("lane", "release", "voiso/3")


def test_a_lane_can_be_held_before_it_has_work_and_is_listed_though_it_has_none(lanes: Lanes) -> None:
    ran("lane", "hold", "voiso/3")
    (held,) = told("lane", "list")["lanes"]
    assert (held["campaign"], held["waiting"]) == ("voiso/3", 0)
    fill()
    assert told("lane", "list")["lanes"][0]["waiting"] == 1
    ran("lane", "release", "voiso/3")
    assert told("lane", "list")["lanes"][0]["state"] == "free"


def test_the_lane_of_a_campaigns_state_is_held_apart_from_that_of_its_leads(lanes: Lanes) -> None:
    ran("lane", "hold", "voiso/3", "--kind", "state")
    assert told("lane", "show", "voiso/3")["state"] == "free"
    assert told("lane", "show", "voiso/3", "--kind", "state")["state"] == "on hold"
    ran("lane", "hold", "voiso/3", "--kind", "status", code=2)


def test_what_waits_is_shown_by_class_and_who_was_called(lanes: Lanes) -> None:
    fill("bulk")
    fill("urgent")
    fill("bulk")
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    (call,) = lanes.dispatch().calls
    shown = told("lane", "show", "voiso/3")
    assert (shown["state"], shown["waiting"]) == ("called", 3)
    assert (shown["holder"]["ticket"], shown["holder"]["operation"]) == (call.ticket, "import")
    assert [(g["where"], g["priority"], g["batches"], g["leads"]) for g in shown["batches"]] == [
        ("waiting", "urgent", 1, 1),
        ("waiting", "bulk", 2, 2),
    ]
    lanes.enter(call.ticket, "t", number=1, lease_ms=9000, turn_ms=9000, lost_ms=9000, gap_ms=0, room=1)
    assert [g["where"] for g in told("lane", "show", "voiso/3")["batches"]] == ["aboard", "waiting"]
    text = ran("lane", "show", "voiso/3")
    assert call.ticket in text
    assert "in a turn" in text


def test_a_held_account_says_why_and_goes_on_when_released(lanes: Lanes) -> None:
    (free,) = told("account", "list")["accounts"]
    assert (free["state"], free["rate"], free["base_url"]) == ("free", "10/s", "https://dialer.example")
    lanes.hold("account", "voiso", "401: wrong key")
    lanes.hold("operation", "voiso", "403: not yours", "update")
    (held,) = told("account", "list")["accounts"]
    assert (held["state"], held["reason"], held["next_s"]) == ("on hold", "401: wrong key", None)
    assert held["held"] == {"update": "403: not yours"}
    assert told("account", "release", "voiso")["released"] == ["account", "update"]
    assert told("account", "list")["accounts"][0]["state"] == "free"
    assert "was not on hold" in ran("account", "release", "voiso")


def test_one_operation_can_be_released_alone(lanes: Lanes) -> None:
    lanes.hold("operation", "voiso", "403", "update")
    lanes.hold("operation", "voiso", "403", "import")
    assert told("account", "release", "voiso", "--operation", "update")["released"] == ["update"]
    assert told("account", "list")["accounts"][0]["held"] == {"import": "403"}
    ran("account", "release", "voiso", "--operation", "imports", code=2)


def test_an_account_is_held_by_an_operator_and_goes_on_when_released(lanes: Lanes) -> None:
    fill()
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    assert "leadlane account release voiso`" in ran(
        "account", "hold", "voiso", "--reason", "contract under review"
    )
    assert lanes.dispatch().calls == ()
    assert told("account", "list")["accounts"][0]["reason"] == "contract under review"
    assert told("account", "hold", "voiso", "--reason", "contract under review")["changed"] is False
    take_up(lanes, load_settings())  # a worker starts
    assert "contract under review" in ran("account", "release", "voiso")
    assert len(lanes.dispatch().calls) == 1


def test_an_operation_of_an_account_is_held_by_an_operator(lanes: Lanes) -> None:
    fill()
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    said = ran("account", "hold", "voiso", "--operation", "import")
    assert "leadlane account release voiso --operation import" in said
    assert lanes.dispatch().calls == ()
    assert told("account", "list")["accounts"][0]["held"] == {"import": "by an operator"}
    ran("account", "hold", "voiso", "--operation", "imports", code=2)
    ran("account", "hold", "voisso", code=2)
    assert told("account", "release", "voiso")["reasons"] == {"import": "by an operator"}
    assert len(lanes.dispatch().calls) == 1


def test_a_cooling_account_says_how_long_and_release_ends_it(lanes: Lanes) -> None:
    lanes.client.hset(lanes.key("acct", "voiso"), mapping={"cool": 2**42, "cool_why": "failed"})
    (cooling,) = told("account", "list")["accounts"]
    assert cooling["state"] == "breaker open"
    assert cooling["next_s"] > 0
    assert told("account", "release", "voiso")["released"] == ["account"]
    assert told("account", "list")["accounts"][0]["state"] == "free"


def test_an_unknown_account_or_campaign_is_refused(lanes: Lanes) -> None:
    ran("account", "release", "voisso", code=2)
    ran("lane", "hold", "voisso/3", code=2)
    ran("lane", "hold", "voiso/three", code=2)
