"""Look-ups: every page, in few words; what is told where the dialer gives no good answer."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from leadlane.schemas.errors import BadCampaign, DialerFailed
from leadlane.schemas.settings import Rate
from leadlane.workers.lookups import LookUp, phase
from leadlane.workers.providers.voiso import VOISO
from tests.unit.workers.desk import KEY, Desk


def rows(n: int, **fields: object) -> list[dict[str, object]]:
    return [{"id": i, "name": f"Row {i}", "status": "active", **fields} for i in range(1, n + 1)]


def listed(name: str, of: list[dict[str, object]], asked: list[httpx.Request] | None = None) -> Any:
    def dialer(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        offset, limit = int(request.url.params["offset"]), int(request.url.params["limit"])
        return httpx.Response(200, json={name: of[offset : offset + limit], "metadata": {"total": len(of)}})

    return dialer


def look(dialer: Any, **account: Any) -> tuple[LookUp, Desk]:
    desk = Desk(dialer, "voiso", "3", **account)
    desk.engine.keeper.beat()  # the worker lives
    return LookUp.of(desk.engine, "acct"), desk


def answering(status: int, body: object = None) -> Any:
    return lambda _: httpx.Response(status, json=body if body is not None else {"error": "no"})


def test_all_pages_are_read_and_each_takes_a_slot_of_the_rate() -> None:
    asked: list[httpx.Request] = []
    at, desk = look(listed("campaigns", rows(230), asked), rate=(Rate.parse("1/s"),))
    slept: list[float] = []
    desk.engine.sleep = lambda seconds: slept.append(seconds) or desk.later(seconds)  # type: ignore[func-returns-value]
    assert [row["id"] for row in at.campaigns()] == [str(i) for i in range(1, 231)]
    assert [request.url.params["offset"] for request in asked] == ["0", "100", "200"]
    assert len(slept) == 2


def test_a_list_that_ends_early_or_never_says_its_end_is_no_trap() -> None:
    endless = httpx.Response(200, json={"users": [], "metadata": {"total": 5}})
    assert look(lambda _: endless)[0].agents("3") == []


@pytest.mark.parametrize(
    "body",
    [
        {"users": [{"id": 1}, {"id": 2}], "metadata": {"total": 10**9}},
        {"users": [{"id": i} for i in range(100_001)], "metadata": {"total": 1}},
        {"users": [{"id": {"a": 1}}]},
        {"users": [{"id": "1" * 201}]},
        {"users": [{"id": None}]},
    ],
    ids=["one page again and again", "more rows than anybody has", "an object as id", "a long id", "no id"],
)
def test_a_list_of_no_sense_is_an_answer_that_cannot_be_read(body: dict[str, object]) -> None:
    with pytest.raises(DialerFailed, match="cannot be read"):
        look(lambda _: httpx.Response(200, json=body))[0].agents("3")


def test_a_name_of_a_megabyte_is_told_in_one_short_line() -> None:
    (told,) = look(listed("users", [{"id": 1, "name": "x\n" * 500_000}]))[0].agents("3")
    assert len(told["name"]) == 300
    assert told["name"].isprintable()


def test_only_id_and_name_of_an_agent_are_told_without_address_or_number() -> None:
    people: list[dict[str, object]] = [
        {"id": 7, "name": "Ada Low <ada@example.com>", "email": "ada@example.com", "sip_account": "sip7"},
        {"id": "b1-998877", "name": f"Bob +49 30 23125000 {KEY}"},
        {"id": 9, "name": None},
    ]
    told = look(listed("users", people))[0].agents("3")
    assert told == [
        {"id": "7", "name": "Ada Low <[e-mail]>"},
        {"id": "b1-998877", "name": "Bob [number] [key]"},
        {"id": "9", "name": ""},
    ]


@pytest.mark.parametrize(
    ("status", "ours"),
    [
        ("active", "started"),
        ("auto_paused", "paused"),
        ("completed", "stopped"),
        ("pausing", "changing"),
        ("draft", "other"),
    ],
)
def test_a_status_is_told_in_the_dialers_word_and_in_ours(status: str, ours: str) -> None:
    assert VOISO.states is not None
    assert phase(VOISO.states, status) == ours
    at, _ = look(answering(200, {"campaign": {"id": 3, "name": "Spring", "status": status}}))
    assert at.status("3") == {"campaign": "acct/3", "name": "Spring", "status": status, "phase": ours}


def test_a_dialer_without_a_look_is_asked_for_its_list() -> None:
    at, _ = look(listed("campaigns", rows(120, status="paused")))
    assert VOISO.states is not None
    at = replace(at, provider=replace(VOISO, states=replace(VOISO.states, look=None)))
    assert at.status("115") == {
        "campaign": "acct/115",
        "name": "Row 115",
        "status": "paused",
        "phase": "paused",
    }
    with pytest.raises(BadCampaign, match="no such campaign"):
        at.status("121")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (403, "its key may not do this (403: no)"),
        (404, "refuses (404: no)"),
        (422, "refuses (422: no)"),
        (429, "refuses (429: no)"),
        (503, "refuses (503: no)"),
        (200, "answer (200) cannot be read"),
    ],
)
def test_an_answer_that_is_no_list_is_one_clear_error(status: int, said: str) -> None:
    at, desk = look(answering(status))
    with pytest.raises(DialerFailed) as failed:
        at.campaigns()
    assert said in str(failed.value)
    assert failed.value.account == "acct"
    assert not desk.told("hold")


def test_a_wrong_key_holds_the_account_and_the_next_look_is_not_made() -> None:
    asked: list[int] = []
    at, desk = look(lambda _: asked.append(1) or httpx.Response(401, json={"error": f"bad key {KEY}"}))  # type: ignore[func-returns-value]
    with pytest.raises(DialerFailed, match=r"refuses the key \(401: bad key \[key\]\); it is on hold now"):
        at.agents("3")
    assert desk.told("hold") == "401: bad key [key]"
    with pytest.raises(DialerFailed, match="is on hold: 401"):
        at.agents("3")
    assert asked == [1]


def test_an_unknown_campaign_is_told_as_such() -> None:
    at, _ = look(answering(404))
    for ask in (at.status, at.agents):
        with pytest.raises(BadCampaign, match="'acct/3': its dialer has no such campaign"):
            ask("3")


def test_silence_is_told_with_its_reason() -> None:
    def silent(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("nobody there")

    with pytest.raises(DialerFailed, match="gives no answer"):
        look(silent)[0].campaigns()


def test_a_worker_without_settings_for_the_account_says_so() -> None:
    _, desk = look(answering(200))
    with pytest.raises(DialerFailed, match="no settings"):
        LookUp.of(desk.engine, "elsewhere")
