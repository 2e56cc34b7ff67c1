"""DialNexa: one lead a call, known by its id, stored as often as it comes."""

from collections.abc import Callable
from typing import Any

import pytest

from leadlane.ops.sandbox.stage import AnswerLostError

LEADS = "/v1/campaigns-leads"
LEAD: dict[str, Any] = {
    "name": "A. Rao",
    "phoneNumber": "9811100022",
    "campaignId": "cmp_3",
    "countryCode": "+91",
}
NUMBER = "+919811100022"
WIDE = ",".join(["phone_number", *map(str, range(16))])
Stands = Callable[..., Any]


@pytest.fixture
def dialer(stand: Stands) -> Any:
    return stand(dialnexa_keys={"sandbox-key": ["100/s"]})


def add(dialer: Any, **change: Any) -> Any:
    return dialer.send("POST", LEADS, {**LEAD, **change})


def verdict(dialer: Any, campaign: str = "cmp_3") -> dict[str, Any]:
    found: dict[str, Any] = dialer.verdict(campaign, "dialnexa")
    return found


def upload(dialer: Any, text: str | bytes, *, name: str = "leads.csv", campaign: str = "cmp_3") -> Any:
    content = text.encode() if isinstance(text, str) else text
    return dialer.send("POST", f"{LEADS}/upload-file/{campaign}", files={"file": (name, content)})


def test_a_lead_comes_back_with_an_id(dialer: Any) -> None:
    answer = add(dialer, notes={"plan": "gold"})
    assert answer.status_code == 201
    assert answer.json() == {
        "id": "lead_1",
        "name": "A. Rao",
        "phone_number": NUMBER,
        "campaign_id": "cmp_3",
        "status": "pending",
        "notes": {"plan": "gold"},
        "call_log_id": None,
        "created_at": "2023-11-14T22:30:00.000Z",
    }
    assert dialer.send("GET", f"{LEADS}/lead_1").json() == answer.json()


def test_the_country_is_india_unless_it_is_named(dialer: Any) -> None:
    lead = {name: value for name, value in LEAD.items() if name != "countryCode"}
    assert dialer.send("POST", LEADS, lead).json()["phone_number"] == NUMBER
    assert add(dialer, countryCode="+34", phoneNumber="600100200").json()["phone_number"] == "+34600100200"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": ""}, "name must be a string that is not empty"),
        ({"phoneNumber": "+919811100022"}, "phoneNumber must be a national number in digits"),
        ({"phoneNumber": 9811100022}, "phoneNumber must be a national number in digits"),
        ({"countryCode": "91"}, "countryCode must be a plus and the digits of a country code"),
        ({"notes": {"age": 40}}, "notes must be an object of strings"),
        ({"notes": {f"n{n}": "" for n in range(16)}}, "notes must have no more than 15 keys"),
        ({"email": "a@example.com"}, "email is not permitted"),
        ({"campaignId": None}, "campaignId must be a string that is not empty"),
    ],
)
def test_a_bad_field_is_refused(dialer: Any, change: dict[str, Any], words: str) -> None:
    answer = add(dialer, **change)
    assert (answer.status_code, answer.json()) == (
        400,
        {"statusCode": 400, "message": [words], "error": "Bad Request"},
    )


def test_fifteen_notes_are_taken(dialer: Any) -> None:
    assert add(dialer, notes={f"n{n}": "" for n in range(15)}).status_code == 201


@pytest.mark.parametrize("body", [[LEAD], [], "x"])
def test_one_call_holds_one_lead(dialer: Any, body: Any) -> None:
    assert dialer.send("POST", LEADS, body).status_code == 400


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"countryCode": "+881", "phoneNumber": "612345678"}, 403),
        ({"phoneNumber": "9811100000"}, 422),
        ({"phoneNumber": "9811166666"}, 422),
        ({"campaignId": "cmp_501"}, 404),
        ({"campaignId": "3"}, 404),
        ({"campaignId": "cmp_paused"}, 201),
        ({"campaignId": "cmp_completed"}, 409),
        ({"campaignId": "cmp_cancelled"}, 409),
    ],
)
def test_a_lead_goes_only_where_it_can_be_called(stand: Stands, change: dict[str, Any], status: int) -> None:
    assert add(stand(poison=["919811166666"]), **change).status_code == status


def test_a_number_that_comes_twice_is_stored_and_called_twice(dialer: Any) -> None:
    assert [add(dialer).json()["id"] for _ in range(2)] == ["lead_1", "lead_2"]
    assert dialer.leads("cmp_3", "dialnexa") == {NUMBER: {"sent": 2, "stored": 2}}
    found = verdict(dialer)
    assert (found["stored_twice"], found["resent_after_answer"], found["doubled"], found["breaches"]) == (
        1,
        1,
        2,
        1,
    )
    assert dialer.get("verify")["dialers"]["dialnexa"]["stored_twice"] == 1


