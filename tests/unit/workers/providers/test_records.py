"""Each dialer's record: its calls byte for byte as its pages show them, and what its answers mean."""

import json
import string
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from leadlane.schemas.settings import Rate
from leadlane.schemas.settings_schema import PROVIDERS as NAMES
from leadlane.workers.providers import PROVIDERS, Operation, Provider
from leadlane.workers.providers.contract import CallRefusedError
from tests.unit.workers.desk import KEY, Desk

RECORDS = [
    pytest.param(provider, operation, id=f"{provider.name}-{name}")
    for provider in PROVIDERS.values()
    for name, operation in provider.operations.items()
]
NUMBER = "+919876543210"


def operation(provider: str, name: str) -> Operation:
    return PROVIDERS[provider].operations[name]


def sent(
    provider: str, campaign: str, rows: list[object], name: str = "import", known: str = ""
) -> httpx.Request:
    """The one request that a batch makes."""
    seen: list[httpx.Request] = []

    def dialer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"status": "success", "id": "lead_1", "data": {"id": 1}})

    desk = Desk(dialer, provider, campaign)
    if known:
        desk.engine.lead_ids.keep("acct", campaign, NUMBER[1:], known)
    desk.turn(desk.put(rows, name))
    (request,) = seen
    return request


def path(request: httpx.Request) -> str:
    """As it goes over the wire."""
    return request.url.raw_path.decode()


# All of them ------------------------------------------------------------------------------------------


def test_settings_and_records_name_the_same_dialers() -> None:
    assert sorted(NAMES) == sorted(PROVIDERS) == sorted(provider.name for provider in PROVIDERS.values())


@pytest.mark.parametrize(("provider", "operation"), RECORDS)
def test_a_record_is_whole(provider: Any, operation: Operation) -> None:
    names = {name for _, name, _, _ in string.Formatter().parse(operation.path) if name}
    assert names <= {"campaign", "lead"}
    assert operation.path.startswith("/")
    assert urlsplit(operation.source).scheme == urlsplit(provider.source).scheme == "https"
    assert 1 <= operation.leads_per_call <= 1000
    assert "phone_number" in operation.carries
    assert all(Rate.parse(text).count for text in provider.rates)
    assert provider.parallel >= 1
    assert not operation.by_id or operation.leads_per_call == 1  # slices alone look ids up
    assert KEY in provider.headers(KEY)["Authorization"]


@pytest.mark.parametrize(("provider", "operation"), RECORDS)
@pytest.mark.parametrize(
    "body", [None, "text", 5, [], {}, [[]], {"data": None}, {"results": 3}, {"errors": {}}]
)
def test_no_answer_makes_a_reader_fail_otherwise_than_it_says(
    provider: Any, operation: Operation, body: Any
) -> None:
    try:
        reading = operation.read(body, ["919876543210"])
    except (ValueError, CallRefusedError):
        pass
    else:
        assert reading.all != "c"
    assert operation.judge(200, body) in ("", "d")
    assert isinstance(provider.problem(body), str)


# DialNexa ----------------------------------------------------------------------------------------------


def test_a_lead_for_dialnexa_is_as_on_its_page() -> None:
    notes = {"loan_amount": "250000", "product": "home_loan", "last_contact": "2024-01-15"}
    request = sent(
        "dialnexa", "cmp_xyz789", [{"phone_number": NUMBER, "name": "Priya Sharma", "variables": notes}]
    )
    assert (request.method, path(request)) == ("POST", "/v1/campaigns-leads")
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {
        "name": "Priya Sharma",
        "phoneNumber": "9876543210",
        "campaignId": "cmp_xyz789",
        "countryCode": "+91",
        "notes": notes,
    }


def test_a_lead_of_dialnexa_is_named_by_its_id_encoded() -> None:
    row: list[object] = [{"phone_number": NUMBER, "name": "Priya", "variables": {"plan": "gold"}}]
    request = sent("dialnexa", "cmp_1", row, "update", known="lead/a b?")
    assert (request.method, path(request)) == ("PATCH", "/v1/campaigns-leads/lead%2Fa%20b%3F")
    assert json.loads(request.content) == {"name": "Priya", "notes": {"plan": "gold"}}
    request = sent("dialnexa", "cmp_1", [{"phone_number": NUMBER}], "remove", known="lead_7")
    assert (request.method, path(request), request.content) == ("DELETE", "/v1/campaigns-leads/lead_7", b"")
    assert "content-type" not in request.headers


