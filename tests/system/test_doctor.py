"""The doctor beside a living fleet."""

import json
from typing import Any

from tests.system.conftest import Town, until


def told(town: Town, code: int) -> dict[str, Any]:
    ended = town.run("doctor", "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    checks: list[dict[str, Any]] = json.loads(ended.stdout)["checks"]
    return {check["check"]: check for check in checks}


def test_a_fleet_that_is_well_is_said_to_be_and_what_is_missing_is_named(town: Town) -> None:
    town.env["LEADLANE_HASH_KEY"] = "one of the fleet's own"
    town.worker("w1", 4, ["turns", "intake"])
    checks = told(town, 1)
    assert checks["queue control"]["found"] == "nobody reads it, 0 messages wait"
    assert checks["queue turns"]["level"] == "ok"
    assert checks["workers"]["remedy"] == "start one: leadlane worker --control"

    town.worker("w2", 4)
    assert {check["level"] for check in told(town, 0).values()} == {"ok"}

    asked = [r for r in town.sandbox.audit() if r["operation"] == "list_campaigns"]
    assert len(asked) == 2


def test_a_wrong_key_is_named_and_not_shown(town: Town) -> None:
    town.env["SANDBOX_KEY"] = "wrong-but-secret"
    ended = town.run("doctor")
    assert ended.returncode == 1
    assert "put the right one where accounts.voiso.api_key says" in ended.stdout
    assert "wrong-but-secret" not in ended.stdout + ended.stderr


def test_a_workers_pulse_is_a_file_that_stays_young_while_it_consumes(town: Town) -> None:
    file = town.folder / "pulse"
    town.worker("w1", 4, None, "--heartbeat", str(file))
    until(file.exists)
    first = file.stat().st_mtime_ns
    until(lambda: file.stat().st_mtime_ns > first)