def test_a_lead_sent_again_after_silence_is_counted(dialer: Any) -> None:
    dialer.fault("drop_after", match={"operation": "import", "campaign": "cmp_3"}, times=1)
    with pytest.raises(AnswerLostError):
        add(dialer)
    add(dialer)
    found = verdict(dialer)
    assert (found["resent_after_silence"], found["stored_twice"], found["resent_after_answer"]) == (1, 1, 0)


def test_a_pending_lead_can_be_changed(stand: Stands) -> None:
    dialer = stand(keep_fields=True)
    add(dialer, notes={"plan": "gold"})
    change = {"name": "Eva", "notes": {"city": "Pune"}, "countryCode": "+34", "phoneNumber": "600100200"}
    answer = dialer.send("PATCH", f"{LEADS}/lead_1", change).json()
    assert (answer["name"], answer["notes"], answer["phone_number"]) == (
        "Eva",
        {"city": "Pune"},
        "+34600100200",
    )
    leads = dialer.leads("cmp_3", "dialnexa")
    assert leads["+34600100200"] == {
        "sent": 1,
        "stored": 1,
        "fields": {"name": "Eva", "notes": {"city": "Pune"}},
    }
    assert (leads[NUMBER]["stored"], verdict(dialer)["doubled"]) == (0, 0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"phone_number": NUMBER}, 400),
        ({"metadata": {}}, 400),
        ({"phoneNumber": "600100200"}, 400),
        ({"countryCode": "+881", "phoneNumber": "612345678"}, 403),
    ],
)
def test_a_change_follows_the_schema_not_the_prose(dialer: Any, change: dict[str, Any], status: int) -> None:
    add(dialer)
    assert dialer.send("PATCH", f"{LEADS}/lead_1", change).status_code == status


@pytest.mark.parametrize("state", ["in_progress", "completed", "failed"])
def test_a_lead_that_was_called_cannot_be_changed(dialer: Any, state: str) -> None:
    add(dialer)
    dialer.alter("dialnexa", "cmp_3", leads={NUMBER: state})
    assert dialer.send("PATCH", f"{LEADS}/lead_1", {"name": "Eva"}).status_code == 409
    seen = dialer.send("GET", f"{LEADS}/lead_1").json()
    assert (seen["status"], seen["call_log_id"]) == (state, "log_lead_1")


def test_a_removed_lead_is_gone_and_its_number_may_come_again(dialer: Any) -> None:
    add(dialer)
    assert dialer.send("DELETE", f"{LEADS}/lead_1").status_code == 200
    assert dialer.send("DELETE", f"{LEADS}/lead_1").status_code == 404
    assert dialer.send("PATCH", f"{LEADS}/lead_1", {"name": "Eva"}).status_code == 409
    assert dialer.send("GET", f"{LEADS}/lead_1").json()["status"] == "removed"
    add(dialer)
    assert dialer.leads("cmp_3", "dialnexa")[NUMBER] == {"sent": 2, "stored": 1, "removed": 1}
    assert verdict(dialer)["doubled"] == 0


def test_a_lead_of_a_campaign_that_is_over_stays(dialer: Any) -> None:
    add(dialer)
    dialer.alter("dialnexa", "cmp_3", status="completed")
    assert dialer.send("DELETE", f"{LEADS}/lead_1").status_code == 409


def test_an_unknown_lead_is_not_found(dialer: Any) -> None:
    answer = dialer.send("GET", f"{LEADS}/lead_9")
    assert answer.json() == {"statusCode": 404, "message": "Lead not found", "error": "Not Found"}


