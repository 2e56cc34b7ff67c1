"""One key hides the numbers of a fleet; workers that have another do not start."""

from pathlib import Path

import fakeredis
import pytest

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.settings import Settings
from leadlane.workers.hiding import SIZE, Hider, hash_key
from leadlane.workers.lanes import Lanes

NUMBER = "12125550001"


@pytest.fixture
def lanes() -> Lanes:
    return Lanes(fakeredis.FakeRedis(), "leadlane")


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LEADLANE_HASH_KEY", raising=False)


def test_a_number_is_hidden_alike_by_one_key_and_otherwise_by_another() -> None:
    hider = Hider(b"key")
    assert hider.hidden(NUMBER) == hider.hidden(NUMBER) == Hider(b"key").hidden(NUMBER)
    assert len({hider.hidden(NUMBER), hider.hidden("12125550002"), Hider(b"other").hidden(NUMBER)}) == 3
    assert len(hider.hidden(NUMBER)) == SIZE
    assert NUMBER.encode() not in hider.hidden(NUMBER)


def test_many_are_hidden_as_each_is() -> None:
    hider, numbers = Hider(b"key"), [NUMBER, "4917", "9" * 32, ""]
    assert hider.all_hidden(numbers) == b"".join(map(hider.hidden, numbers))
    assert hider.all_hidden([]) == b""


@pytest.mark.parametrize("text", ["+12125550001", "1 2", "1" * 33, "zebra"])
def test_what_is_no_number_in_digits_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ValueError, match=r"in digits|non-hexadecimal") as refused:
        Hider(b"key").all_hidden([NUMBER, text, NUMBER])
    assert text not in str(refused.value)


def test_the_key_that_is_given_is_the_one(
    lanes: Lanes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LEADLANE_HASH_KEY", "given")
    assert hash_key(Settings(), lanes) == b"given"
    (tmp_path / "key").write_text("given\n")
    assert hash_key(Settings(hash_key_ref=f"file:{tmp_path}/key"), lanes) == b"given"
    assert not any(b"given" in lanes.client.get(name) for name in lanes.client.scan_iter())


def test_where_none_is_given_the_first_worker_makes_one_for_all(lanes: Lanes) -> None:
    made = hash_key(Settings(), lanes)
    assert len(made) >= 32
    assert hash_key(Settings(), lanes) == made
    assert hash_key(Settings(), Lanes(fakeredis.FakeRedis(), "leadlane")) != made


def test_a_worker_with_another_key_is_refused(lanes: Lanes, monkeypatch: pytest.MonkeyPatch) -> None:
    hash_key(Settings(), lanes)
    monkeypatch.setenv("LEADLANE_HASH_KEY", "another-secret")
    with pytest.raises(SettingsError, match=r"hash_key_ref: is another key .*; give every worker") as refused:
        hash_key(Settings(), lanes)
    assert "another-secret" not in str(refused.value)


def test_a_reference_of_ones_own_must_lead_somewhere(lanes: Lanes) -> None:
    with pytest.raises(SettingsError, match="hash_key_ref: the variable NO_SUCH_KEY is not set"):
        hash_key(Settings(hash_key_ref="env:NO_SUCH_KEY"), lanes)
    assert lanes.client.keys() == []
