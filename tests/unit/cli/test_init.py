"""`leadlane init` writes a file that loads, and never a key."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from leadlane.ops.main import app
from leadlane.schemas.settings import load_settings
from leadlane.schemas.settings_schema import PROVIDERS

GIVEN = {"--provider": "voiso", "--base-url": "emea", "--key-env": "VOISO_EMEA_KEY"}


def init(*more: str, **instead: str) -> Result:
    given = GIVEN | {f"--{name.replace('_', '-')}": value for name, value in instead.items()}
    return CliRunner().invoke(app, ["init", *[part for pair in given.items() for part in pair], *more])


def test_what_it_writes_loads_as_it_was_asked_for() -> None:
    assert init(account="voiso-emea", redis_url="rediss://cache:6380/2").exit_code == 0
    settings = load_settings(environ={})
    account = settings.accounts["voiso-emea"]
    assert (account.provider, account.base_url) == ("voiso", "https://emea.voiso.com")
    assert account.api_key == "env:VOISO_EMEA_KEY"
    assert settings.redis_url == "rediss://cache:6380/2"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_line_that_is_commented_out_is_a_setting_that_would_be_taken(provider: str) -> None:
    assert init(provider=provider, base_url="https://dialer.example").exit_code == 0
    text = Path("leadlane.toml").read_text()
    lines = [
        line.removeprefix("# ") if " = " in line and "..." not in line else line for line in text.splitlines()
    ]
    Path("secret").write_text("s")
    whole = "\n".join(lines).replace("file:/run/secrets/redis_password", "file:secret")
    Path("leadlane.toml").write_text(whole)
    settings = load_settings(environ={})
    assert settings.accounts[provider].default_region == "DE"
    assert settings.redis_url == "redis://:s@localhost:6379/0"


def test_a_file_that_is_there_is_kept_unless_it_is_forced() -> None:
    Path("leadlane.toml").write_text("# mine\n")
    refused = init()
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert Path("leadlane.toml").read_text() == "# mine\n"
    assert init("--force").exit_code == 0
    assert "voiso" in load_settings(environ={}).accounts


@pytest.mark.parametrize("key", ["sk_live_4f9a8b7c6d", "4F9A8B7C", "Bearer ABC", "a-b-c", ""])
def test_what_may_be_a_key_is_neither_written_nor_said(key: str) -> None:
    refused = init(key_env=key)
    assert refused.exit_code == 2
    assert not Path("leadlane.toml").exists()
    assert not key or key not in refused.output + refused.stderr


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("provider", "voisso", "did you mean 'voiso'?"),
        ("base_url", "emea.voiso.com/api?key=1", "accounts.voiso.base_url"),
        ("account", "Voiso EMEA", "is not an account name"),
        ("redis_url", "redis://:secret@cache/0", "--redis-password"),
        ("redis_url", "http://cache", "redis_url: is not a Redis URL"),
        ("redis_password", "secret", "--redis-password: says where"),
    ],
)
def test_a_wrong_answer_is_one_line_and_nothing_is_written(option: str, value: str, said: str) -> None:
    refused = init(**{option: value})
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert "secret" not in refused.stderr
    assert list(Path().iterdir()) == []


def test_without_a_terminal_what_is_missing_is_named() -> None:
    refused = CliRunner().invoke(app, ["init", "--provider", "voiso"])
    assert refused.exit_code == 2
    assert "--base-url is missing" in refused.stderr


def test_on_a_terminal_it_asks_three_questions(tmp_path: Path) -> None:
    here, there = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "leadlane.ops.main", "init"],
        stdin=there,
        stdout=there,
        stderr=there,
        cwd=tmp_path,
    ) as asking:
        os.close(there)
        os.write(here, b"\nemea\nMY_KEY\n")
        said = b""
        try:
            while piece := os.read(here, 4096):
                said += piece
        except OSError:
            pass  # its end of the terminal is closed
        assert asking.wait(30) == 0
    os.close(here)
    assert (
        said.count(b"?") + said.count(b"address [") + said.count(b"address:") + said.count(b"holds the key")
        >= 3
    )
    (account,) = load_settings(tmp_path / "leadlane.toml", {}).accounts.values()
    assert (account.base_url, account.api_key) == ("https://emea.voiso.com", "env:MY_KEY")
