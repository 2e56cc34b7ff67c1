"""`leadlane plan`: what a job will take, for people and programs."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane.cli.app import app


def told(*words: str) -> dict[str, Any]:
    ended = CliRunner().invoke(app, ["plan", *words, "--json"])
    assert ended.exit_code == 0, ended.output
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_people_get_time_workers_and_memory_with_the_reason() -> None:
    ended = CliRunner().invoke(app, ["plan", "--leads", "400000", "--campaigns", "20", "--call-time", "0.5"])
    assert "400 of up to 1,000 leads, 0.5 s each" in ended.stdout
    assert "48 s, by one call of a campaign after another" in ended.stdout
    assert "1 of 20: 5 calls at once are enough" in ended.stdout


def test_a_dialer_brings_its_own_rules_and_each_can_be_overruled() -> None:
    voiso = told("--leads", "2000", "--call-time", "1")
    assert (voiso["gap_s"], voiso["leads_per_call"], voiso["seconds"]) == (2.0, 1000, 4.0)
    assert told("--leads", "2000", "--call-time", "1", "--gap", "0.5")["seconds"] == 2.5
    assert told("--leads", "2000", "--call-time", "1", "--leads-per-call", "500")["calls"] == 4
    single = told("--leads", "10", "--provider", "dialnexa", "--call-time", "0.1")
    assert (single["leads_per_call"], single["lines"], single["bound_by"]) == (1, 5, "rate")


def test_of_several_rates_the_slowest_counts() -> None:
    both = told(
        "--leads", "2000000", "--campaigns", "2000", "--rate", "10/s", "--rate", "60/m", "--call-time", "1"
    )
    assert (
        both["seconds"]
        == told("--leads", "2000000", "--campaigns", "2000", "--rate", "60/m", "--call-time", "1")["seconds"]
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rate", "often"), '--rate: \'often\' is not a rate; write "10/s" or "600/m"'),
        (("--provider", "voicry"), "did you mean 'voicery'?"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_would_be_right(
    words: tuple[str, ...], said: str
) -> None:
    ended = CliRunner().invoke(app, ["plan", "--leads", "5", *words])
    assert ended.exit_code == 2
    assert said in ended.stderr
