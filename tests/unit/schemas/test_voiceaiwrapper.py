from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas.outcomes import Outcome
from leadlane.schemas.voiceaiwrapper import (
    FLAGS,
    Result,
    bad_indices,
    kind,
    problem_text,
    read_accepted,
    read_results,
    refusal,
    refuses,
    resend_safe,
    to_wire,
)

LEAD = {
    "phone_number": "+34600100200",
    "first_name": "Eva",
    "last_name": "Ruiz",
    "email": "eva@example.com",
    "variables": {"plan": "pro", "seats": 5},
}
WIRE = {
    "phone_number": "+34600100200",
    "first_name": "Eva",
    "last_name": "Ruiz",
    "email": "eva@example.com",
    "custom_fields": {"plan": "pro", "seats": "5"},
}
SENT = ["34600100200", "34600100201"]
RE_QUEUE = {"mark_as_unanswered": True}


def test_adds_and_updates_carry_names_email_and_custom_fields() -> None:
    assert to_wire(LEAD, "import") == to_wire(LEAD, "update") == WIRE
    assert next(iter(to_wire(LEAD, "import"))) == "phone_number"


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ({"name": "Eva Ruiz"}, {"first_name": "Eva", "last_name": "Ruiz"}),
        ({"name": "Eva  María Ruiz"}, {"first_name": "Eva", "last_name": "María Ruiz"}),
        ({"name": "Eva"}, {"first_name": "Eva"}),
        ({"name": "E. R.", "last_name": "Ruiz"}, {"last_name": "Ruiz"}),
        ({}, {}),
    ],
)
def test_a_lone_name_is_parted_at_its_first_blank(names: dict[str, str], sent: dict[str, str]) -> None:
    assert to_wire({"phone_number": "+34600100200", **names}, "import") == {
        "phone_number": "+34600100200",
        **sent,
    }


def test_removals_send_nothing_but_the_number() -> None:
    assert to_wire(LEAD, "remove") == {"phone_number": "+34600100200"}


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_goes_with_an_update_only_if_true(flag: str) -> None:
    assert to_wire({**LEAD, flag: True}, "update") == {**WIRE, flag: True}
    assert to_wire({**LEAD, flag: False}, "update") == WIRE
    assert to_wire({**LEAD, flag: True}, "import") == WIRE
    assert refuses({"phone_number": "+34600100200", flag: True}, "update") == ""


def test_updates_are_of_a_kind_by_their_flag_and_one_that_re_queues_is_not_sent_again() -> None:
    wires = [to_wire({**LEAD, **flags}, "update") for flags in ({}, {"do_not_call": True}, RE_QUEUE)]
    assert [kind(wire) for wire in wires] == ["", "do_not_call", "mark_as_unanswered"]
    assert [resend_safe(wire) for wire in wires] == [True, True, False]


def test_nobody_is_opted_out_and_re_queued_at_once() -> None:
    assert "give one of them" in refuses({**LEAD, "do_not_call": True, **RE_QUEUE}, "update")


def item(index: Any, success: Any, number: Any = None, message: str = "") -> dict[str, Any]:
    return {"index": index, "phone_number": number, "success": success, "message": message}


def test_results_are_read_item_by_item_though_the_top_says_success() -> None:
    body = {
        "status": "success",
        "message": "Bulk lead update completed",
        "results": [
            item(1, False, "+34600100201", "Lead not found"),
            item(0, True, "+34600100200", "Lead updated successfully"),
        ],
    }
    assert read_results(body, "update", SENT) == {
        0: Result(Outcome.UPDATED),
        1: Result(Outcome.REJECTED, not_found=True, words="Lead not found"),
    }


def test_a_lead_that_is_not_there_counts_as_removed() -> None:
    body = {"status": "success", "results": [item(0, False, message="Lead not found"), item(1, True)]}
    assert read_results(body, "remove", SENT) == {
        0: Result(Outcome.REMOVED, not_found=True, words="Lead not found"),
        1: Result(Outcome.REMOVED),
    }


def test_a_reason_is_told_without_numbers() -> None:
    body = {"status": "success", "results": [item(0, False, message="34600100200: Invalid email")]}
    assert read_results(body, "update", SENT) == {
        0: Result(Outcome.REJECTED, words="[number]: Invalid email")
    }


@pytest.mark.parametrize(
    "odd",
    [
        item(1, True, "+34600100200"),  # the number of another index
        item(2, True),
        item(-1, True),
        item(True, True),
        item("0", True),
        item(None, True, "+34600100200"),
        item(0, "yes"),
        item(0, None),
        {"index": 0},
        "ok",
    ],
)
def test_an_item_that_cannot_be_believed_is_missing(odd: object) -> None:
    assert read_results({"status": "success", "results": [odd]}, "update", SENT) == {}


@pytest.mark.parametrize(
    "body",
    [
        None,
        "ok",
        [],
        {},
        {"status": "success"},
        {"results": {}},
        {"status": "error", "results": [item(0, True)]},
    ],
)
def test_an_answer_without_results_is_unreadable(body: object) -> None:
    assert read_results(body, "update", SENT) is None


@given(st.lists(st.booleans(), max_size=20).flatmap(lambda items: st.permutations(list(enumerate(items)))))
def test_the_order_of_the_results_is_of_no_account(results: list[tuple[int, bool]]) -> None:
    sent = [str(34600100000 + index) for index in range(len(results))]
    body = {
        "status": "success",
        "results": [item(index, good, f"+{sent[index]}", "no") for index, good in results],
    }
    read = read_results(body, "update", sent)
    assert read is not None
    assert {index: result.outcome is Outcome.UPDATED for index, result in read.items()} == dict(results)


@pytest.mark.parametrize(
    ("body", "accepted", "words"),
    [
        ({"status": "success", "message": "Leads are queued"}, Outcome.ACCEPTED, ""),
        ({"status": "Success"}, Outcome.ACCEPTED, ""),
        ({"status": "error", "message": "Campaign is archived"}, None, "Campaign is archived"),
        ({"status": "error"}, None, "status: error"),
        ({"status": "", "message": ""}, None, "status: ; message:"),
        ({}, None, ""),
        (None, None, ""),
        ([], None, ""),
    ],
)
def test_an_add_is_accepted_if_the_answer_says_so(body: object, accepted: Outcome | None, words: str) -> None:
    assert read_accepted(body) is accepted
    assert refusal(body) == words


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"status": "error", "message": "Invalid email"}, "Invalid email"),
        ({"detail": "Not authenticated"}, "Not authenticated"),
        ({"errors": {"2": ["Invalid email"]}, "message": "Validation failed"}, "2: Invalid email"),
    ],
)
def test_an_error_is_told_whatever_its_shape(body: object, text: str) -> None:
    assert problem_text(body) == text


def test_an_error_that_names_places_names_the_leads() -> None:
    assert bad_indices({"errors": {"2": ["Invalid email"]}}, 3) == {2: "Invalid email"}
