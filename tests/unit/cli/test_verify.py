"""How far `leadlane verify` looks back, and what it says of a Redis that is not there."""

import pytest
from typer.testing import CliRunner

from leadlane.cli.verify import seconds
from leadlane.ops.main import app
from leadlane.schemas.errors import WrongUse


@pytest.mark.parametrize(("text", "wanted"), [("90s", 90), ("15m", 900), ("1h", 3600), (" 2d ", 172_800)])
def test_a_time_is_a_number_and_a_unit(text: str, wanted: float) -> None:
    assert seconds(text) == wanted


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "0s", "1.5h", "1w", "now"])
def test_what_is_no_time_is_told_with_what_would_be_one(text: str) -> None:
    with pytest.raises(WrongUse, match="--since: not a time; write 90s, 15m, 1h or 2d"):
        seconds(text)


def test_a_redis_that_is_not_there_is_exit_code_three(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEADLANE_REDIS_URL", "redis://127.0.0.1:1/0")
    ended = CliRunner().invoke(app, ["verify"])
    assert ended.exit_code == 3
    assert ended.stdout == ""
