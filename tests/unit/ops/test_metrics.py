"""What Prometheus gets, on a fake Redis: names, labels, and that it never waits for Redis."""

from collections.abc import Mapping

import pytest
import redis
from prometheus_client import CollectorRegistry

from leadlane.ops.metrics import FleetMetrics
from tests.unit.workers.lane_kit import LANE, Kit, move

STATES = ("held", "operation_held", "cooling", "breaker_open", "probing", "full")
NUMBER = "+12125550101"
CALL = {"n": 1, "op": "import", "size": 2, "began": 300, "ended": 100, "answer": "200", "wall": 0}


class Scrape:
    """One fleet and its metrics in a registry of their own."""

    def __init__(self) -> None:
        self.kit = Kit()
        self.kit.client.sadd("P:names", "acme")
        self.kit.client.hset("P:acct:acme", "rate", "10/s")
        self.metrics = FleetMetrics(self.kit.lanes)
        self.registry = CollectorRegistry()
        self.registry.register(self.metrics)

    def get(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"leadlane_{name}", labels)

    def account(self) -> Mapping[str, float | None]:
        self.metrics.refresh()
        names = STATES
        return {name: self.get("account_state", account="acme", state=name) for name in names}


@pytest.fixture
def fleet() -> Scrape:
    return Scrape()


def test_a_scrape_before_the_first_look_says_that_nothing_is_known(fleet: Scrape) -> None:
    assert fleet.get("up") == 0
    assert fleet.get("workers") is None


def test_work_and_those_who_do_it_are_counted(fleet: Scrape) -> None:
    fleet.kit.submit("t1", n=3)
    fleet.kit.submit("t2", n=4, lane="leads/voiso/x/2", may_call=False)
    fleet.metrics.refresh()
    assert (fleet.get("up"), fleet.get("workers"), fleet.get("slots", queue="turns")) == (1, 1, 10)
    assert fleet.get("waiting_leads", account="acme") == 7
    assert fleet.get("lane_waiting_leads", campaign="acme/1", kind="leads") == 3
    assert fleet.get("lane_waiting_batches", campaign="acme/2", kind="leads") == 1
    assert fleet.get("due_lanes", account="acme", group="leads") == 1
    assert (fleet.get("dead_tickets"), fleet.get("uncertain_tickets"), fleet.get("quiet")) == (0, 0, 0)


def test_states_of_an_account_are_seen_and_clear_and_their_changes_are_counted(fleet: Scrape) -> None:
    assert set(fleet.account().values()) == {0}
    fleet.kit.lanes.hold("account", "acme", "401")
    fleet.kit.lanes.hold("operation", "acme", "403", "update")
    assert fleet.account() | {"held": 0, "operation_held": 0} == dict.fromkeys(fleet.account(), 0)
    assert (fleet.account()["held"], fleet.account()["operation_held"]) == (1, 1)
    fleet.kit.lanes.hold("account", "acme", "")
    fleet.kit.lanes.hold("operation", "acme", "", "update")
    assert set(fleet.account().values()) == {0}
    for how in ("begins", "ends"):
        assert fleet.get("transitions_total", account="acme", state="account", how=how) == 1


def test_the_breaker_is_open_until_the_probe_has_succeeded(fleet: Scrape) -> None:
    fleet.kit.client.hset(
        "P:acct:acme", mapping={"trips": 1, "cool": 2**42, "cool_why": "failed", "probe": "due"}
    )
    assert fleet.account() == dict.fromkeys(STATES, 0) | {"breaker_open": 1}
    fleet.kit.client.hset("P:acct:acme", "cool", 0)
    assert fleet.account() == dict.fromkeys(STATES, 0) | {"breaker_open": 1, "probing": 1}
    fleet.kit.submit("t1")
    fleet.kit.granted("t1")
    fleet.kit.leave(move("t1"))
    assert set(fleet.account().values()) == {0}


def test_a_lane_on_hold_is_told_by_its_campaign(fleet: Scrape) -> None:
    fleet.kit.submit("t1", may_call=False)
    fleet.kit.lanes.hold("lane", LANE, f"{NUMBER} has complained")
    fleet.metrics.refresh()
    assert (fleet.get("held_lanes"), fleet.get("lane_held", campaign="acme/1", kind="leads")) == (1, 1)
    fleet.kit.lanes.hold("lane", LANE, "")
    fleet.metrics.refresh()
    assert (fleet.get("held_lanes"), fleet.get("lane_held", campaign="acme/1", kind="leads")) == (0, 0)


def test_no_label_has_a_number_or_a_reason(fleet: Scrape) -> None:
    fleet.kit.submit("t1", may_call=False)
    fleet.kit.lanes.hold("lane", LANE, f"{NUMBER} has complained")
    fleet.kit.lanes.hold("account", "acme", f"401: {NUMBER}")
    fleet.metrics.refresh()
    said = [sample for family in fleet.registry.collect() for sample in family.samples]
    assert said
    assert not any(NUMBER[1:] in value for sample in said for value in sample.labels.values())


def test_calls_are_counted_from_the_first_look_on_and_never_back(fleet: Scrape) -> None:
    def call(token: str, **more: object) -> None:
        told = {"lane": LANE, "acct": "acme", "token": token, "worker": "w", "call": CALL | more}
        fleet.kit.lanes.note(told)
        fleet.metrics.refresh()

    call("before")
    assert fleet.get("calls_total", account="acme", operation="import", answer="2xx") is None
    for i, answer in enumerate(("200", "201", "429", "503", "none")):
        call(f"t{i}", answer=answer)
    found = {
        name: fleet.get("calls_total", account="acme", operation="import", answer=name)
        for name in ("2xx", "429")
    }
    assert found == {"2xx": 2, "429": 1}
    assert fleet.get("called_leads_total", account="acme", operation="import") == 4


def test_redis_away_leaves_nothing_but_that_it_is_away(
    fleet: Scrape, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet.metrics.refresh()

    def away(*_: object, **__: object) -> None:
        fleet.metrics.stop()
        raise redis.ConnectionError

    monkeypatch.setattr(fleet.metrics, "refresh", away)
    fleet.metrics.start()
    fleet.metrics._thread.join(20)
    assert [sample.name for family in fleet.registry.collect() for sample in family.samples] == [
        "leadlane_up"
    ]
    assert fleet.get("up") == 0
