"""The fast path of intake says what the schema says, or nothing."""

import random
from typing import Any

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadlane.schemas.leads import Clean, LeadSchema, clean
from leadlane.schemas.phones import BadPhone, digits, normalise
from leadlane.schemas.quick import is_possible, proven

REGIONS = (None, "US", "DE", "IT", "AR", "GB")
EXAMPLE = {
    "phone_number": "+12015550123",
    "name": "Anna Schneider",
    "priority": 7,
    "active": True,
    "source": {"system": "crm", "url": "https://crm.example.com/1"},
}

texts = st.text(max_size=12) | st.sampled_from(
    ["", " ", " Ada ", "a@b", "\x00", "\ud800", "é\n", "X-A", "x" * 2001]
)
scalars = st.none() | st.booleans() | st.integers(-2, 1002) | st.floats() | texts
objects = st.dictionaries(
    st.sampled_from(["system", "url", "X-A", "X-B.c", "plan", "é", ""]),
    scalars | st.lists(scalars),
    max_size=3,
)
numbers = st.sampled_from(
    [
        "+12015550123",
        "+4915112345678",
        "+390612345678",
        "+5491123456789",
        "+442079460000",
        "+4402079460000",
        "0151 1234567",
        "12015550123",
        "+1201",
        "+999123456",
    ]
)
values = scalars | objects | st.lists(objects, max_size=2)
rows = st.fixed_dictionaries(
    {"phone_number": numbers | scalars},
    optional={
        "name": texts | values,
        "first_name": texts | values,
        "last_name": texts,
        "email": st.sampled_from(["a@b.c", " a@b ", "nobody", ""]) | values,
        "priority": st.integers(0, 1001) | values,
        "active": st.booleans() | values,
        "source": objects | values,
        "context_headers": objects | values,
        "variables": objects | values,
        "secondary_contacts": values,
        "do_not_call": st.booleans() | values,
        "allow_duplicate": st.booleans() | values,
        "external_id": texts | values,
        "country_code": st.sampled_from(["DE", "+49", "nowhere"]),
        "colour": scalars,
    },
)  # fmt: skip


def by_schema(row: dict[str, Any], region: str | None) -> tuple[str, list[tuple[str, Any]]]:
    lead = LeadSchema(region=region).load(row)
    return digits(lead["phone_number"]), list(lead.items())


@given(rows, st.sampled_from(REGIONS))
@settings(max_examples=1500)
def test_what_is_proven_clean_the_schema_reads_just_so(row: dict[str, Any], region: str | None) -> None:
    lead = proven(row)
    if lead is None:
        return
    assert (lead["phone_number"][1:], list(lead.items())) == by_schema(row, region)


def test_a_plain_lead_needs_no_schema() -> None:
    assert proven(EXAMPLE) == EXAMPLE


@pytest.mark.parametrize(
    "change",
    [
        {"phone_number": "+1 201 555 0123"},
        {"phone_number": "+441"},
        {"phone_number": "+4402079460000"},
        {"name": 5},
        {"priority": 1001},
        {"active": "yes"},
        {"secondary_contacts": []},
        {"colour": "red"},
        {"variables": {"a": float("nan")}},
    ],
)
def test_what_is_not_surely_clean_is_left_to_the_schema(change: dict[str, Any]) -> None:
    assert proven(EXAMPLE | change) is None


def test_a_number_called_possible_is_one_and_is_written_so() -> None:
    """Random numbers under every calling code, and under codes that do not exist."""
    dice = random.Random(20)
    codes = [str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE] + [
        str(n) for n in range(1, 1000)
    ]
    possible = 0
    for _ in range(20_000):
        number = f"+{dice.choice(codes)}{dice.randrange(10 ** dice.randint(1, 13))}"
        if not is_possible(number):
            continue
        possible += 1
        try:
            assert normalise(number, dice.choice(REGIONS)) == number
        except BadPhone as bad:
            raise AssertionError(f"libphonenumber refuses {number}: {bad}") from None
    assert possible > 2_000


def test_every_example_number_of_libphonenumber_that_has_no_prefix_is_proven_or_read_the_same() -> None:
    for region in phonenumbers.SUPPORTED_REGIONS:
        example = phonenumbers.example_number(region)
        number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        if is_possible(number):
            assert normalise(number) == number


def test_ranges_in_use_are_never_foretold() -> None:
    [found] = clean([{"phone_number": "+12015550123"}], region=None, phone_check="valid")
    [possible] = clean([{"phone_number": "+12345678901"}], region=None)
    [invalid] = clean([{"phone_number": "+11111111111"}], region=None, phone_check="valid")
    assert isinstance(possible, Clean)
    assert isinstance(found, Clean)
    assert not isinstance(invalid, Clean)
