"""`leadlane providers` prints the records; `update` and `remove` are `import` with another word."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane.cli import imports
from leadlane.ops.main import app
from leadlane.workers.providers import PROVIDERS
from leadlane.workers.providers.contract import AGENT_WORDS, LOOK_WORDS, STATE_WORDS


def shown(runner: CliRunner, *words: str) -> str:
    ended = runner.invoke(app, ["providers", *words])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_each_dialer_and_operation_has_its_row(runner: CliRunner) -> None:
    rows = json.loads(shown(runner, "--json"))["providers"]
    cells = {(row["provider"], row["operation"]): row for row in rows}
    assert cells.keys() == {
        (name, operation)
        for name in PROVIDERS
        for operation in ("import", "update", "remove", *STATE_WORDS, *AGENT_WORDS, *LOOK_WORDS)
    }
    for (name, operation), row in cells.items():
        assert row["supported"] == (operation in PROVIDERS[name].supported)
        if row["supported"] and operation not in PROVIDERS[name].operations:
            calls = PROVIDERS[name].calls[operation]
            assert row["calls"] == [{"method": call.method, "path": call.path} for call in calls]
            assert row["source"].startswith("https://")
        elif row["supported"]:
            record = PROVIDERS[name].operations[operation]
            assert (row["method"], row["path"]) == (record.method, record.path)
            assert row["leads_per_call"] == record.leads_per_call
            assert row["source"].startswith("https://")


def test_what_may_be_sent_again_after_silence_is_told(runner: CliRunner) -> None:
    rows = json.loads(shown(runner, "--json"))["providers"]
    told = {(row["provider"], row["operation"]): row.get("resent_after_silence") for row in rows}
    assert told[("dialnexa", "import")] == told[("voiceaiwrapper", "import")] == "no"
    assert told[("voicery", "import")] == "by lead"
    assert told[("voiso", "import")] == told[("dialnexa", "remove")] == "yes"


def test_people_get_a_table_with_a_dash_for_what_a_dialer_cannot(runner: CliRunner) -> None:
    lines = shown(runner).splitlines()
    assert lines[0].split()[:3] == ["dialer", "operation", "call"]
    assert any(line.split() == ["voicery", "update", *"-------"] for line in lines)
    assert any(line.split() == ["dialnexa", "sync_agents", *"-------"] for line in lines)
    assert any("POST /api/v4/campaigns/{campaign}/users, DELETE" in line for line in lines)
    assert any("POST /v1/campaigns-leads " in line and "dialnexa" in line for line in lines)


@pytest.mark.parametrize("operation", ["update", "remove"])
def test_update_and_remove_bring_a_file_as_import_does(
    operation: str, runner: CliRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    brought: list[Any] = []
    monkeypatch.setattr(imports, "_bring", lambda *words, **options: brought.append((words, options)))
    file = str(tmp_path / "leads.csv")
    words = [operation, file, "-c", "acct/3", "--priority", "bulk", "--idempotency-key", "k", "--json"]
    assert runner.invoke(app, words).exit_code == 0
    options = {"wait": False, "json": True, "priority": "bulk", "idempotency_key": "k"}
    assert brought == [((operation, file, "acct/3"), options)]
