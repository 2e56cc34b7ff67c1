"""What holds for the wire form of every dialer."""

import json
import re
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas import dialnexa, voiceaiwrapper, voicery, voiso
from leadlane.schemas.leads import Clean, LeadSchema, clean

DIALERS = (voiso, voiceaiwrapper, dialnexa, voicery)
OPERATIONS = [(dialer, operation) for dialer in DIALERS for operation in dialer.CARRIES]
REFUSING = [case for case in OPERATIONS if case[0] is not voiso]

FULL: dict[str, Any] = {
    "phone_number": "+493023125000",
    "name": "Ada Lovelace",
    "first_name": "Ada",
    "last_name": "King",
    "email": "ada@example.com",
    "priority": 10,
    "active": False,
    "source": {"system": "crm", "url": "https://example.com/leads/1"},
    "context_headers": {"X-Call-Context": "promo"},
    "variables": {"plan": "gold"},
    "secondary_contacts": [{"phone_number": "+493023125001", "variables": {"role": "boss"}}],
    "do_not_call": True,
    "mark_as_unanswered": True,
    "allow_duplicate": True,
    "external_id": "A-1",
}

every_operation = pytest.mark.parametrize(("dialer", "operation"), OPERATIONS)

text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=10,
)
rows = st.fixed_dictionaries(
    {"phone_number": st.sampled_from(["+493023125000", "+39 06 1234 5678", "+12462501234"])},
    optional={
        "name": text,
        "first_name": text,
        "last_name": text,
        "email": st.just("ada@example.com"),
        "variables": st.dictionaries(text, json_values, max_size=17),
        "secondary_contacts": st.lists(
            st.fixed_dictionaries(
                {"phone_number": st.sampled_from(["+493023125000", "+493023125001"])},
                optional={"variables": st.dictionaries(text, json_values, max_size=3)},
            ),
            max_size=3,
        ),
        "do_not_call": st.booleans(),
        "allow_duplicate": st.booleans(),
    },
)
ANSWER_KEYS = (
    "status",
    "success",
    "message",
    "data",
    "results",
    "errors",
    "error",
    "detail",
    "id",
    "leads_created",
    "leads_skipped",
)
items = st.dictionaries(st.sampled_from(["index", "success", "message", "phone_number", "id"]), json_values)
bodies = json_values | st.dictionaries(
    st.sampled_from(ANSWER_KEYS), json_values | st.just("success") | items | st.lists(items, max_size=3)
)


def test_only_canonical_fields_are_carried() -> None:
    for dialer, operation in OPERATIONS:
        assert "phone_number" in dialer.CARRIES[operation]
        assert dialer.CARRIES[operation] <= LeadSchema().fields.keys()


@every_operation
def test_what_is_not_carried_changes_nothing(dialer: ModuleType, operation: str) -> None:
    carried = {field: value for field, value in FULL.items() if field in dialer.CARRIES[operation]}
    assert dialer.to_wire(FULL, operation) == dialer.to_wire(carried, operation)


@every_operation
def test_each_carried_field_reaches_the_dialer(dialer: ModuleType, operation: str) -> None:
    bare = {"phone_number": "+493023125000"}
    for field in dialer.CARRIES[operation] - {"phone_number"}:
        assert dialer.to_wire({**bare, field: FULL[field]}, operation) != dialer.to_wire(bare, operation)


@every_operation
def test_a_full_lead_can_be_sent(dialer: ModuleType, operation: str) -> None:
    if (dialer, operation) in REFUSING:
        lead = {field: value for field, value in FULL.items() if field != "mark_as_unanswered"}
        assert dialer.refuses(lead, operation) == ""


@pytest.mark.parametrize(("dialer", "operation"), REFUSING)
def test_an_update_of_nothing_is_refused(dialer: ModuleType, operation: str) -> None:
    problem = dialer.refuses({"phone_number": "+493023125000"}, operation)
    assert ("nothing to update" in problem) == (operation == "update")


@given(rows)
def test_every_clean_lead_has_a_wire_form_that_is_json_of_texts(row: dict[str, Any]) -> None:
    for item in clean([row], region=None):
        if not isinstance(item, Clean):
            continue
        for dialer, operation in OPERATIONS:
            wire = dialer.to_wire(item.lead, operation)
            assert json.loads(json.dumps(wire)) == wire
            for field in ("notes", "variables", "custom_fields"):
                assert all(isinstance(value, str) for value in wire.get(field, {"": ""}).values())


@given(rows)
def test_a_refusal_names_no_number(row: dict[str, Any]) -> None:
    for item in clean([row], region=None):
        if isinstance(item, Clean):
            for dialer, operation in REFUSING:
                assert not re.search(r"\d{5}", dialer.refuses(item.lead, operation))


@given(bodies)
def test_no_body_is_too_strange_to_be_read(body: object) -> None:
    for dialer in DIALERS:
        assert len(dialer.problem_text(body)) <= 300
    voiceaiwrapper.refusal(body)
    voiceaiwrapper.read_accepted(body)
    voiceaiwrapper.read_results(body, "update", ["493023125000"])
    dialnexa.read_answer(body, "import")
    dialnexa.read_upload(body, 1)
    dialnexa.blocks_destination(body)
    voicery.read_answer(body, "import")
    voicery.read_answer(body, "update")
    voicery.is_duplicate(body)


@pytest.mark.parametrize("dialer", DIALERS)
@pytest.mark.parametrize("key", ["error", "errors", "message", "detail", "odd"])
def test_an_error_is_told_without_numbers(dialer: ModuleType, key: str) -> None:
    told = dialer.problem_text({key: {"phone": ["+49 (30) 23125-000 is bad"]}})
    assert told.endswith("phone: [number] is bad")


@pytest.mark.parametrize(
    ("dialer", "given_id", "canonical"),
    [
        (voiceaiwrapper, "camp_abc123", "camp_abc123"),
        (voiceaiwrapper, "Vm9pY2VDYW1wYWlnbjoxMjM=", "Vm9pY2VDYW1wYWlnbjoxMjM="),
        (voiceaiwrapper, "a/b+c=", "a/b+c="),
        (dialnexa, "cmp_xyz789", "cmp_xyz789"),
        (voicery, "4", "4"),
        (voicery, "0004", "4"),
    ],
)
def test_a_campaign_id_has_one_form(dialer: ModuleType, given_id: str, canonical: str) -> None:
    assert dialer.canonical_campaign(given_id) == canonical


@pytest.mark.parametrize(
    ("dialer", "given_id"),
    [
        (voiceaiwrapper, ""),
        (voiceaiwrapper, ".."),
        (voiceaiwrapper, "a b"),
        (voiceaiwrapper, "Vm9pY2U%3D"),
        (voiceaiwrapper, "cämp"),
        (voiceaiwrapper, "camp\n"),
        (dialnexa, "3"),
        (dialnexa, "cmp_"),
        (dialnexa, "cmp_a/b"),
        (dialnexa, "cmp_a\n"),
        (dialnexa, "CMP_a"),
        (voicery, "cmp_a"),
        (voicery, "0"),
        (voicery, "-4"),
        (voicery, "4.0"),
        (voicery, "٤"),
    ],
)
def test_what_is_no_campaign_id_is_refused_with_a_right_one(dialer: ModuleType, given_id: str) -> None:
    with pytest.raises(ValueError, match=r"is not a \w+ campaign id; .*, e\.g\. "):
        dialer.canonical_campaign(given_id)
