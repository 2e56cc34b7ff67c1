"""Voicery: one documented operation, and those of its siblings behind a setting."""

from collections.abc import Callable
from typing import Any

import pytest

from leadlane.ops.sandbox.stage import AnswerLostError

LEAD = "/api/user/lead"
ONE, TWO, THREE = "+34600100200", "+34600100201", "+34600100202"
JSON = {"accept": "application/json"}
Stands = Callable[..., Any]


def send(dialer: Any, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return dialer.send(method, path, body, headers=JSON, **more)


def add(dialer: Any, number: str = ONE, **fields: Any) -> Any:
    return send(dialer, "POST", LEAD, {"phone_number": number, "campaign_id": 3, **fields})


def verdict(dialer: Any) -> dict[str, Any]:
    found: dict[str, Any] = dialer.verdict(3, "voicery")
    return found


def test_a_lead_and_its_contacts_come_back_with_ids(stand: Stands) -> None:
    dialer = stand()
    contacts = [{"phone_number": TWO, "variables": {"customer_name": "Bo"}}, {"phone_number": THREE}]
    answer = add(dialer, variables={"customer_name": "Eva"}, secondary_contacts=contacts)
    stamps = {"status": "created", "created_at": "2023-11-14 22:30:00", "updated_at": "2023-11-14 22:30:00"}
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "message": "Lead created successfully",
            "data": {
                "id": 1,
                "campaign_id": 3,
                "phone_number": ONE,
                "variables": {"customer_name": "Eva"},
                **stamps,
                "campaign": {"id": 3, "name": "Campaign 3"},
                "secondary_contacts": [
                    {"id": 2, "phone_number": TWO, "variables": {"customer_name": "Bo"}, **stamps},
                    {"id": 3, "phone_number": THREE, "variables": {}, **stamps},
                ],
            },
        },
    )
    [record] = dialer.get("audit")["requests"]
    assert (record["campaign"], record["size"], record["stored"]) == ("3", 3, 3)


def test_a_number_that_is_there_is_refused(stand: Stands) -> None:
    dialer = stand()
    add(dialer)
    answer = add(dialer, allow_dupplicate=False)
    words = "A lead with this phone number already exists in this campaign."
    assert (answer.status_code, answer.json()) == (
        422,
        {"message": words, "errors": {"phone_number": [words]}},
    )
    assert dialer.leads(3, "voicery") == {ONE: {"sent": 2, "stored": 1}}
    assert (verdict(dialer)["stored_twice"], verdict(dialer)["resent_after_answer"]) == (0, 1)
    assert add(dialer, campaign_id=4).status_code == 200


@pytest.mark.parametrize("numbers", [[ONE], [THREE], [TWO, TWO]])
def test_a_contact_that_is_there_refuses_the_whole_call(stand: Stands, numbers: list[str]) -> None:
    dialer = stand()
    add(dialer, THREE)
    answer = add(dialer, secondary_contacts=[{"phone_number": number} for number in numbers])
    assert (answer.status_code, verdict(dialer)["stored"]) == (422, 1)


def test_a_number_stored_twice_on_request_is_counted_but_no_breach(stand: Stands) -> None:
    dialer = stand()
    for _ in range(2):
        assert add(dialer, allow_dupplicate=True).status_code == 200
    found = verdict(dialer)
    assert (found["stored_twice"], found["doubled"], found["breaches"]) == (1, 2, 0)


@pytest.mark.parametrize(("allowed", "resent"), [(True, 1), (False, 0)])
def test_only_an_allowed_duplicate_must_not_be_repeated_blindly(
    stand: Stands, allowed: bool, resent: int
) -> None:
    dialer = stand()
    dialer.fault("drop_after", match={"operation": "import", "campaign": "3"}, times=1)
    with pytest.raises(AnswerLostError):
        add(dialer, allow_dupplicate=allowed)
    add(dialer, allow_dupplicate=allowed)
    assert (verdict(dialer)["resent_after_silence"], verdict(dialer)["stored_twice"]) == (resent, resent)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"phone_number": "34600100200"}, "phone_number", "must be a phone number in E.164 format"),
        ({"campaign_id": "3"}, "campaign_id", "must be an integer, 1 or more"),
        ({"variables": {"age": 40}}, "variables", "must be an object of strings"),
        ({"allow_dupplicate": 1}, "allow_dupplicate", "must be a boolean"),
        ({"allow_duplicate": True}, "allow_duplicate", "is not permitted"),
        ({"secondary_contacts": {}}, "secondary_contacts", "must be an array"),
        ({"secondary_contacts": [{}]}, "secondary_contacts", "holds one whose phone_number is missing"),
    ],
)
def test_a_bad_field_is_refused(stand: Stands, change: dict[str, Any], field: str, words: str) -> None:
    said = f"The {field} field {words}."
    answer = add(stand(), **change)
    assert (answer.status_code, answer.json()) == (422, {"message": said, "errors": {field: [said]}})


