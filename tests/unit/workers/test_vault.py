"""Payloads at rest: who has the key reads them, who has not waits, and what was changed fails alone."""

from pathlib import Path

import fakeredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas.errors import SettingsError
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.accounts import take_up
from leadlane.workers.lanes import Lanes
from leadlane.workers.payloads import PayloadUnreadableError, unpack
from leadlane.workers.vault import PLAIN, KeyMissingError, Vault
from tests.unit.workers.desk import Desk, FakeDialer, leads

OLD, NEW = b"o" * 32, b"n" * 32
PAYLOAD = b"\x01what was packed"


@pytest.fixture
def desk() -> Desk:
    """At a dialer that takes every lead; its worker has one key."""
    return opened("dialnexa")


def opened(provider: str) -> Desk:
    desk = Desk(FakeDialer(), provider, "3")
    desk.engine.lanes.vault = Vault([OLD])
    return desk


def test_without_keys_payloads_lie_as_they_are() -> None:
    assert PLAIN.sealed("t", PAYLOAD) is PAYLOAD
    assert PLAIN.opened("t", PAYLOAD) is PAYLOAD


@given(payload=st.binary(), ticket=st.text(st.characters(codec="utf-8")))
def test_what_was_sealed_opens_again_and_never_looks_alike(payload: bytes, ticket: str) -> None:
    vault = Vault([OLD])
    first, second = vault.sealed(ticket, payload), vault.sealed(ticket, payload)
    assert vault.opened(ticket, first) == vault.opened(ticket, second) == payload
    assert first != second
    assert len(first) == len(payload) + 33


def test_the_first_key_seals_and_all_of_them_open() -> None:
    before, after = Vault([OLD]), Vault([NEW, OLD])
    assert after.opened("t", before.sealed("t", PAYLOAD)) == PAYLOAD
    with pytest.raises(KeyMissingError):
        before.opened("t", after.sealed("t", PAYLOAD))
    assert Vault([OLD, NEW]).opened("t", after.sealed("t", PAYLOAD)) == PAYLOAD


@given(at=st.integers(0, 32 + len(PAYLOAD)), bit=st.integers(0, 7))
def test_a_changed_bit_is_found(at: int, bit: int) -> None:
    sealed = bytearray(Vault([OLD]).sealed("t", PAYLOAD))
    sealed[at] ^= 1 << bit
    try:
        opened = Vault([OLD]).opened("t", bytes(sealed))
    except (PayloadUnreadableError, KeyMissingError):
        return
    assert at == 0  # no longer said to be sealed: it is no batch of another version either
    with pytest.raises(PayloadUnreadableError):
        unpack(opened)


@pytest.mark.parametrize("length", range(5, 33))
def test_what_is_too_short_is_unreadable(length: int) -> None:
    vault = Vault([OLD])
    with pytest.raises(PayloadUnreadableError):
        vault.opened("t", vault.sealed("t", b"")[:length])


def test_a_payload_moved_to_another_ticket_is_unreadable() -> None:
    vault = Vault([OLD])
    with pytest.raises(PayloadUnreadableError, match="another ticket"):
        vault.opened("b", vault.sealed("a", PAYLOAD))


