import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import ValidationError

from leadlane.schemas.leads import Clean, clean
from leadlane.schemas.outcomes import Outcome
from leadlane.schemas.voiso import (
    CARRIES,
    WireLeadSchema,
    bad_indices,
    problem_text,
    read_answer,
    read_outcomes,
    to_wire,
)

FULL = {
    "phone_number": "+493023125000",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "priority": 10,
    "active": False,
    "source": {"system": "crm", "url": "https://example.com/leads/1"},
    "context_headers": {"X-Call-Context": "promo"},
    "variables": {"plan": "gold"},
    "external_id": "A-1",
    "do_not_call": False,
}


def test_an_import_carries_what_voisos_page_names() -> None:
    wire = to_wire(FULL, "import")
    assert wire == {
        "phone_number": "493023125000",
        "name": "Ada Lovelace",
        "source": {"system": "crm", "url": "https://example.com/leads/1"},
        "priority": 10,
        "active": False,
        "context_headers": {"X-Call-Context": "promo"},
    }
    assert next(iter(wire)) == "phone_number"


def test_an_update_leaves_the_headers_out() -> None:
    assert to_wire(FULL, "import").keys() - to_wire(FULL, "update").keys() == {"context_headers"}
    assert CARRIES["import"] - CARRIES["update"] == {"context_headers"}


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"last_name": "Lovelace"}, "Lovelace"),
        ({"name": "A. L.", "first_name": "Ada"}, "A. L."),
        ({}, None),
    ],
)
def test_first_and_last_name_make_the_one_name(names: dict[str, str], sent: str | None) -> None:
    assert to_wire({"phone_number": "+493023125000", **names}, "import").get("name") == sent


def test_an_answers_numbers_are_read_as_digits() -> None:
    body = {
        "leads_import": {
            "created": ["+49 30 23125000", 447700900123],
            "rejected": ["12", None, ""],
            "duplicates": [],
        }
    }
    assert read_answer(body) == {
        "created": ["493023125000", "447700900123"],
        "rejected": ["12"],
        "duplicates": [],
    }
    assert read_outcomes(body, "import") == {
        "493023125000": Outcome.CREATED,
        "447700900123": Outcome.CREATED,
        "12": Outcome.REJECTED,
    }


@pytest.mark.parametrize(
    "body",
    [
        {"leads_update": {"updated": ["1"], "invalid_numbers": ["2"]}},
        {"leads_import": {"created": ["1"], "rejected": ["2"]}},
        {"contacts": ["1"], "invalid_numbers": ["2"]},
        {"result": {"leads": [{"phone_number": "1"}], "not_found": [{"phone_number": "2"}]}},
    ],
)
def test_an_updates_answer_is_read_whatever_its_wrapper(body: object) -> None:
    assert read_outcomes(body, "update") == {"1": Outcome.UPDATED, "2": Outcome.REJECTED}


@pytest.mark.parametrize(
    "body", [None, [], "ok", 5, {}, {"leads_import": 5}, {"leads_import": {"created": 5}}, {"ids": ["1"]}]
)
def test_what_is_no_answer_to_an_import_is_unreadable(body: object) -> None:
    assert read_outcomes(body, "import") is None


def test_an_import_that_names_nobody_is_still_an_answer() -> None:
    """Each of its leads is then a number missing from the answer, which is another matter."""
    assert read_outcomes({"leads_import": {"created": [], "rejected": [], "duplicates": []}}, "import") == {}
    assert read_outcomes({"leads_update": {"updated": []}}, "update") is None


def test_a_number_in_several_lists_ends_as_the_best_of_them() -> None:
    lists = {"created": ["1"], "duplicates": ["1", "2"], "rejected": ["2"]}
    assert read_outcomes({"leads_import": lists}, "import") == {"1": Outcome.CREATED, "2": Outcome.DUPLICATE}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"error": "Bad Request"}, "Bad Request"),
        ({"errors": {"priority": ["must be between 1 and 1000"]}}, "priority: must be between 1 and 1000"),
        ({"errors": {"0": {"name": ["is bad"]}, "1": "gone"}}, "0.name: is bad; 1: gone"),
        ({"errors": ["one", "two"]}, "one; two"),
        ({"message": "who\nknows"}, "message: who knows"),
        ("<html>\n 502 </html>", "<html> 502 </html>"),
        (None, ""),
        ({"error": "lead 493023125000 and +49 (30) 23125-000"}, "lead [number] and [number]"),
        ({"errors": {"493023125000": ["is taken"]}}, "[number]: is taken"),
    ],
)
def test_an_error_is_told_in_the_dialers_words_without_numbers(body: object, text: str) -> None:
    assert problem_text(body) == text