@pytest.mark.parametrize(
    ("name", "status", "words", "code"),
    [
        ("import", 403, "Destination is blocked by workspace telephony settings", "r"),
        ("import", 403, "Forbidden", ""),
        ("import", 422, "blocked", ""),
        ("import", 409, "Campaign is paused", ""),
        ("update", 404, "Lead not found", "r"),
        ("update", 409, "Lead is completed", "r"),
        ("update", 400, "bad", ""),
        ("remove", 404, "Lead not found", "m"),
        ("remove", 409, "Campaign is completed", "r"),
        ("remove", 429, "slow down", ""),
    ],
)
def test_refusals_of_dialnexa_that_are_about_one_lead(name: str, status: int, words: str, code: str) -> None:
    assert operation("dialnexa", name).judge(status, {"statusCode": status, "message": words}) == code


@pytest.mark.parametrize(
    "body",
    [
        {"id": "lead_abc123", "status": "completed", "notes": {}},
        {"id": "lead_abc123", "status": "pending", "metadata": {}, "campaign_id": "cmp_5tw8vz2rnx1q"},
    ],
)
def test_both_samples_of_dialnexas_answer_are_read(body: dict[str, Any]) -> None:
    reading = operation("dialnexa", "import").read(body, ["919876543210"])
    assert (reading.all, reading.lead_id) == ("c", "lead_abc123")


def test_dialnexa_is_never_asked_twice_for_one_lead_but_may_be_for_changes() -> None:
    may = {name: operation("dialnexa", name).resend_safe("{}") for name in ("import", "update", "remove")}
    assert may == {"import": False, "update": True, "remove": True}


@pytest.mark.parametrize(
    ("status", "closed"), [("completed", True), ("cancelled", True), ("paused", False), (None, False)]
)
def test_a_campaign_of_dialnexa_that_is_over_takes_no_leads(status: str | None, closed: bool) -> None:
    look = PROVIDERS["dialnexa"].look
    assert look is not None
    assert bool(look.closed({"status": status})) == closed


# Voicery -----------------------------------------------------------------------------------------------


def test_a_lead_for_voicery_is_as_on_its_page() -> None:
    contact = {
        "phone_number": "+919876543211",
        "variables": {"customer_name": "Jane", "email": "jane@example.com"},
    }
    row = {
        "phone_number": NUMBER,
        "name": "John Doe",
        "email": "john@example.com",
        "allow_duplicate": True,
        "secondary_contacts": [contact],
    }
    request = sent("voicery", "123", [row])
    assert (request.method, path(request)) == ("POST", "/api/user/lead")
    assert request.headers["accept"] == "application/json"
    assert json.loads(request.content) == {
        "phone_number": NUMBER,
        "campaign_id": 123,
        "variables": {"customer_name": "John Doe", "email": "john@example.com"},
        "allow_dupplicate": True,
        "secondary_contacts": [contact],
    }


def test_voicery_is_always_told_whether_duplicates_are_wanted() -> None:
    assert json.loads(sent("voicery", "3", [{"phone_number": NUMBER}]).content)["allow_dupplicate"] is False


TAKEN = "already exists in this campaign."


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (422, {"message": f"A lead with this phone number {TAKEN}"}, "d"),
        (422, {"message": "x", "errors": {"phone_number": [f"It {TAKEN}"]}}, "d"),
        (409, {"message": "Duplicate lead"}, "d"),
        (
            422,
            {"message": f"It {TAKEN}", "errors": {"secondary_contacts.0.phone_number": [f"It {TAKEN}"]}},
            "",
        ),
        (422, {"message": "The allow_dupplicate field must be a boolean."}, ""),
        (500, {"message": "Duplicate entry"}, ""),
        (422, None, ""),
    ],
)
def test_voicerys_words_for_a_duplicate(status: int, body: Any, code: str) -> None:
    assert operation("voicery", "import").judge(status, body) == code


@pytest.mark.parametrize(
    ("body", "lead_id"),
    [
        ({"data": {"id": 71}}, "71"),
        ({"data": [{"id": "71"}]}, "71"),
        ({"id": 71}, "71"),
        ([{"id": 71}], "71"),
    ],
)
def test_older_forms_of_voicerys_answer_are_read(body: Any, lead_id: str) -> None:
    reading = operation("voicery", "import").read(body, ["919876543210"])
    assert (reading.all, reading.lead_id) == ("c", lead_id)