def test_every_answer_tells_the_rate_of_its_key(stand: Stands) -> None:
    dialer = stand(dialnexa_keys={"slow": ["2/10s", "100/m"], "fast": ["50/s"]})
    answers = [dialer.send("GET", "/v1/campaigns/cmp_3", key=key) for key in ("slow", "slow", "fast", "slow")]
    told = [
        tuple(answer.headers[f"x-ratelimit-{name}"] for name in ("limit", "remaining", "reset"))
        for answer in answers
    ]
    reset = str(1_700_001_010)
    assert told == [("2", "1", reset), ("2", "0", reset), ("50", "49", str(1_700_001_001)), ("2", "0", reset)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["retry-after"] == "10"
    assert "x-ratelimit-limit" not in dialer.send("GET", "/v1/campaigns/cmp_3", key="wrong").headers
    dialer.now += 10
    assert dialer.send("GET", "/v1/campaigns/cmp_3", key="slow").status_code == 200
    assert dialer.get("verify")["dialers"]["dialnexa"]["over_rate"] == 1


def test_a_campaign_counts_its_leads(dialer: Any) -> None:
    for number in ("9811100022", "9811100023", "9811100024"):
        add(dialer, phoneNumber=number)
    dialer.alter("dialnexa", "cmp_3", leads={NUMBER: "completed"})
    dialer.send("DELETE", f"{LEADS}/lead_3")
    seen = dialer.send("GET", "/v1/campaigns/cmp_3").json()
    counts = (seen["status"], seen["total_leads"], seen["completed_calls"], seen["pending_calls"])
    assert counts == ("running", 2, 1, 1)


def test_campaigns_come_in_pages(stand: Stands) -> None:
    dialer = stand(campaigns=5)
    page = dialer.send("GET", "/v1/campaigns?page=2&limit=6").json()
    assert [row["id"] for row in page["data"]] == ["cmp_completed", "cmp_cancelled"]
    assert page["meta"] == {"page": 2, "limit": 6, "total": 8, "totalPages": 2}
    assert len(dialer.send("GET", "/v1/campaigns").json()["data"]) == 8
    assert dialer.send("GET", "/v1/campaigns?limit=101").status_code == 400


def test_a_campaign_is_paused_only_if_the_setting_allows_it(stand: Stands) -> None:
    path = "/v1/campaigns/cmp_3"
    assert stand().send("PATCH", path, {"status": "paused"}).status_code == 400
    dialer = stand(dialnexa_pausing=True)
    states = [dialer.send("PATCH", path, {"status": word}).json()["status"] for word in ("paused", "active")]
    assert states == ["paused", "running"]
    assert dialer.send("PATCH", "/v1/campaigns/cmp_cancelled", {"status": "active"}).status_code == 409
    assert dialer.send("PATCH", path, {"max_concurrent_calls": 9}).json()["max_concurrent_calls"] == 9
    operations = [row["operation"] for row in dialer.get("audit")["requests"]]
    assert operations == ["pause", "start", "start", "edit_campaign"]


def test_a_file_is_enrolled_and_rows_without_a_number_are_skipped(dialer: Any) -> None:
    answer = upload(dialer, "phone_number,name,city\n+34600100200,Eva,Vigo\n,Bo,Lugo\n+34600100201,Al,\n")
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "campaign_id": "cmp_3",
            "leads_created": 2,
            "leads_skipped": 1,
            "message": "2 leads added to campaign",
        },
    )
    assert dialer.send("GET", f"{LEADS}/lead_1").json()["notes"] == {"name": "Eva", "city": "Vigo"}
    [record] = dialer.get("audit")["requests"][:1]
    assert (record["operation"], record["size"], record["stored"]) == ("upload_file", 2, 2)


def test_one_row_that_cannot_be_called_refuses_the_file(dialer: Any) -> None:
    answer = upload(dialer, "phone_number\n+34600100200\n+881612345678\n600100200\n+882612345678\n")
    assert (answer.status_code, answer.json()["errors"]) == (
        400,
        [
            {"reason": "The destination is blocked by the workspace's telephony settings", "rows": [3, 5]},
            {"reason": "The phone number is invalid", "rows": [4]},
        ],
    )
    assert verdict(dialer)["stored"] == 0


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("phone\n+34600100200\n", "leads.csv", "The file has no column phone_number"),
        ("phone_number\n+34600100200\n", "leads.txt", "The file must be CSV, XLSX or XLS"),
        ("phone_number\n+34600100200\n", "leads.xls", "The sandbox cannot read XLS; send CSV or XLSX"),
        ("phone_number\n+34600100200\n", "leads.xlsx", "The file is not XLSX"),
        ("", "leads.csv", "The file is empty"),
        (f"phone_number{',' * 15},x", "leads.csv", "The file has two columns of one name"),
        (WIDE, "leads.csv", "The file has more than 15 columns besides phone_number"),
        (b"phone_number\n" + b"\n" * 10_000_000, "leads.csv", "The file is larger than 10 MB"),
    ],
)
def test_a_file_that_is_none_is_refused(dialer: Any, text: str | bytes, name: str, words: str) -> None:
    answer = upload(dialer, text, name=name)
    assert (answer.status_code, answer.json()["message"]) == (400, words)


def test_a_file_sent_again_after_silence_is_counted_lead_by_lead(dialer: Any) -> None:
    dialer.fault("drop_before", match={"operation": "upload_file"}, times=1)
    text = "phone_number\n+34600100200\n+34600100201\n"
    with pytest.raises(AnswerLostError):
        upload(dialer, text)
    upload(dialer, text)
    assert (verdict(dialer)["resent_after_silence"], verdict(dialer)["stored_twice"]) == (2, 0)


def test_a_file_goes_only_into_a_campaign_that_is_not_over(dialer: Any) -> None:
    text = "phone_number\n+34600100200\n"
    statuses = [
        upload(dialer, text, campaign=one).status_code for one in ("cmp_paused", "cmp_completed", "x")
    ]
    assert statuses == [201, 409, 404]


@pytest.mark.parametrize(
    "wanted",
    [
        {"campaign": "cmp_501", "status": "paused"},
        {"campaign": "cmp_3", "status": "asleep"},
        {"campaign": "cmp_3", "live": True},
        {"campaign": "cmp_3", "leads": {NUMBER: "removed"}},
        {"campaign": "cmp_3", "leads": {"+34600100200": "completed"}},
    ],
)
def test_nothing_can_be_put_into_an_impossible_state(dialer: Any, wanted: dict[str, Any]) -> None:
    add(dialer)
    body = {"dialer": "dialnexa", **wanted}
    assert dialer.send("POST", "/_sandbox/campaign", body).status_code == 422
