import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas.outcomes import Outcome
from leadlane.schemas.voicery import (
    is_duplicate,
    problem_text,
    read_answer,
    resend_safe,
    secondary_numbers,
    to_wire,
    with_campaign,
    without_numbers,
)
from leadlane.schemas.wire import Taken

PHONE = "+34600100200"
CREATED = {
    "message": "Lead created successfully",
    "data": {"id": 71, "campaign_id": 4, "phone_number": PHONE, "status": "created"},
}


def test_an_import_is_what_voicerys_page_shows() -> None:
    lead = {
        "phone_number": PHONE,
        "name": "Eva Ruiz",
        "email": "eva@example.com",
        "variables": {"plan": "pro", "seats": 5},
        "allow_duplicate": True,
        "secondary_contacts": [
            {"phone_number": "+34600100201", "variables": {"customer_name": "Luz", "age": 40}},
            {"phone_number": "+34600100202"},
        ],
    }
    assert with_campaign(to_wire(lead, "import"), "4") == {
        "phone_number": PHONE,
        "campaign_id": 4,
        "variables": {"customer_name": "Eva Ruiz", "email": "eva@example.com", "plan": "pro", "seats": "5"},
        "allow_dupplicate": True,
        "secondary_contacts": [
            {"phone_number": "+34600100201", "variables": {"customer_name": "Luz", "age": "40"}},
            {"phone_number": "+34600100202"},
        ],
    }


def test_duplicates_are_forbidden_unless_allowed_in_so_many_words() -> None:
    assert to_wire({"phone_number": PHONE}, "import") == {"phone_number": PHONE, "allow_dupplicate": False}


def test_variables_of_the_leads_own_win_over_the_convention() -> None:
    lead = {"phone_number": PHONE, "name": "Eva Ruiz", "variables": {"customer_name": "Sra. Ruiz"}}
    assert to_wire(lead, "import")["variables"] == {"customer_name": "Sra. Ruiz"}


def test_an_update_is_what_changes_and_a_removal_is_nothing() -> None:
    lead = {"phone_number": PHONE, "first_name": "Eva", "variables": {"plan": "pro"}, "allow_duplicate": True}
    assert to_wire(lead, "update") == {"variables": {"customer_name": "Eva", "plan": "pro"}}
    assert to_wire(lead, "remove") == {}


def test_a_contact_with_a_number_that_the_lead_has_already_is_left_out() -> None:
    contacts = [{"phone_number": number} for number in (PHONE, "+34600100201", "+34600100201")]
    wire = to_wire({"phone_number": PHONE, "secondary_contacts": contacts}, "import")
    assert wire["secondary_contacts"] == [{"phone_number": "+34600100201"}]
    assert "secondary_contacts" not in to_wire(
        {"phone_number": PHONE, "secondary_contacts": contacts[:1]}, "import"
    )


numbers = st.integers(min_value=34600100200, max_value=34600100209).map(str)


@given(st.lists(numbers, max_size=8), st.sets(numbers))
def test_no_contact_is_left_whose_number_is_taken_out(contacts: list[str], out: set[str]) -> None:
    lead = {"phone_number": PHONE, "secondary_contacts": [{"phone_number": f"+{n}"} for n in contacts]}
    wire = to_wire(lead, "import")
    left = without_numbers(wire, out)
    assert secondary_numbers(left) == [n for n in secondary_numbers(wire) if n not in out]
    assert {**left, "secondary_contacts": 0} == {**wire, "secondary_contacts": 0}


def test_only_with_duplicates_allowed_is_sending_again_unsafe() -> None:
    assert not resend_safe(to_wire({"phone_number": PHONE, "allow_duplicate": True}, "import"))
    assert resend_safe(to_wire({"phone_number": PHONE}, "import"))
    assert resend_safe(to_wire({"phone_number": PHONE, "name": "Eva"}, "update"))


@pytest.mark.parametrize(
    "body",
    [
        CREATED,
        {**CREATED, "data": {"id": "71"}},
        {**CREATED, "data": [{"id": 71}]},
        [{"id": 71}],
        {"id": 71},
    ],
)
def test_an_import_gives_the_leads_id(body: object) -> None:
    assert read_answer(body, "import") == Taken(Outcome.CREATED, "71")


@pytest.mark.parametrize(
    "body",
    [None, "ok", [], {}, {"message": "ok"}, {"data": [{"id": 1}, {"id": 2}]}, {**CREATED, "success": False}],
)
def test_an_import_without_one_lead_is_unreadable(body: object) -> None:
    assert read_answer(body, "import") is None


def test_an_import_may_be_refused_with_a_good_status() -> None:
    body = {"success": False, "message": "Lead already exists in this campaign"}
    assert read_answer(body, "import") == Taken(Outcome.DUPLICATE)
    assert read_answer({"message": body["message"]}, "import") == Taken(Outcome.DUPLICATE)


@pytest.mark.parametrize("body", [{"message": "Lead updated successfully"}, {}, None])
def test_an_update_or_removal_is_done_by_its_status(body: object) -> None:
    assert read_answer(body, "update") == Taken(Outcome.UPDATED)
    assert read_answer(body, "remove") == Taken(Outcome.REMOVED)
    assert read_answer({"success": False}, "update") is None


@pytest.mark.parametrize(
    "body",
    [
        {"message": "Duplicate lead"},
        {"message": "Lead already exists in campaign"},
        {"message": "There is an existing lead with this number"},
        {"message": "The given data was invalid.", "errors": {"phone_number": ["has already been taken."]}},
        {"error": "lead is duplicated; set allow_dupplicate"},
    ],
)
def test_a_refused_duplicate_is_recognised(body: object) -> None:
    assert is_duplicate(body)


@pytest.mark.parametrize(
    "body",
    [
        {"message": "The allow dupplicate field must be true or false."},
        {"message": "Invalid", "errors": {"allow_dupplicate": ["must be a boolean"]}},
        {"message": "The campaign has already ended"},
        {"message": "The selected campaign id is invalid."},
        {"data": {"note": "duplicate"}},
        "duplicate",
        None,
    ],
)
def test_another_refusal_is_no_duplicate(body: object) -> None:
    assert not is_duplicate(body)


def test_the_words_for_a_duplicate_can_be_others() -> None:
    body: dict[str, Any] = {"message": "El contacto ya existe"}
    assert not is_duplicate(body)
    assert is_duplicate(body, re.compile("ya existe"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "Lead not found"}, "Lead not found"),
        ({"message": "Invalid", "errors": {"campaign_id": ["is required"]}}, "campaign_id: is required"),
    ],
)
def test_an_error_is_told_in_both_shapes(body: object, text: str) -> None:
    assert problem_text(body) == text