def test_a_long_error_is_cut_and_no_half_number_is_left() -> None:
    for before in range(280, 300):
        text = problem_text({"error": "a" * before + " 493023125000 " + "b" * 500})
        assert len(text) == 300
        assert "4930" not in text


@pytest.mark.parametrize(
    ("errors", "found"),
    [
        ({"0": ["is bad"]}, {0: "is bad"}),
        ({"[3]": ["is bad"]}, {3: "is bad"}),
        ({"leads[3].priority": ["is bad"]}, {3: "priority: is bad"}),
        (
            {"3.priority": ["is bad"], "3.name": ["too"], "4": "no"},
            {3: "priority: is bad; name: too", 4: "no"},
        ),
        ({"3": {"priority": ["is bad"]}}, {3: "priority: is bad"}),
        ({"priority": ["is bad"]}, None),
        ({"3": ["is bad"], "priority": ["is bad"]}, None),
        ({"5": ["there is no such lead"]}, None),
        ({"[3": ["is bad"]}, None),
        ({"493023125000": ["is bad"]}, None),
        ({}, None),
        (["is bad"], None),
    ],
)
def test_bad_leads_are_known_if_every_key_names_a_place(errors: object, found: dict[int, str] | None) -> None:
    assert bad_indices({"errors": errors}, 5) == found


@pytest.mark.parametrize("body", [None, [], "text", {"error": "Bad Request"}])
def test_an_error_without_places_names_no_lead(body: object) -> None:
    assert bad_indices(body, 5) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=10,
)


@given(
    json_values
    | st.fixed_dictionaries({"errors": json_values})
    | st.fixed_dictionaries({"leads_import": json_values})
)
def test_no_body_is_too_strange_to_be_read(body: object) -> None:
    assert len(problem_text(body)) <= 300
    bad_indices(body, 3)
    for number in (number for numbers in read_answer(body).values() for number in numbers):
        assert number.isdecimal()
    read_outcomes(body, "import")
    read_outcomes(body, "update")


@pytest.mark.parametrize("operation", ["import", "update"])
def test_what_we_send_passes_the_strict_schema(operation: Any) -> None:
    wire = to_wire(FULL, operation)
    assert WireLeadSchema().load(json.loads(json.dumps(wire))) == wire


@given(
    st.dictionaries(
        st.from_regex(r"X-[A-Za-z0-9\-_.!~*+]{1,9}", fullmatch=True),
        st.text(st.characters(codec="utf-8")),
        max_size=3,
    ),
    st.text(st.characters(codec="utf-8")),
)
def test_a_clean_lead_passes_the_strict_schema(headers: dict[str, str], name: str) -> None:
    row = {
        "phone_number": "+493023125000",
        "context_headers": headers,
        "name": name,
        "priority": "7",
        "active": "no",
    }
    for item in clean([row], region=None):
        if isinstance(item, Clean):
            WireLeadSchema().load(to_wire(item.lead, "import"))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phone_number": None}, "phone_number"),
        ({"phone_number": "+4930"}, "phone_number"),
        ({"phone_number": ""}, "phone_number"),
        ({"phone_number": 4930}, "phone_number"),
        ({"phone_number": "4930\n"}, "phone_number"),
        ({"priority": 0}, "priority"),
        ({"priority": 1001}, "priority"),
        ({"priority": "10"}, "priority"),
        ({"priority": True}, "priority"),
        ({"active": 1}, "active"),
        ({"active": "true"}, "active"),
        ({"name": 5}, "name"),
        ({"source": {"system": "a", "id": "b"}}, "source"),
        ({"context_headers": {"Call": "a"}}, "context_headers"),
        ({"context_headers": {"X-A": 5}}, "context_headers"),
        ({"email": "a@b"}, "email"),
    ],
)
def test_the_strict_schema_refuses_what_the_page_does_not_allow(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        WireLeadSchema(many=True).load([{"phone_number": "4930"}, {"phone_number": "4930", **change}])
    assert isinstance(caught.value.messages, dict)
    assert set(caught.value.messages) == {1}
    assert set(caught.value.messages[1]) == {field}
