"""What a user can do wrong is one line on stderr and an exit code."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import redis
import typer
from typer.testing import CliRunner

from leadlane.cli import bringing
from leadlane.cli.stopping import Stopped
from leadlane.cli.watching import Lines
from leadlane.ops.main import app
from leadlane.schemas.errors import ImportInterrupted, UnknownJob, WrongUse
from leadlane.schemas.settings import load_settings


def run(runner: CliRunner, *words: str, **options: Any) -> tuple[int, str, str]:
    ended = runner.invoke(app, words, **options)
    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    return ended.exit_code, ended.stdout, ended.stderr


def leads_file() -> str:
    Path("leads.csv").write_text("phone\n+12125550101\n")
    return "leads.csv"


@pytest.mark.parametrize(
    "words",
    [
        ["import"],
        ["import", "leads.csv"],
        ["import", "leads.csv", "--campaign", "voiso/3", "--priority", "now"],
        ["import", "leads.csv", "-c", "voiso/3", "--wat"],
        ["imprt"],
        ["job"],
        ["job", "show"],
        ["worker", "--concurrency", "many"],
    ],
)
def test_a_wrong_command_line_is_code_2(runner: CliRunner, words: list[str]) -> None:
    code, out, err = run(runner, *words)
    assert code == 2
    assert "Traceback" not in out + err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["import", "none.csv", "-c", "voiso/3"], "none.csv: there is no such file"),
        (["import", "leads.csv", "-c", "voiso"], "campaign 'voiso': names no account"),
        (["job", "report", "x", "--only", "creatd"], "did you mean 'created'?"),
        (["job", "report", "x", "--json", "--csv", "-"], "give one of them"),
        (["worker", "--control", "--queues", "turns"], "give one of them"),
        (["worker", "--loglevel", "loud"], "--loglevel: 'loud' is none"),
        (["beat", "--loglevel", "inf"], "did you mean 'INFO'?"),
        (["sandbox", "--port", "0", "--rate", "fast"], "sandbox: rate"),
        (["sandbox", "--port", "0", "--audit", "no/such/file"], "no/such/file: cannot be written"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(runner: CliRunner, words: list[str], said: str) -> None:
    leads_file()
    code, out, err = run(runner, *words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_wrong_setting_is_one_line_and_code_2(runner: CliRunner) -> None:
    Path("leadlane.toml").write_text("[accounts.voiso]\nprovider = 'voiso'\n")
    code, _, err = run(runner, "import", leads_file(), "-c", "voiso/3")
    assert code == 2
    assert err.startswith("leadlane: accounts.voiso.")


@pytest.mark.parametrize(
    "words",
    [
        ["import", "leads.csv", "--campaign", "voiso/3"],
        ["import", "leads.csv", "--campaign", "voiso/3", "--wait", "--json"],
        ["job", "list"],
        ["job", "show", "x"],
        ["job", "watch", "x"],
        ["job", "report", "x", "--json"],
        ["job", "cancel", "x"],
        ["lane", "list"],
        ["worker"],
        ["beat"],
        ["flower", "--port", "0"],
    ],
)
def test_a_redis_that_is_down_is_one_line_and_code_3(runner: CliRunner, words: list[str]) -> None:
    leads_file()
    code, out, err = run(runner, *words)
    assert (code, out) == (3, "")
    assert err == "leadlane: Redis: does not answer; is it running, and is the URL right?\n"


def test_a_redis_that_goes_while_a_worker_starts_is_one_line_and_code_3(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise redis.ConnectionError

    account = {"PROVIDER": "voiso", "BASE_URL": "http://127.0.0.1:1", "API_KEY": "env:SOME_KEY"}
    for key, value in account.items():
        monkeypatch.setenv(f"LEADLANE_ACCOUNTS__VOISO__{key}", value)
    monkeypatch.setenv("SOME_KEY", "k")
    monkeypatch.setattr("leadlane.ops.main._reachable", load_settings)
    monkeypatch.setattr("leadlane.workers.hiding.checked_key", gone)
    code, out, err = run(runner, "worker")
    assert (code, out) == (3, "")
    assert err == "leadlane: Redis: does not answer; is it running, and is the URL right?\n"


def test_a_password_is_never_told(runner: CliRunner) -> None:
    code, out, err = run(runner, "lane", "list", env={"LEADLANE_REDIS_URL": "redis://:geheim@127.0.0.1:1/0"})
    assert code == 3
    assert "geheim" not in out + err


def test_ctrl_c_is_one_line(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("leadlane.schemas.settings.load_settings", interrupted)
    assert run(runner, "lane", "list") == (130, "", "leadlane: stopped\n")


def test_an_error_tells_its_notes_in_the_same_line(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> None:
        error = UnknownJob("j1")
        error.add_note("so it is")
        raise error

    monkeypatch.setattr("leadlane.schemas.settings.load_settings", failing)
    _, _, err = run(runner, "lane", "list")
    assert err.endswith("; so it is\n")
    assert err.count("\n") == 1


class Target:
    """A campaign whose import ends with an error after three rows."""

    address = "voiso/3"

    def __init__(self, cause: Exception) -> None:
        self.cause = cause

    def import_leads(self, rows: Iterable[object], **_: object) -> None:
        raise ImportInterrupted("j1", 3) from self.cause


@pytest.mark.parametrize(
    ("cause", "code", "said"),
    [
        (Stopped(), 130, "stopped: job j1 has taken 3 rows"),
        (OSError(5, "Input/output error"), 2, "reading stopped"),
    ],
)
def test_an_import_that_stops_names_its_job_and_how_to_go_on(
    cause: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        bringing.send(Target(cause), [], Lines(), file="leads.csv", json=True)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert ended.value.exit_code == code
    assert said in err
    assert "leadlane job cancel j1" in err
    assert out == '{"job": "j1", "campaign": "voiso/3", "rows_taken": 3, "interrupted": true}\n'


def test_an_error_in_our_own_words_is_told_as_it_is() -> None:
    with pytest.raises(WrongUse, match="no good"):
        bringing.send(Target(WrongUse("no good")), [], Lines(), file="x", json=False)  # type: ignore[arg-type]


def test_the_version_is_told(runner: CliRunner) -> None:
    code, out, _ = run(runner, "--version")
    assert code == 0
    assert out.startswith("leadlane ")