def test_keys_are_read_where_the_settings_say(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LEADLANE_PAYLOAD_KEY_2", NEW.hex())
    (tmp_path / "old").write_text(OLD.hex() + "\n")
    settings = load_settings(
        environ={
            "LEADLANE_PAYLOAD_KEYS": f"env:LEADLANE_PAYLOAD_KEY_2, file:{tmp_path}/old",
            "LEADLANE_PAYLOAD_KEY_2": NEW.hex(),
        }
    )
    vault = Vault.of(settings)
    assert vault.opened("t", Vault([OLD]).sealed("t", PAYLOAD)) == PAYLOAD
    assert Vault([NEW]).opened("t", vault.sealed("t", PAYLOAD)) == PAYLOAD
    assert NEW.hex() not in repr(settings) + repr(vault)


@pytest.mark.parametrize("wrong", ["too-short", "z" * 64, "ab" * 31])
def test_a_key_that_is_none_is_told_by_its_place_and_not_shown(
    wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEADLANE_PAYLOAD_KEY_1", OLD.hex())
    monkeypatch.setenv("LEADLANE_PAYLOAD_KEY_2", wrong)
    settings = Settings(payload_keys=("env:LEADLANE_PAYLOAD_KEY_1", "env:LEADLANE_PAYLOAD_KEY_2"))
    with pytest.raises(SettingsError, match=r"payload_keys\[1\]: is not a key of 32 bytes in hex") as refused:
        Vault.of(settings)
    assert wrong not in str(refused.value)


def test_a_worker_says_its_keys_and_one_that_lacks_the_fleets_is_refused() -> None:
    lanes = Lanes(fakeredis.FakeRedis(), "leadlane")
    clock = lanes.key("clock")
    Vault([OLD]).take_part(lanes.client, clock)
    Vault([OLD, NEW]).take_part(lanes.client, clock)  # all workers get the new key ...
    Vault([NEW, OLD]).take_part(lanes.client, clock)  # ... before it is the first
    for lacking in (Vault([OLD]), PLAIN):
        with pytest.raises(SettingsError, match="payload_keys: lacks the key"):
            lacking.take_part(lanes.client, clock)
    Vault([NEW]).take_part(lanes.client, clock)


def test_a_producer_seals_as_the_fleet_can_open_it() -> None:
    lanes = Lanes(fakeredis.FakeRedis(), "leadlane")
    clock = lanes.key("clock")
    for vault in (PLAIN, Vault([OLD])):
        vault.check(lanes.client, clock)  # no worker has said anything yet
    PLAIN.take_part(lanes.client, clock)
    PLAIN.check(lanes.client, clock)
    with pytest.raises(SettingsError, match=r"payload_keys\[0\]: is a key that the fleet's workers lack"):
        Vault([OLD]).check(lanes.client, clock)
    Vault([NEW, OLD]).take_part(lanes.client, clock)
    Vault([OLD]).check(lanes.client, clock)
    with pytest.raises(SettingsError, match="payload_keys: is not set, but this fleet encrypts"):
        PLAIN.check(lanes.client, clock)


def test_leads_lie_encrypted_and_arrive(desk: Desk) -> None:
    ticket = desk.put(leads(3))
    stored = desk.client.get(f"leadlane:pay:{ticket}")
    with pytest.raises(PayloadUnreadableError):
        Vault([OLD]).opened("another", stored)
    assert desk.turn(ticket).verdict == "done"
    assert [row.outcome for row in desk.engine.jobs.rows(ticket)] == ["created"] * 3


@pytest.mark.parametrize("keys", [[], [NEW]])
def test_a_worker_without_the_key_loses_nothing_and_the_account_waits_for_one_that_has_it(
    keys: list[bytes],
) -> None:
    desk = opened("voiceaiwrapper")
    ticket = desk.put(leads(2))
    desk.client.hset(f"leadlane:t:{ticket}", "lost", "1")  # an attempt of before, whose answer was lost
    desk.engine.lanes.vault = Vault(keys)
    end = desk.turn(ticket)
    assert end.verdict == "parked"
    assert desk.told("hold").startswith("payload_keys of a worker lack the key ")
    before = desk.fields(ticket)
    assert (before["state"], before["attempts"], before["lost"]) == ("waiting", "0", "1")
    assert desk.codes(ticket) in ("", "..")
    take_up(desk.engine.lanes, desk.engine.settings)
    assert desk.told("hold")  # still nobody has it
    desk.engine.lanes.vault = Vault([OLD])
    take_up(desk.engine.lanes, desk.engine.settings)
    assert not desk.told("hold")
    assert desk.turn(ticket).verdict == "done"
    assert desk.codes(ticket) == "??"  # still known to be lost, and not sent twice


def test_who_reads_a_report_without_the_key_is_told_of_the_setting(desk: Desk) -> None:
    ticket = desk.put(leads(2))
    desk.engine.lanes.vault = PLAIN
    with pytest.raises(SettingsError, match=r"payload_keys: lacks the key .*; give it here"):
        list(desk.engine.jobs.rows(ticket))


def test_a_changed_payload_fails_alone(desk: Desk) -> None:
    changed, sound = desk.put(leads(2)), desk.put(leads(1))
    name = f"leadlane:pay:{changed}"
    desk.client.setrange(name, 40, b"\xff\x00\xff\x00")
    end = desk.turn(changed)
    assert (end.verdict, end.detail) == (
        "dead",
        "payload_lost: payload was changed, or is another ticket's",
    )
    assert desk.fields(sound)["state"] == "done" or desk.turn(sound).verdict == "done"
    assert [row.outcome for row in desk.engine.jobs.rows(changed, sound)] == ["created"]
