"""Voiso beside leads: keys, scopes, rate, campaigns, states, agents, pages."""

from collections.abc import Callable
from typing import Any

import pytest

LEADS = "/api/v4/campaigns/3/leads"
Stands = Callable[..., Any]


def manned(stand: Stands, **settings: Any) -> Any:
    """A sandbox whose campaign 3 is active, with a lead and an agent."""
    dialer = stand(**settings)
    dialer.add("15550000001")
    dialer.send("POST", "/api/v4/campaigns/3/users", {"user_ids": [42]})
    return dialer


def command(dialer: Any, *words: str) -> list[int]:
    return [dialer.send("POST", f"/api/v4/campaigns/3/{word}").status_code for word in words]


# Keys and rates


@pytest.mark.parametrize("key", ["wrong", None])
def test_a_wrong_key_is_unauthorized(stand: Stands, key: str | None) -> None:
    answer = stand().send("GET", "/api/v4/campaigns", key=key)
    assert (answer.status_code, answer.json()) == (401, {"error": "Unauthorized"})


def test_a_key_without_the_scope_is_forbidden(stand: Stands) -> None:
    dialer = stand(keys={"reader": ["campaigns.read"]})
    assert dialer.send("GET", "/api/v4/campaigns/3", key="reader").status_code == 200
    assert dialer.send("GET", "/api/v4/users", key="reader").status_code == 403
    refused = dialer.send("POST", LEADS, [{"phone_number": "15550000001"}], key="reader")
    assert (refused.status_code, refused.json()) == (403, {"error": "Forbidden"})


def test_one_request_too_many_in_any_window_is_refused(stand: Stands) -> None:
    dialer = stand(rate=["2/s", "3/10s"])

    def get(at_s: float, key: str = "sandbox-key") -> tuple[int, str | None]:
        dialer.now = 1000 + at_s
        answer = dialer.send("GET", "/api/v4/campaigns/3", key=key)
        return answer.status_code, answer.headers.get("retry-after")

    assert [get(0.0), get(0.9), get(0.95)] == [(200, None), (200, None), (429, "1")]
    assert [get(1.0), get(1.9)] == [(200, None), (429, "9")]
    assert get(1.9, "wrong") == (401, None)
    assert [get(9.9), get(10.0)] == [(429, "1"), (200, None)]


def test_a_429_may_keep_silent_about_when_to_come_again(stand: Stands) -> None:
    dialer = stand(rate=["1/s"], retry_after=False)
    dialer.send("GET", "/api/v4/users")
    answer = dialer.send("GET", "/api/v4/users")
    assert answer.json() == {"error": "Too many requests"}
    assert "retry-after" not in answer.headers


def test_unknown_paths_methods_and_formats_are_told_apart(stand: Stands) -> None:
    dialer = stand()
    assert dialer.send("GET", "/api/v4/teams").status_code == 404
    assert dialer.send("GET", "/api/v5/campaigns").status_code == 404
    refused = dialer.send("DELETE", LEADS)
    assert (refused.status_code, refused.headers["allow"]) == (405, "POST, PUT, PATCH")
    assert dialer.send("GET", "/api/v4/users", headers={"accept": "text/xml"}).status_code == 406


# Campaigns and their states


def test_campaigns_come_in_pages(stand: Stands) -> None:
    dialer = stand(campaigns=120)
    first = dialer.send("GET", "/api/v4/campaigns").json()
    assert (len(first["campaigns"]), first["metadata"]) == (100, {"total": 122})
    rest = dialer.send("GET", "/api/v4/campaigns?offset=100&limit=21").json()["campaigns"]
    assert [row["id"] for row in rest] == [*range(101, 121), 9001]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("name=paign+3", [3]),
        ("status=stopped", [9001]),
        ("live=false", [9002]),
        ("live=true&limit=2", [1, 2]),
        ("strategy=predictive_ai", []),
        ("method=file_import&offset=3", [9001, 9002]),
    ],
)
def test_campaigns_can_be_filtered(stand: Stands, query: str, ids: list[int]) -> None:
    found = stand(campaigns=3).send("GET", f"/api/v4/campaigns?{query}").json()["campaigns"]
    assert [row["id"] for row in found] == ids


@pytest.mark.parametrize("query", ["limit=101", "limit=0", "limit=x", "offset=-1"])
def test_a_page_out_of_bounds_is_refused(stand: Stands, query: str) -> None:
    assert stand().send("GET", f"/api/v4/campaigns?{query}").status_code == 422


