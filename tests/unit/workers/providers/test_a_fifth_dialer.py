"""A dialer that nobody knows here works by its two files alone (docs/add-a-dialer.md)."""

import inspect
import json

import httpx
import pytest
from typer.testing import CliRunner

from leadlane.ops.main import app
from leadlane.schemas import settings_schema
from leadlane.schemas.errors import UnsupportedOperation
from leadlane.schemas.settings import load_settings
from leadlane.workers.accounts import read_facts
from leadlane.workers.providers import PROVIDERS
from tests.unit.workers.desk import KEY, Desk, leads, number
from tests.unit.workers.providers import ringly, ringly_schema


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "ringly", ringly.RINGLY)


class Ringly:
    """Teapots are refused."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, object]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["x-key"] == KEY
        body = json.loads(request.content) if request.content else None
        self.seen.append((request.method, request.url.path, body))
        if body and body["person"]["who"] == "Teapot":
            return httpx.Response(418, json={"why": "I am a teapot"})
        return httpx.Response(200, json={"id": len(self.seen)})


def test_leads_are_imported_and_removed_by_its_rules() -> None:
    dialer = Ringly()
    desk = Desk(dialer, "ringly", "spring")
    rows = [
        *leads(2, variables={"plan": 5}),
        {"phone_number": number(2), "name": "Teapot"},
        {"phone_number": number(3)},
    ]
    imported = desk.put(rows)
    assert desk.turn(imported).verdict == "done"
    assert desk.codes(imported) == "ccri"
    assert desk.reasons(imported) == {"2": "I am a teapot", "3": "name: missing; Ringly wants one"}
    person = {"tel": number(0), "who": "Lead 0", "facts": {"plan": "5"}}
    assert dialer.seen[0] == ("PUT", "/c/spring/people", {"person": person})
    removed = desk.put([{"phone_number": number(0)}], "remove")
    assert desk.turn(removed).verdict == "done"
    assert desk.codes(removed) == "m"
    assert dialer.seen[-1] == ("DELETE", "/c/spring/people/1", None)


def test_what_it_cannot_do_is_refused_by_name() -> None:
    desk = Desk(Ringly(), "ringly", "spring")
    with pytest.raises(UnsupportedOperation, match=r"'acct'.*'update'.*import, remove"):
        read_facts(desk.engine.lanes, "acct").check("update")


def test_the_command_line_lists_it() -> None:
    shown = CliRunner().invoke(app, ["providers"]).stdout
    assert any(
        line.split()[:4] == ["ringly", "import", "PUT", "/c/{campaign}/people"] for line in shown.splitlines()
    )


def test_its_two_files_are_short() -> None:
    assert sum(len(inspect.getsource(module).splitlines()) for module in (ringly, ringly_schema)) < 150


def test_settings_know_the_dialers_that_there_are() -> None:
    assert {*settings_schema.PROVIDERS, "ringly"} == PROVIDERS.keys()


def test_settings_take_an_account_of_it_once_its_name_is_known() -> None:
    given = {"PROVIDER": "ringly", "BASE_URL": "http://ringly.test", "API_KEY": "env:KEY"}
    environ = {f"LEADLANE_ACCOUNTS__R__{name}": value for name, value in given.items()}
    assert load_settings(environ=environ, known_providers=("ringly",)).accounts["r"].provider == "ringly"
