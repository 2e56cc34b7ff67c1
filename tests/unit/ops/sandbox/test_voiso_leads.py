"""Leads calls of Voiso: what is stored, what is refused, and when."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

LEADS = "/api/v4/campaigns/3/leads"
SOUND: dict[str, Any] = {
    "phone_number": "15551234567",
    "name": "John Doe",
    "priority": 10,
    "active": True,
    "source": {"system": "my_crm", "url": "https://example.com/leads/123"},
    "context_headers": {"X-Call-Context": "discount_promo_code", "X-Client-Order.Id~1!*+_": "1234"},
}
Stands = Callable[..., Any]


def test_an_import_names_each_number_in_one_of_three_lists(stand: Stands) -> None:
    dialer = stand()
    dialer.add("15550000001")
    answer = dialer.add("15550000001", "15550000002", "15550000000", "12")
    assert answer.json() == {
        "leads_import": {
            "created": ["15550000002"],
            "rejected": ["15550000000", "12"],
            "duplicates": ["15550000001"],
        }
    }


def test_a_number_twice_in_a_call_is_created_once(stand: Stands) -> None:
    lists = stand().add("15550000001", "15550000001").json()["leads_import"]
    assert lists == {"created": ["15550000001"], "rejected": [], "duplicates": ["15550000001"]}


def test_a_lead_with_every_field_is_taken(stand: Stands) -> None:
    assert stand().send("POST", LEADS, [SOUND]).json()["leads_import"]["created"] == ["15551234567"]


@pytest.mark.parametrize(
    ("change", "errors"),
    [
        ({"phone_number": "+15551234567"}, {"phone_number": "must be a string of digits with country code"}),
        ({"phone_number": 15551234567}, {"phone_number": "must be a string of digits with country code"}),
        ({"phone_number": "١٢٣٤٥٦٧٨"}, {"phone_number": "must be a string of digits with country code"}),
        ({"priority": 0}, {"priority": "must be between 1 and 1000"}),
        ({"priority": 1001}, {"priority": "must be between 1 and 1000"}),
        ({"priority": True}, {"priority": "must be between 1 and 1000"}),
        ({"priority": None}, {"priority": "must be between 1 and 1000"}),
        ({"active": "yes"}, {"active": "must be a boolean"}),
        ({"name": 7}, {"name": "must be a string"}),
        ({"source": {"system": "crm", "id": "1"}}, {"source": "must be an object of system and url"}),
        ({"source": {"url": None}}, {"source": "must hold strings"}),
        ({"context_headers": {"Call-Context": "1"}}, {"context_headers": "has an invalid header name"}),
        ({"context_headers": {"X-Bad Header": "1"}}, {"context_headers": "has an invalid header name"}),
        ({"context_headers": {"X-A": 1}}, {"context_headers": "must be an object of strings"}),
        ({"email": "a@example.com"}, {"email": "is not permitted"}),
    ],
)
def test_one_bad_lead_refuses_the_whole_call(
    stand: Stands, change: dict[str, Any], errors: dict[str, str]
) -> None:
    dialer = stand()
    answer = dialer.send("POST", LEADS, [{"phone_number": "15550000001"}, {**SOUND, **change}])
    assert answer.status_code == 422
    assert answer.json() == {"errors": {field: [words] for field, words in errors.items()}}
    assert dialer.verdict()["stored"] == 0


def test_a_lead_without_a_number_or_without_form_is_bad(stand: Stands) -> None:
    answer = stand().send("POST", LEADS, [{"name": "John"}, "15550000001"])
    assert answer.json() == {"errors": {"phone_number": ["is missing"], "lead": ["must be an object"]}}


def test_errors_name_the_lead_if_asked_to(stand: Stands) -> None:
    leads = [{"phone_number": "15550000001"}, {"phone_number": "15550000002", "priority": 0}, {}]
    errors = stand(indexed_errors=True).send("POST", LEADS, leads).json()["errors"]
    assert errors == {"1.priority": ["must be between 1 and 1000"], "2.phone_number": ["is missing"]}


@pytest.mark.parametrize(
    ("body", "status"), [([], 422), ({"leads": []}, 400), ("x", 400), ([{"phone_number": "1"}] * 1001, 422)]
)
def test_a_body_that_is_no_array_of_1_to_1000_leads_is_refused(stand: Stands, body: Any, status: int) -> None:
    assert stand().send("POST", LEADS, body).status_code == status


def test_a_body_that_is_not_json_is_refused(stand: Stands) -> None:
    json = {"content-type": "application/json"}
    assert stand().send("POST", LEADS, content=b"[{", headers=json).status_code == 400
    assert stand().send("POST", LEADS, content=b"[]", headers={"content-type": "text/csv"}).status_code == 400


def test_a_thousand_leads_are_taken(stand: Stands) -> None:
    numbers = [str(15550001001 + n) for n in range(1000)]
    assert stand(rejected_suffix="").add(*numbers).json()["leads_import"]["created"] == numbers


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_an_update_knows_the_numbers_that_are_there(stand: Stands, method: str) -> None:
    dialer = stand(keep_fields=True)
    dialer.add("15550000001", name="John", priority=5)
    dialer.now += 10
    leads = [{"phone_number": "15550000001", "priority": 9}, {"phone_number": "15550000002"}]
    answer = dialer.send(method, LEADS, leads)
    assert answer.json() == {"leads_update": {"updated": ["15550000001"], "rejected": ["15550000002"]}}
    kept = dialer.get("leads?campaign=3")["leads"]["15550000001"]
    assert kept == {
        "sent": 1,
        "stored": 1,
        "fields": {"phone_number": "15550000001", "name": "John", "priority": 9},
    }


def test_an_update_cannot_carry_context_headers(stand: Stands) -> None:
    dialer = stand()
    dialer.add("15550000001")
    dialer.now += 10
    answer = dialer.send("PUT", LEADS, [{"phone_number": "15550000001", "context_headers": {"X-A": "1"}}])
    assert answer.json() == {"errors": {"context_headers": ["is not permitted"]}}


@pytest.mark.parametrize(
    ("campaign", "status", "body"),
    [
        (501, 404, {"error": "Not found"}),
        (0, 404, {"error": "Not found"}),
        ("abc", 404, {"error": "Not found"}),
        (9001, 409, {"errors": {"campaign": ["the campaign is stopped"]}}),
        (9002, 400, {"error": "Campaign type should be live"}),
    ],
)
def test_leads_go_only_into_campaigns_that_can_take_them(
    stand: Stands, campaign: int | str, status: int, body: Any
) -> None:
    answer = stand().send("POST", f"/api/v4/campaigns/{campaign}/leads", [{"phone_number": "15550000001"}])
    assert (answer.status_code, answer.json()) == (status, body)


def test_a_leads_call_before_the_gap_is_over_is_a_conflict(stand: Stands) -> None:
    dialer = stand(gap_s=2.0, call_time_s=5.0)
    dialer.add("15550000001")
    assert dialer.add("15550000002", later_s=1.9).status_code == 409
    assert dialer.send("PUT", LEADS, [{"phone_number": "15550000001"}]).status_code == 409
    assert dialer.add("15550000002", campaign=4, later_s=0).status_code == 200
    dialer.now = 1010 + 5 + 2
    assert dialer.add("15550000002", later_s=0).status_code == 200


def test_a_call_that_was_found_invalid_has_its_gap_too(stand: Stands) -> None:
    dialer = stand()
    assert dialer.add("x").status_code == 422
    assert dialer.add("15550000001", later_s=1).status_code == 409


def test_a_leads_call_while_another_runs_is_a_conflict(stand: Stands) -> None:
    dialer = stand(call_time_s=5.0, gap_s=0)

    async def both() -> list[int]:
        works, done = asyncio.Event(), asyncio.Event()

        async def sleep(seconds: float) -> None:
            works.set()
            await done.wait()

        dialer.sleep = sleep
        async with dialer.client() as client:
            first = asyncio.create_task(client.post(LEADS, json=[{"phone_number": "15550000001"}]))
            await works.wait()
            second = await client.post(LEADS, json=[{"phone_number": "15550000002"}])
            done.set()
            return [(await first).status_code, second.status_code]

    assert asyncio.run(both()) == [200, 409]
    assert dialer.verdict()["most_at_once"] == 2
    assert dialer.verdict()["too_early"] == 1


def test_a_poisonous_number_refuses_the_whole_call(stand: Stands) -> None:
    dialer = stand(poison=["15550000002"])
    refused = dialer.add("15550000001", "15550000002")
    assert refused.status_code == 422
    assert refused.json()["errors"] == {"phone_number": ["is not acceptable"]}
    assert dialer.add("15550000001").json()["leads_import"]["created"] == ["15550000001"]