def test_a_campaign_is_shown_wrapped_and_a_command_answers_it_bare(stand: Stands) -> None:
    dialer = stand()
    shown = dialer.send("GET", "/api/v4/campaigns/03").json()["campaign"]
    assert (shown["id"], shown["status"], shown["live"]) == (3, "active", True)
    assert dialer.send("POST", "/api/v4/campaigns/3/pause").json() == shown | {"status": "paused"}
    assert dialer.send("GET", "/api/v4/campaigns/501").status_code == 404


@pytest.mark.parametrize(
    ("words", "statuses"),
    [
        (("start",), [409]),
        (("pause", "start", "pause"), [200, 200, 200]),
        (("pause", "pause"), [200, 409]),
        (("pause", "stop"), [200, 409]),
        (("stop", "stop"), [200, 409]),
        (("stop", "start"), [200, 409]),
        (("stop", "pause"), [200, 409]),
    ],
)
def test_commands_are_obeyed_only_from_the_right_state(
    stand: Stands, words: tuple[str, ...], statuses: list[int]
) -> None:
    assert command(manned(stand), *words) == statuses


def test_a_start_needs_a_lead_and_an_agent(stand: Stands) -> None:
    dialer = stand()
    dialer.send("POST", "/_sandbox/campaign", {"campaign": "3", "status": "draft"})
    assert command(dialer, "start") == [409]
    dialer.add("15550000001")
    assert command(dialer, "start") == [409]
    dialer.send("POST", "/api/v4/campaigns/3/users", {"user_ids": [42]})
    assert command(dialer, "start") == [200]


def test_a_state_in_transition_settles_by_itself_and_obeys_nobody(stand: Stands) -> None:
    dialer = manned(stand, transition_s=3.0)

    def status() -> str:
        found: str = dialer.send("GET", "/api/v4/campaigns/3").json()["campaign"]["status"]
        return found

    assert dialer.send("POST", "/api/v4/campaigns/3/pause").json()["status"] == "pausing"
    dialer.now += 2.9
    assert (status(), command(dialer, "start")) == ("pausing", [409])
    dialer.now += 0.1
    assert (status(), command(dialer, "start")) == ("paused", [200])


@pytest.mark.parametrize("status", ["stopping", "stopped", "completed"])
def test_a_campaign_at_its_end_takes_no_leads(stand: Stands, status: str) -> None:
    dialer = stand()
    dialer.send("POST", "/_sandbox/campaign", {"campaign": "3", "status": status})
    assert dialer.add("15550000001").status_code == 409


# Agents


def test_agents_are_added_once_and_removed_once(stand: Stands) -> None:
    dialer = stand()
    users = "/api/v4/campaigns/3/users"

    def ids(answer: Any, name: str) -> list[int]:
        return [row["id"] for row in answer.json()[name]]

    assert ids(dialer.send("POST", users, {"user_ids": [42, 7, 42]}), "added_users") == [42, 7]
    assert ids(dialer.send("POST", users, {"user_ids": [7, 8]}), "added_users") == [8]
    assert dialer.send("DELETE", f"{users}/7").json()["user"]["id"] == 7
    assert dialer.send("DELETE", f"{users}/7").status_code == 404
    listed = dialer.send("GET", f"{users}?limit=1&offset=1")
    assert (ids(listed, "users"), listed.json()["metadata"]) == ([8], {"total": 2})


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"user_ids": []}, 422),
        ({"user_ids": ["42"]}, 422),
        ({"user_ids": list(range(1, 102))}, 422),
        ({"user_ids": [42, 999]}, 404),
        ([42], 400),
    ],
)
def test_agents_that_cannot_be_added_are_refused_together(stand: Stands, body: Any, status: int) -> None:
    dialer = stand()
    assert dialer.send("POST", "/api/v4/campaigns/3/users", body).status_code == status
    assert dialer.send("GET", "/api/v4/campaigns/3/users").json()["metadata"] == {"total": 0}


def test_users_can_be_looked_up(stand: Stands) -> None:
    found = stand().send("GET", "/api/v4/users?email=AGENT42@").json()
    assert [row["id"] for row in found["users"]] == [42]
    assert stand().send("GET", "/api/v4/users?extension=1007").json()["users"][0]["name"] == "Agent 7"
