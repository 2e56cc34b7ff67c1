"""`--dry-run` with an account of the settings and a Redis that does not answer."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane.ops.main import app

SETTINGS = """
[accounts.india]
provider = "voicery"
base_url = "https://dialer.example.com"
api_key = "env:KEY"
default_region = "DE"
"""
FILE = """Customer,Telefon,Mobil,Deal
Ann,030 1234567,0171 2345678,7
Bob,call me,,8
,none,0171 2345679,9
Cid,0301234567,,
"""


@pytest.fixture(autouse=True)
def files(bare: Path) -> None:
    Path("leadlane.toml").write_text(SETTINGS)
    Path("leads.csv").write_text(FILE)


def rehearsed(*words: str) -> tuple[int, dict[str, Any], str]:
    ended = CliRunner().invoke(app, ["import", "leads.csv", "-c", "india/7", "--dry-run", "--json", *words])
    return ended.exit_code, json.loads(ended.stdout), ended.stderr


def test_it_says_what_would_become_of_each_row() -> None:
    code, told, _ = rehearsed("--map", "Customer=name")
    assert code == 1
    assert (told["leads"], told["to_send"], told["invalid"], told["duplicate"]) == (4, 2, 1, 1)
    (bad,) = told["first_bad_rows"]
    assert (bad["line"], bad["outcome"]) == (3, "invalid")
    assert told["reasons"] == {bad["reason"]: 1}
    assert told["campaign"] == "india/7"


def test_it_says_what_was_understood() -> None:
    _, told, said = rehearsed("--map", "Customer=name", "--region", "AT")
    assert told["understood"] == {
        "file": "leads.csv",
        "form": "CSV",
        "encoding": "UTF-8",
        "delimiter": "comma",
        "header_line": 1,
        "region": "AT",
        "columns": {
            "Telefon": "phone_number",
            "Mobil": "phone_number where the first cannot be used, else secondary_contacts",
            "Customer": "name",
            "Deal": "variables.Deal",
        },
    }
    assert "CSV, UTF-8, delimiter comma, header in line 1" in said
    assert "Customer = name, Deal = variables.Deal" in said


def test_no_number_is_told() -> None:
    Path("leads.csv").write_text("Telefon,Name\n12125550101x,Ann\n")
    ended = CliRunner().invoke(app, ["import", "leads.csv", "-c", "india/7", "--dry-run"])
    assert "invalid" in ended.stdout
    assert "2125550101" not in ended.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--report", "out.csv"], "--report: there is none before the end; add --wait"),
        (["--report", "leads.csv", "--wait"], "would be written over the file itself"),
        (["--report", "no/such/out.csv", "--wait"], "cannot be written (no such file or directory)"),
        (["--report", "-", "--wait"], "write it into a file"),
        (["--report", "out.csv", "--dry-run"], "give one of them"),
        (["--dry-run", "--map", "Nix=name"], "--map: there is no column 'Nix'"),
        (["--dry-run", "--region", "XX"], "--region: 'XX' is not a country"),
    ],
)
def test_wrong_use_is_one_line_and_code_2(words: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["import", "leads.csv", "-c", "india/7", *words])
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