# VoiceAIWrapper ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method", "below"),
    [("import", "POST", "bulk"), ("update", "PATCH", "update/bulk"), ("remove", "DELETE", "remove/bulk")],
)
def test_calls_of_voiceaiwrapper_encode_the_campaign_and_carry_an_array(
    name: str, method: str, below: str
) -> None:
    rows: list[object] = [{"phone_number": "+14155552671", "first_name": "Jane", "last_name": "Smith"}]
    request = sent("voiceaiwrapper", "Vm9p+/Y2U=", rows, name)
    assert (request.method, path(request)) == (
        method,
        f"/api/v2/voice-campaigns/Vm9p%2B%2FY2U%3D/leads/{below}",
    )
    rest = {} if name == "remove" else {"first_name": "Jane", "last_name": "Smith"}
    assert json.loads(request.content) == [{"phone_number": "+14155552671", **rest}]
    assert request.headers["content-type"] == "application/json"


def test_an_opt_out_reaches_voiceaiwrapper_as_on_its_page() -> None:
    request = sent(
        "voiceaiwrapper", "camp_abc123", [{"phone_number": "+14155559999", "do_not_call": True}], "update"
    )
    assert json.loads(request.content) == [{"phone_number": "+14155559999", "do_not_call": True}]


RESULTS = {
    "status": "success",
    "message": "Bulk lead update completed",
    "results": [
        {"index": 0, "phone_number": "+14155552671", "success": True, "message": "Lead updated successfully"},
        {"index": 1, "phone_number": "+14155559999", "success": False, "message": "Lead not found"},
        {"index": 2, "phone_number": "+14155550000", "success": False, "message": "Bad e-mail"},
    ],
}
SENT = ["14155552671", "14155559999", "14155550000"]


@pytest.mark.parametrize(("name", "done", "in_the_end"), [("update", "u", "r"), ("remove", "m", "m")])
def test_what_voiceaiwrapper_does_not_find_is_asked_for_again_and_then_ends(
    name: str, done: str, in_the_end: str
) -> None:
    """An add is only queued there: the lead may still come, also the one that is to be removed."""
    reading = operation("voiceaiwrapper", name).read(RESULTS, SENT)
    assert reading.codes == {SENT[0]: done, SENT[2]: "r"}
    assert reading.later == {SENT[1]: in_the_end}


def test_an_add_to_voiceaiwrapper_is_accepted_and_no_more() -> None:
    add = operation("voiceaiwrapper", "import")
    assert add.read({"status": "success", "message": "Leads are queued"}, SENT).all == "a"
    assert not add.resend_safe("{}")
    with pytest.raises(CallRefusedError, match="quota"):
        add.read({"status": "error", "message": "quota is used up"}, SENT)


def test_a_lead_that_voiceaiwrapper_does_not_know_yet_is_asked_for_a_minute_and_costs_no_attempt() -> None:
    body = {"status": "success", "results": [{"index": 0, "success": False, "message": "Lead not found"}]}
    calls: list[httpx.Request] = []

    def dialer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(200, json=body)

    desk = Desk(dialer, "voiceaiwrapper", "camp_1", lost_call_s=0.0)
    ticket = desk.put([{"phone_number": "+14155559999"}], "remove")
    for _ in range(40):
        if desk.turn(ticket).verdict == "done":
            break
        desk.later(5)
    assert desk.codes(ticket) == "m"
    assert 11 <= len(calls) <= 14
    assert int(desk.fields(ticket)["attempts"]) <= 1


# Voiso --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "name"), [("POST", "import"), ("PUT", "update")])
def test_calls_of_voiso_carry_an_array(method: str, name: str) -> None:
    request = sent("voiso", "3", [{"phone_number": NUMBER, "first_name": "Ada"}], name)
    assert (request.method, path(request)) == (method, "/api/v4/campaigns/3/leads")
    (lead,) = json.loads(request.content)
    assert next(iter(lead)) == "phone_number"


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_what_tells_a_dialer_of_an_opt_out_goes_to_somebody_who_has_opted_out(provider: Provider) -> None:
    """Else it would be kept back with all the rest, and the dialer would call on."""
    lead = {"phone_number": "+12125550101"}
    if provider.opt_out:
        operation = provider.operations[provider.opt_out.operation]
        assert operation.silences(json.dumps(operation.wire({**lead, **provider.opt_out.fields})))
    for name, operation in provider.operations.items():
        wire = json.dumps(operation.wire({**lead, "name": "Ada Low", "active": True}))
        assert operation.silences(wire) == (name == "remove"), name


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS)
def test_every_number_of_a_wire_lead_is_known_and_can_be_left_out(provider: Provider) -> None:
    contacts = [{"phone_number": "+12125550102"}, {"phone_number": "+12125550103"}]
    operation = provider.operations["import"]
    lead = {"phone_number": "+12125550101", "name": "Ada Low", "secondary_contacts": contacts}
    wire = json.dumps(operation.wire(lead))
    assert set(operation.others(wire)) == {n for n in ("12125550102", "12125550103") if n in wire}
    assert "12125550102" not in operation.without(wire, {"12125550102"})
