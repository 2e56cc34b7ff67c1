import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlane.schemas.leads import Clean, Invalid, LeadSchema, clean

PHONE = "+493023125000"


def one(row: object, region: str | None = None) -> Clean | Invalid:
    [found] = clean([row], region=region)
    return found


def lead(**fields: Any) -> dict[str, Any]:
    found = one({"phone_number": PHONE, **fields})
    assert isinstance(found, Clean), found.problems
    return found.lead


def problems(**fields: Any) -> str:
    found = one({"phone_number": PHONE, **fields})
    assert isinstance(found, Invalid)
    return found.problems


def test_a_full_lead_keeps_all_its_fields() -> None:
    full = {
        "phone_number": PHONE,
        "name": "Ada Lovelace",
        "first_name": "Ada",
        "last_name": "Lovelace",
        "email": "ada@example.com",
        "priority": 10,
        "active": True,
        "source": {"system": "crm", "url": "https://example.com/leads/1"},
        "context_headers": {"X-Call-Context": "promo", "X-a1-_.!~*+": "b"},
        "variables": {"plan": {"name": "gold", "seats": [1, 2.5, None, True]}},
        "secondary_contacts": [{"phone_number": PHONE, "variables": {"role": "boss"}}],
        "do_not_call": False,
        "allow_duplicate": True,
        "external_id": "A-1",
    }
    found = one(full)
    assert found == Clean(0, PHONE[1:], full)
    assert list(found.lead) == list(full)


def test_what_files_hold_instead_of_types_is_understood() -> None:
    row = {
        "phone_number": 3023125000,
        "country_code": 49,
        "priority": " 7 ",
        "active": "No",
        "do_not_call": "1",
    }
    found = one(row)
    assert isinstance(found, Clean)
    assert found.lead == {"phone_number": PHONE, "priority": 7, "active": False, "do_not_call": True}
    assert lead(external_id=4711, name="  Ada ")["external_id"] == "4711"
    assert lead(name="  Ada ")["name"] == "Ada"


def test_blank_fields_are_as_good_as_absent() -> None:
    blank = {
        "name": "",
        "email": "  ",
        "priority": None,
        "active": "",
        "country_code": "",
        "source": {"system": "", "url": None},
        "context_headers": {"X-A": ""},
        "variables": {},
        "secondary_contacts": [],
    }
    assert lead(**blank) == {"phone_number": PHONE}


@pytest.mark.parametrize("row", [{}, {"phone_number": None}, {"phone_number": " "}, {"name": "Ada"}])
def test_a_lead_without_a_number_is_told_so(row: dict[str, Any]) -> None:
    found = one(row)
    assert isinstance(found, Invalid)
    assert found.problems.startswith("phone_number: missing; ")


@pytest.mark.parametrize("given", [{"country_code": "+49"}, {"country_code": "de"}, {"country_code": 49}, {}])
def test_a_national_number_is_read_in_the_leads_country_else_the_accounts(given: dict[str, Any]) -> None:
    found = one({"phone_number": "030 23125000", **given}, region="GB" if given else "DE")
    assert isinstance(found, Clean)
    assert found.lead == {"phone_number": PHONE}


def test_secondary_contacts_are_read_in_the_leads_country() -> None:
    row = {
        "phone_number": "030 23125000",
        "country_code": "DE",
        "secondary_contacts": [
            {"phone_number": "030 23125001"},
            {"phone_number": "07700 900123", "country_code": "GB"},
        ],
    }
    found = one(row)
    assert isinstance(found, Clean)
    assert found.lead["secondary_contacts"] == [
        {"phone_number": "+493023125001"},
        {"phone_number": "+447700900123"},
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"phone": "1"}, "phone: unknown; did you mean 'phone_number'?"),
        ({"Last Name": "1"}, "Last Name: unknown; did you mean 'last_name'?"),
        ({"company": "1"}, "company: unknown; put it under variables, or leave it out"),
        ({"source": {"sytem": "crm"}}, "source.sytem: unknown; did you mean 'system'?"),
        ({"source": "crm"}, "source: is not an object; "),
        ({"priority": 0}, "priority: is not a whole number from 1 to 1000; lower is called earlier"),
        ({"priority": 1001}, "priority: is not"),
        ({"priority": 1.0}, "priority: is not"),
        ({"priority": True}, "priority: is not"),
        ({"priority": "high"}, "priority: is not"),
        ({"priority": "²"}, "priority: is not"),
        ({"priority": float("nan")}, "priority: is not"),
        ({"active": "perhaps"}, "active: is neither true nor false; "),
        ({"active": 2}, "active: is neither true nor false; "),
        ({"email": "ada at home"}, "email: is not an e-mail address; "),
        ({"country_code": "Germany"}, "country_code: is not a country; "),
        ({"name": 5}, "name: is not text but a number; "),
        ({"name": "a\x00b"}, "name: holds characters that cannot be sent; "),
        ({"name": "a\ud800b"}, "name: holds characters that cannot be sent; "),
        ({"name": "a" * 2001}, "name: is too long; "),
        ({"context_headers": {"Call": "a"}}, "context_headers.Call: is no header name; "),
        ({"context_headers": {"x-call": "a"}}, "context_headers.x-call: is no header name; "),
        ({"context_headers": {"X-": "a"}}, "context_headers.X-: is no header name; "),
        ({"context_headers": {"X-é": "a"}}, "context_headers.X-é: is no header name; "),
        ({"context_headers": {"X-A\n": "a"}}, "context_headers.X-A?: is no header name; "),
        ({"context_headers": {"X-A": 5}}, "context_headers.X-A: is not text but a number; "),
        ({"context_headers": {"X-A": "a\r\nX-B: b"}}, "context_headers.X-A: holds line breaks"),
        ({"context_headers": ["X-A"]}, "context_headers: is not an object but a list; "),
        ({"variables": {"a": [float("inf")]}}, "variables: holds a number that JSON has not"),
        ({"variables": {"a": 10**30}}, "variables: holds too large a number; "),
        ({"variables": {"a": {1: 2}}}, "variables: has a name that is not text; "),
        ({"variables": {"a": {1, 2}}}, "variables: holds set, which JSON has not; "),
        ({"variables": {"a": "\x00"}}, "variables: holds characters that cannot be sent; "),
        ({"variables": {"a": "b" * 9000}}, "variables: is too large; "),
        ({"variables": {"a": json.loads("[" * 900 + "]" * 900)}}, "variables: is nested too deeply; "),
        ({"secondary_contacts": {}, "name": 1}, "name: is not text"),
        ({"secondary_contacts": "x"}, "secondary_contacts: is not a list; "),
        ({"secondary_contacts": [{}]}, "secondary_contacts[0].phone_number: missing; "),
        ({"secondary_contacts": [3]}, "secondary_contacts[0]: is not an object; "),
        ({"secondary_contacts": [{"phone_number": PHONE}] * 21}, "secondary_contacts: is too long; "),
    ],
)
def test_a_wrong_field_is_told_with_its_remedy(fields: dict[str, Any], said: str) -> None:
    told = problems(**fields)
    assert said in told
    assert told.isprintable()