def test_several_bad_fields_are_told_as_the_framework_does(stand: Stands) -> None:
    messages = [send(stand(), "POST", LEAD, body).json()["message"] for body in ({}, {"name": "Eva"})]
    assert messages == [
        "The phone_number field is missing. (and 1 more error)",
        "The phone_number field is missing. (and 2 more errors)",
    ]


@pytest.mark.parametrize("number", ["+34600100000", "+34600166666"])
def test_a_number_that_cannot_be_called_is_refused(stand: Stands, number: str) -> None:
    assert add(stand(poison=["34600166666"]), number).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body", "key", "status", "message"),
    [
        ("POST", LEAD, {"phone_number": ONE, "campaign_id": 3}, "wrong", 401, "Unauthorized"),
        ("POST", LEAD, {"phone_number": ONE, "campaign_id": 501}, "sandbox-key", 404, "Campaign not found"),
        ("POST", LEAD, [], "sandbox-key", 400, "The body must be a JSON object."),
        ("GET", "/api/user/nothing", None, "sandbox-key", 404, "The route could not be found."),
    ],
)
def test_a_refusal_says_why(
    stand: Stands, method: str, path: str, body: Any, key: str, status: int, message: str
) -> None:
    answer = send(stand(), method, path, body, key=key)
    assert (answer.status_code, answer.json()) == (status, {"message": message})


def test_an_error_is_no_json_for_who_does_not_ask_for_it(stand: Stands) -> None:
    dialer = stand()
    assert dialer.send("POST", LEAD, {"phone_number": ONE, "campaign_id": 3}).status_code == 200
    wrong_key, refused, missing = (
        dialer.send("POST", LEAD, {"phone_number": ONE, "campaign_id": campaign}, key=key)
        for campaign, key in ((3, "wrong"), (3, "sandbox-key"), (501, "sandbox-key"))
    )
    assert (wrong_key.status_code, wrong_key.headers["location"]) == (302, "/login")
    assert (refused.status_code, refused.headers["location"]) == (302, "/")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "text/html; charset=utf-8")


def test_who_comes_too_often_is_refused(stand: Stands) -> None:
    dialer = stand(voicery_keys={"sandbox-key": ["1/s"]})
    assert [add(dialer).status_code, add(dialer, TWO).status_code] == [200, 429]


SIBLINGS = [
    ("GET", "/api/user/leads", None),
    ("PUT", "/api/user/leads/1", {"status": "completed"}),
    ("GET", "/api/user/campaigns", None),
    ("POST", "/api/user/campaigns/update-status", {"campaign_id": 3, "action": "stop"}),
    ("DELETE", "/api/user/leads/1", None),
]


@pytest.mark.parametrize(("method", "path", "body"), SIBLINGS)
def test_operations_of_siblings_exist_only_if_the_setting_says_so(
    stand: Stands, method: str, path: str, body: Any
) -> None:
    for on, status in ((False, 404), (True, 200)):
        dialer = stand(voicery_siblings=on)
        add(dialer)
        assert send(dialer, method, path, body).status_code == status


