"""`leadlane verify` on a real ledger: it finds each kind of breach that is planted there, and nothing else."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane.ops.main import app
from leadlane.schemas.settings import load_settings
from leadlane.workers.accounts import publish_facts
from leadlane.workers.lanes import Lanes

tokens = count()


@pytest.fixture
def lanes(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lanes:
    """A fleet of two accounts, of which a worker has told."""
    given = {"REDIS_URL": redis_url}
    for name, provider, gap, rate in (("VOISO", "voiso", "2", "10/s"), ("VOICERY", "voicery", "0", "3/s")):
        more = {"PROVIDER": provider, "BASE_URL": "https://dialer.example", "API_KEY": "env:NONE"}
        more |= {"IMPORT_GAP_S": gap, "RATE": rate}
        given |= {f"ACCOUNTS__{name}__{key}": value for key, value in more.items()}
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(f"LEADLANE_{name}", value)
    settings = load_settings()
    lanes = Lanes.of(settings)
    publish_facts(lanes, settings)
    return lanes


def plant(lanes: Lanes, ago_ms: int, lasts_ms: int = 100, **more: Any) -> None:
    """An entry as a worker writes it of a call that began so long ago."""
    given = {"account": "voiso", "kind": "leads", "op": "import", "size": 10, "seq": None} | more
    call = {
        "n": 1, "op": given["op"], "size": given["size"], "began": ago_ms, "ended": ago_ms - lasts_ms,
        "answer": "200", "wall": 0,
    }  # fmt: skip
    lane = f"{given['kind']}/{given['account']}/dialer.example/3"
    document = {
        "lane": lane,
        "acct": given["account"],
        "token": f"t{next(tokens)}",
        "worker": "w",
        "call": call,
    }
    lanes.note(document | ({"seq": given["seq"]} if given["seq"] else {}))


def verified(code: int, since: str = "10m") -> dict[str, Any]:
    ended = CliRunner().invoke(app, ["verify", "--since", since, "--json"])
    assert ended.exit_code == code, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def honest(lanes: Lanes) -> None:
    plant(lanes, 60_000, size=1000)
    plant(lanes, 57_000, op="update")
    plant(lanes, 50_000, kind="state", op="start", size=0, seq=5)
    plant(lanes, 40_000, kind="state", op="stop", size=0, seq=6)
    for ago in (30_000, 29_900, 29_800, 28_900):
        plant(lanes, ago, account="voicery", size=1)


PLANTED: dict[str, list[dict[str, Any]]] = {
    "simultaneous": [{"ago_ms": 20_000, "lasts_ms": 500}, {"ago_ms": 19_800}],
    "too_early": [{"ago_ms": 20_000}, {"ago_ms": 18_500, "op": "update"}],
    "too_large": [{"ago_ms": 20_000, "size": 1001}],
    "starts_after_newer_stop": [{"ago_ms": 20_000, "kind": "state", "op": "start", "size": 0, "seq": 4}],
    "over_rate": [{"ago_ms": ago, "account": "voicery", "size": 1} for ago in (9_000, 8_900, 8_800, 8_700)],
}


def test_honest_calls_are_without_breach(lanes: Lanes) -> None:
    honest(lanes)
    assert (verified(0)["calls"], verified(0)["breaches"]) == (8, 0)


@pytest.mark.parametrize("breach", PLANTED)
def test_a_breach_that_is_planted_is_found_and_named_and_nothing_else(lanes: Lanes, breach: str) -> None:
    honest(lanes)
    for entry in PLANTED[breach]:
        plant(lanes, **entry)
    found = verified(1)
    assert found["breaches"] == 1
    assert sum(one[breach] for one in found["campaigns"]) == 1


def test_an_older_breach_is_found_with_a_longer_look_only(lanes: Lanes, until: Callable[..., None]) -> None:
    plant(lanes, 20_000, size=1001)
    told = lanes.client.xinfo_stream("leadlane:made")["last-generated-id"]
    until(lambda: lanes.client.time()[0] > int(told.partition(b"-")[0]) // 1000 + 1)
    assert verified(0, "1s")["calls"] == 0
    assert verified(1, "10m")["breaches"] == 1