def test_all_problems_of_a_lead_are_told_at_once() -> None:
    told = problems(priority=0, active="perhaps", nmae="Ada")
    assert [part.partition(":")[0] for part in told.split(" | ")] == ["active", "nmae", "priority"]


@pytest.mark.parametrize("row", [None, 5, "text", [], b"x", ("phone_number", PHONE)])
def test_a_row_that_is_no_object_is_invalid_by_itself(row: object) -> None:
    found = one(row)
    assert isinstance(found, Invalid)
    assert "a lead is an object" in found.problems


def test_wrong_rows_keep_their_place_and_stop_no_other() -> None:
    rows = [{"phone_number": PHONE}, {"phone_number": "12"}, 5, {"phone_number": PHONE}]
    found = list(clean(rows, region=None, start=100))
    assert [type(item) for item in found] == [Clean, Invalid, Invalid, Clean]
    assert [item.index for item in found] == [100, 101, 102, 103]
    assert isinstance(found[1], Invalid)
    assert found[1].phone == "12"


def test_rows_are_read_one_at_a_time() -> None:
    def rows() -> Any:
        yield {"phone_number": PHONE}
        raise OSError("the producer's own")

    found = clean(rows(), region=None)
    assert isinstance(next(found), Clean)
    with pytest.raises(OSError, match="the producer's own"):
        next(found)


def test_strict_accounts_refuse_numbers_of_no_range_in_use() -> None:
    rows = [{"phone_number": "+15550101234"}]
    assert isinstance(next(clean(rows, region=None)), Clean)
    assert isinstance(next(clean(rows, region=None, phone_check="valid")), Invalid)


def test_no_number_stands_in_problems_or_repr() -> None:
    found = one(
        {"phone_number": "030 23125000", "493023125000": 1, "context_headers": {"+49 30 23125000": "a"}}
    )
    assert isinstance(found, Invalid)
    assert found.phone == "030 23125000"
    assert "23125" not in found.problems + repr(found)
    assert "23125" not in repr(one({"phone_number": PHONE}))


def test_a_lead_is_told_before_its_rows_own_mapping_is_changed() -> None:
    row = {"phone_number": PHONE, "variables": {"a": 1}, "name": ""}
    one(row)
    assert row == {"phone_number": PHONE, "variables": {"a": 1}, "name": ""}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from([*LeadSchema().load_fields, "phone", "x"]) | st.text(st.characters(), max_size=8)
phone_like = st.from_regex(r"[+]?[0-9 ()/-]{0,16}", fullmatch=True) | st.integers()
loose_rows = json_like | st.dictionaries(keys, json_like | phone_like | st.just(PHONE), max_size=6)
good_rows = st.fixed_dictionaries(
    {"phone_number": st.just(PHONE)},
    optional={
        "name": st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
        "priority": st.integers(1, 1000),
        "active": st.booleans(),
        "variables": st.dictionaries(st.text("abc"), st.integers(-5, 5) | st.text("abc"), max_size=3),
    },
)


@settings(max_examples=300)
@given(st.lists(loose_rows | good_rows, max_size=4), st.sampled_from([None, "DE", "US"]))
def test_every_row_is_clean_or_invalid_and_can_be_stored(rows: list[object], region: str | None) -> None:
    found = list(clean(rows, region=region))
    assert [item.index for item in found] == list(range(len(rows)))
    for item in found:
        if isinstance(item, Clean):
            json.dumps(item.lead, allow_nan=False, ensure_ascii=False).encode()
            assert item.lead["phone_number"] == "+" + item.digits
            # What is canonical stays as it is.
            assert one(item.lead) == Clean(0, item.digits, item.lead)
        else:
            assert not re.search(r"\d{5}", item.problems)
            assert len(item.problems) <= 600
            json.dumps([item.phone, item.problems], ensure_ascii=False).encode()


@given(good_rows)
def test_a_right_lead_is_never_refused(row: dict[str, Any]) -> None:
    assert isinstance(one(row), Clean)