def test_leads_come_in_pages_and_by_status_or_campaign(stand: Stands) -> None:
    dialer = stand(voicery_siblings=True)
    for number, campaign in ((ONE, 3), (TWO, 3), (THREE, 4)):
        add(dialer, number, campaign_id=campaign)
    dialer.alter("voicery", "3", leads={TWO: "completed"})

    def listed(query: str) -> Any:
        return send(dialer, "GET", f"/api/user/leads?{query}").json()

    first = listed("per_page=2")
    assert (first["current_page"], first["last_page"], first["per_page"], first["total"]) == (1, 2, 2, 3)
    assert first["next_page_url"] == "/api/user/leads?per_page=2&page=2"
    last = send(dialer, "GET", first["next_page_url"]).json()
    assert ([row["phone_number"] for row in last["data"]], last["next_page_url"]) == ([THREE], None)
    assert [row["id"] for row in listed("campaign_id=3&status=completed")["data"]] == [2]
    for wrong in ("page=0", "per_page=101", "status=asleep", "campaign_id=x"):
        assert "errors" in listed(wrong)


def test_an_update_merges_variables_and_moves_the_lead(stand: Stands) -> None:
    dialer = stand(voicery_siblings=True, keep_fields=True)
    add(dialer, variables={"name": "Eva", "city": "Vigo"})
    dialer.now += 60
    change = {"campaign_id": 4, "phone_number": TWO, "variables": {"city": "Lugo"}, "status": "completed"}
    answer = send(dialer, "PUT", "/api/user/leads/1", change)
    assert answer.json() == {"message": "Lead updated successfully"}
    [lead] = send(dialer, "GET", "/api/user/leads").json()["data"]
    assert (lead["campaign_id"], lead["phone_number"], lead["status"]) == (4, TWO, "completed")
    assert lead["variables"] == {"name": "Eva", "city": "Lugo"}
    assert lead["updated_at"] > lead["created_at"]
    assert dialer.leads(4, "voicery")[TWO]["stored"] == 1
    assert dialer.leads(3, "voicery")[ONE]["stored"] == 0


@pytest.mark.parametrize(
    ("lead", "change", "status"),
    [
        (9, {"status": "completed"}, 404),
        (1, {"status": "blacklisted"}, 422),
        (1, {"phone_number": TWO}, 422),
        (1, {"campaign_id": 501}, 404),
        ("x", {}, 404),
    ],
)
def test_an_update_that_cannot_be_is_refused(stand: Stands, lead: Any, change: Any, status: int) -> None:
    dialer = stand(voicery_siblings=True)
    add(dialer, ONE)
    add(dialer, TWO)
    assert send(dialer, "PUT", f"/api/user/leads/{lead}", change).status_code == status


def test_a_removed_lead_is_gone_for_good(stand: Stands) -> None:
    dialer = stand(voicery_siblings=True)
    add(dialer)
    statuses = [send(dialer, "DELETE", "/api/user/leads/1").status_code for _ in range(2)]
    assert (statuses, add(dialer).status_code) == ([200, 404], 200)
    assert verdict(dialer)["doubled"] == 0


def test_a_command_that_fails_says_so_in_success(stand: Stands) -> None:
    dialer = stand(voicery_siblings=True)
    dialer.alter("voicery", "3", status="draft")

    def command(action: str) -> tuple[bool, str]:
        body = {"campaign_id": 3, "action": action}
        answer = send(dialer, "POST", "/api/user/campaigns/update-status", body)
        assert answer.status_code == 200
        return answer.json()["success"], answer.json()["data"]["status"]

    assert command("start") == (False, "draft")
    add(dialer)
    told = [command(action) for action in ("start", "start", "stop", "stop")]
    assert told == [(True, "in-progress"), (False, "in-progress"), (True, "stopped"), (False, "stopped")]
    shown = {row["id"]: row["status"] for row in send(dialer, "GET", "/api/user/campaigns").json()}
    assert (shown[3], shown[4]) == ("stopped", "in-progress")
    operations = [row["operation"] for row in dialer.get("audit")["requests"]]
    assert operations == ["start", "import", "start", "start", "stop", "stop", "list_campaigns"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"campaign": "501", "status": "draft"},
        {"campaign": "3", "status": "paused"},
        {"campaign": "3", "name": "Spring"},
        {"campaign": "3", "leads": {ONE: "asleep"}},
        {"campaign": "3", "leads": {TWO: "completed"}},
    ],
)
def test_nothing_can_be_put_into_an_impossible_state(stand: Stands, wanted: dict[str, Any]) -> None:
    dialer = stand()
    add(dialer)
    body = {"dialer": "voicery", **wanted}
    assert dialer.send("POST", "/_sandbox/campaign", body).status_code == 422
