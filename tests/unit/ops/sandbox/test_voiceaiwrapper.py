"""VoiceAIWrapper: a queue that answers before anything is stored, and results one by one."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from leadlane.ops.sandbox.stage import AnswerLostError
from leadlane.ops.sandbox.voiceaiwrapper import ODD_ID

BASE = "/api/v2/voice-campaigns/camp_3/leads"
ONE, TWO = "+34600100200", "+34600100201"
Stands = Callable[..., Any]


def add(dialer: Any, *numbers: str, **fields: Any) -> Any:
    return dialer.send("POST", f"{BASE}/bulk", [{"phone_number": number, **fields} for number in numbers])


def update(dialer: Any, *numbers: str, **fields: Any) -> Any:
    leads = [{"phone_number": number, **fields} for number in numbers]
    return dialer.send("PATCH", f"{BASE}/update/bulk", leads)


def remove(dialer: Any, *items: dict[str, str]) -> Any:
    return dialer.send("DELETE", f"{BASE}/remove/bulk", list(items))


def verdict(dialer: Any) -> dict[str, Any]:
    found: dict[str, Any] = dialer.verdict("camp_3", "voiceaiwrapper")
    return found


def leads(dialer: Any) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = dialer.leads("camp_3", "voiceaiwrapper")
    return found


def test_an_import_is_only_queued(stand: Stands) -> None:
    answer = add(stand(), ONE, TWO)
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "success", "message": "Leads are queued to be added to the campaign"},
    )


def test_a_lead_is_not_found_until_it_is_through_the_queue(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=2.0)
    add(dialer, ONE)
    for later_s, found in ((1.9, False), (0.1, True)):
        dialer.now += later_s
        assert [row["success"] for row in update(dialer, ONE, first_name="Eva").json()["results"]] == [found]


def test_an_update_tells_of_each_item_and_succeeds_even_if_all_fail(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE)
    assert update(dialer, ONE, TWO, last_name="Diaz").json() == {
        "status": "success",
        "message": "Bulk lead update completed",
        "results": [
            {"index": 0, "phone_number": ONE, "success": True, "message": "Lead updated successfully"},
            {"index": 1, "phone_number": TWO, "success": False, "message": "Lead not found"},
        ],
    }
    assert update(dialer, TWO, last_name="Diaz").json()["status"] == "success"


def test_a_removal_has_a_body_and_an_id_in_it_wins_over_a_number(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE, TWO)
    answer = remove(
        dialer,
        {"phone_number": ONE},
        {"phone_number": ONE, "campaign_lead_id": "VoiceCampaignLead:2"},
        {"campaign_lead_id": "Vm9pY2VDYW1wYWlnbkxlYWQ6Mg=="},
        {"campaign_lead_id": "7"},
    )
    results = answer.json()["results"]
    assert [(row["phone_number"], row["success"]) for row in results] == [
        (ONE, True),
        (TWO, True),
        (None, False),
        (None, False),
    ]
    assert leads(dialer) == {number: {"sent": 1, "stored": 0, "removed": 1} for number in (ONE, TWO)}


def test_a_number_added_twice_is_there_twice_and_a_breach(stand: Stands) -> None:
    dialer = stand()
    add(dialer, ONE)
    add(dialer, ONE)
    assert leads(dialer)[ONE] == {"sent": 2, "stored": 2}
    found = verdict(dialer)
    assert (found["stored_twice"], found["resent_after_answer"], found["breaches"]) == (1, 1, 1)


def test_a_number_added_twice_is_passed_over_if_the_setting_says_so(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_ignores_duplicates=True)
    add(dialer, ONE)
    add(dialer, ONE)
    assert leads(dialer)[ONE] == {"sent": 2, "stored": 1}
    assert verdict(dialer)["stored_twice"] == 0


def test_a_number_that_was_removed_may_come_again(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE)
    remove(dialer, {"phone_number": ONE})
    add(dialer, ONE)
    assert verdict(dialer)["doubled"] == 0


def test_a_number_that_cannot_be_called_is_lost_in_the_queue(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    assert add(dialer, "+34600100000").json()["status"] == "success"
    assert update(dialer, "+34600100000").json()["results"][0]["message"] == "Lead not found"


@pytest.mark.parametrize(
    ("lead", "words"),
    [
        ({}, "phone_number is missing"),
        ({"phone_number": "34600100200"}, "phone_number must be a phone number in E.164 format"),
        ({"phone_number": ONE, "email": "eva"}, "email must be an e-mail address"),
        ({"phone_number": ONE, "custom_fields": {"age": 40}}, "custom_fields must be an object of strings"),
        ({"phone_number": ONE, "first_name": None}, "first_name must be a string"),
        ({"phone_number": ONE, "name": "Eva"}, "name is not permitted"),
        ({"phone_number": ONE, "do_not_call": True}, "do_not_call is not permitted"),
        ("+34600100200", "lead must be an object"),
    ],
)
def test_one_bad_lead_refuses_the_whole_call(stand: Stands, lead: Any, words: str) -> None:
    dialer = stand()
    answer = dialer.send("POST", f"{BASE}/bulk", [{"phone_number": TWO}, lead])
    assert (answer.status_code, answer.json()) == (400, {"status": "error", "message": words})
    assert verdict(dialer)["stored"] == 0


def test_a_poisonous_number_refuses_the_whole_call(stand: Stands) -> None:
    answer = add(stand(poison=["34600100200"], indexed_errors=True), TWO, ONE)
    assert answer.json() == {"status": "error", "message": "1.phone_number is not acceptable"}


@pytest.mark.parametrize("body", [[], {}, "x", [{"phone_number": ONE}] * 101, [{"email": "a@b.example"}]])
def test_a_body_that_is_no_array_of_1_to_100_items_is_refused(stand: Stands, body: Any) -> None:
    for method, path in (("POST", "/bulk"), ("PATCH", "/update/bulk"), ("DELETE", "/remove/bulk")):
        assert stand().send(method, BASE + path, body).status_code == 400


@pytest.mark.parametrize(
    ("campaign", "status"),
    [
        ("camp_500", 200),
        ("camp_501", 404),
        ("camp_03", 404),
        ("3", 404),
        (quote(ODD_ID, safe=""), 200),
        (ODD_ID, 404),
    ],
)
def test_an_id_must_be_encoded_in_a_path(stand: Stands, campaign: str, status: int) -> None:
    path = f"/api/v2/voice-campaigns/{campaign}/leads/bulk"
    assert stand().send("POST", path, [{"phone_number": ONE}]).status_code == status


def test_who_has_no_key_or_comes_too_often_is_refused(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_keys={"slow": ["1/s"]})
    path, body = f"{BASE}/bulk", [{"phone_number": ONE}]
    answers = [dialer.send("POST", path, body, key=key) for key in ("sandbox-key", "slow", "slow")]
    assert [answer.status_code for answer in answers] == [401, 200, 429]
    assert answers[2].headers["retry-after"] == "1"
    assert dialer.get("verify")["dialers"]["voiceaiwrapper"]["over_rate"] == 1


def test_an_opt_out_is_seen_by_the_control(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE)
    update(dialer, ONE, do_not_call=True)
    assert leads(dialer)[ONE] == {"sent": 1, "stored": 1, "do_not_call": True}


def test_a_mark_puts_only_an_answered_lead_back_into_the_queue(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE, TWO)
    dialer.alter("voiceaiwrapper", "camp_3", leads={ONE: "answered"})
    for _ in range(2):
        assert update(dialer, ONE, TWO, mark_as_unanswered=True).status_code == 200
    assert leads(dialer) == {ONE: {"sent": 1, "stored": 1, "requeued": 1}, TWO: {"sent": 1, "stored": 1}}


def test_a_mark_is_an_operation_of_its_own_and_faults_find_it(stand: Stands) -> None:
    dialer = stand(voiceaiwrapper_visible_after_s=0)
    add(dialer, ONE)
    dialer.fault("status", match={"operation": "mark_as_unanswered", "campaign": "camp_3"}, status=500)
    assert update(dialer, ONE, mark_as_unanswered=False).status_code == 200
    assert update(dialer, ONE, mark_as_unanswered=True).status_code == 500
    operations = [row["operation"] for row in dialer.get("audit")["requests"]]
    assert operations == ["import", "update", "mark_as_unanswered"]


@pytest.mark.parametrize(
    ("fault", "resent"),
    [
        ({"fault": "drop_before"}, 1),
        ({"fault": "drop_after"}, 1),
        ({"fault": "truncated_json"}, 1),
        ({"fault": "status", "status": 502}, 1),
        ({"fault": "status", "status": 503}, 0),
        ({"fault": "status", "status": 429}, 0),
    ],
)
@pytest.mark.parametrize(
    "send", [add, lambda dialer, number: update(dialer, number, mark_as_unanswered=True)]
)
def test_what_must_not_be_repeated_blindly_is_counted_when_it_is(
    stand: Stands, send: Callable[..., Any], fault: dict[str, Any], resent: int
) -> None:
    dialer = stand()
    dialer.fault(**fault, times=1)
    try:
        send(dialer, ONE)
    except AnswerLostError:
        pass
    send(dialer, ONE)
    assert verdict(dialer)["resent_after_silence"] == resent
    send(dialer, ONE)
    assert verdict(dialer)["resent_after_silence"] == resent


def test_calls_of_a_campaign_that_overlap_are_counted_but_not_refused(stand: Stands) -> None:
    dialer = stand(call_time_s=5.0)
    during: list[int] = []

    async def sleep(seconds: float) -> None:
        dialer.sleep = type(dialer).sleep.__get__(dialer)
        async with dialer.client() as client:
            answer = await client.post(f"{BASE}/bulk", json=[{"phone_number": TWO}])
            during.append(answer.status_code)

    dialer.sleep = sleep
    assert (add(dialer, ONE).status_code, during) == (200, [200])
    found = verdict(dialer)
    assert (found["most_at_once"], found["too_early"], found["breaches"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "wanted",
    [
        {"campaign": "camp_501", "leads": {}},
        {"campaign": "camp_3", "status": "paused"},
        {"campaign": "camp_3", "leads": {ONE: "asleep"}},
        {"campaign": "camp_3", "leads": {TWO: "answered"}},
    ],
)
def test_a_lead_cannot_be_put_into_an_impossible_state(stand: Stands, wanted: dict[str, Any]) -> None:
    dialer = stand()
    add(dialer, ONE)
    body = {"dialer": "voiceaiwrapper", **wanted}
    assert dialer.send("POST", "/_sandbox/campaign", body).status_code == 422
