"""The doctor finds what is wrong, names the remedy, and shows no secret."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from redis import Redis
from typer.testing import CliRunner

from leadlane.ops.doctor import Check, examine, exit_code
from leadlane.ops.embedded import EmbeddedRedis, free_port
from leadlane.ops.main import app
from leadlane.schemas.settings import load_settings
from leadlane.workers.accounts import publish_facts
from leadlane.workers.lanes import Lanes
from leadlane.workers.transport import Transport

SECRET = "s3cret-of-a-dialer"
FIT = {"appendonly": "yes", "maxmemory-policy": "noeviction", "maxmemory": "0"}


@pytest.fixture
def redis(redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator["Redis"]:
    """A server, named by the settings; as it should be again after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", redis_server.url)
    with Redis.from_url(redis_server.url) as client:
        yield client
        for name, value in FIT.items():
            client.config_set(name, value)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> str:
    return configured(monkeypatch)


def configured(monkeypatch: pytest.MonkeyPatch, provider: str = "voiso") -> str:
    given = {"PROVIDER": provider, "BASE_URL": "https://dialer.example", "API_KEY": "env:DIALER_KEY"}
    for name, value in given.items():
        monkeypatch.setenv(f"LEADLANE_ACCOUNTS__MINE__{name}", value)
    monkeypatch.setenv("DIALER_KEY", SECRET)
    monkeypatch.setenv("LEADLANE_HASH_KEY", "h")
    return "mine"


def dialer(status: int) -> Transport:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        assert request.method == "GET"
        return httpx.Response(status, json={"error": f"bad key {SECRET}"})

    return Transport(transport=httpx.MockTransport(answer))


def found(checks: list[Check], what: str) -> Check:
    (check,) = [check for check in checks if check.check == what]
    return check


def examined(**given: Any) -> list[Check]:
    checks = list(examine(**given))
    assert SECRET not in repr(checks)
    assert all(check.remedy for check in checks if check.level in ("finding", "unreachable"))
    return checks


def lives(redis: Redis) -> Lanes:
    lanes = Lanes(redis, "leadlane")
    lanes.alive("w", for_ms=60_000, slots={"turns": 4, "control": 1})
    publish_facts(lanes, load_settings())
    return lanes


def test_a_server_as_it_should_be_is_no_finding(redis: Redis) -> None:
    checks = examined()
    assert found(checks, "redis: keeping").level == "ok"
    assert found(checks, "redis: memory").level == "ok"
    assert found(checks, "redis: clock").level == "ok"
    assert found(checks, "workers").remedy == "start one: leadlane worker"
    assert exit_code(checks) == 1


@pytest.mark.parametrize(
    ("setting", "value", "what", "remedy"),
    [
        ("appendonly", "no", "redis: persistence", "set appendonly yes"),
        ("maxmemory-policy", "allkeys-lru", "redis: eviction", "set maxmemory-policy noeviction"),
        ("maxmemory", "1100000", "redis: memory", "give it more"),
    ],
)
def test_a_server_that_would_lose_leads_is_found(
    redis: Redis, setting: str, value: str, what: str, remedy: str
) -> None:
    redis.config_set(setting, value)
    check = found(examined(), what)
    assert check.level == "finding"
    assert remedy in check.remedy


def test_a_server_that_is_away_ends_with_3_and_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLANE_REDIS_URL", f"redis://:{SECRET}@127.0.0.1:{free_port()}/0")
    ended = CliRunner().invoke(app, ["doctor", "--json"])
    assert ended.exit_code == 3
    assert SECRET not in ended.output
    told = json.loads(ended.stdout)
    assert told["ok"] is False
    assert [check["level"] for check in told["checks"] if check["check"] == "redis"] == ["unreachable"]


def test_a_wrong_setting_is_a_finding_with_its_remedy(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLANE_LEASE_S", "soon")
    (check,) = examined()
    assert (check.check, check.level) == ("settings", "finding")
    assert "lease_s" in check.found
    ended = CliRunner().invoke(app, ["doctor"])
    assert ended.exit_code == 1
    assert "lease_s" in ended.stdout


@pytest.mark.parametrize(
    ("status", "level"),
    [(200, "ok"), (401, "finding"), (403, "finding"), (429, "note"), (503, "note"), (418, "finding")],
)
def test_a_key_is_tried_with_one_harmless_get(redis: Redis, account: str, status: int, level: str) -> None:
    assert found(examined(transport=dialer(status)), "key of mine").level == level


def test_where_only_a_campaign_can_be_looked_at_its_absence_proves_the_key(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch, "dialnexa")
    assert found(examined(transport=dialer(404)), "key of mine").level == "ok"
    assert found(examined(transport=dialer(401)), "key of mine").level == "finding"


@pytest.mark.parametrize("provider", ["voicery", "voiceaiwrapper"])
def test_where_no_harmless_get_is_documented_it_says_so_and_asks_nothing(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    configured(monkeypatch, provider)
    check = found(examined(transport=dialer(401)), "key of mine")
    assert check.level == "note"
    assert "documents no call that only reads" in check.found


def test_a_dialer_that_is_away_and_a_key_that_is_not_there_are_told_apart(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(monkeypatch)
    monkeypatch.setenv("LEADLANE_ACCOUNTS__MINE__BASE_URL", f"http://127.0.0.1:{free_port()}")
    checks = examined()
    assert found(checks, "key of mine").level == "unreachable"
    assert exit_code(checks) == 3
    assert [check for check in examined(calls=False) if check.check == "key of mine"] == []
    monkeypatch.delenv("DIALER_KEY")
    missing = found(examined(), "key of mine")
    assert missing.level == "finding"
    assert "DIALER_KEY" in missing.found


def test_what_is_on_hold_is_found_with_the_command_that_releases_it(redis: Redis, account: str) -> None:
    lanes = lives(redis)
    lanes.hold("account", "mine", "401")
    lanes.hold("lane", "leads/voiso/dialer.example/3", "by an operator")
    checks = examined(calls=False)
    assert "leadlane account release mine" in found(checks, "account mine").remedy
    assert found(checks, "lanes").level == "note"


def test_an_account_that_no_living_worker_has_is_found(
    redis: Redis, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives(redis)
    for name, value in {
        "PROVIDER": "voiso",
        "BASE_URL": "https://x.example",
        "API_KEY": "env:DIALER_KEY",
    }.items():
        monkeypatch.setenv(f"LEADLANE_ACCOUNTS__NEW__{name}", value)
    assert found(examined(calls=False), "accounts").found == "no worker has published new"


def test_messages_that_wait_for_nobody_are_found(redis: Redis) -> None:
    redis.rpush("intake", "a", "b")
    check = found(examined(), "queue intake")
    assert (check.level, check.found) == ("finding", "nobody reads it, 2 messages wait")
