import re
import subprocess
import sys

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.schemas.phones import BadPhone, digits, masked, normalise, region_of, split

BERLIN = "+493023125000"  # of the range that Germany keeps for films


@pytest.mark.parametrize(
    ("text", "region"),
    [
        (BERLIN, None),
        ("+49 (0) 30/23125000", None),
        ("+49 030 23125000", None),
        ("0049 30 23125-000", None),
        ("0049 30 23125-000", "DE"),
        ("0049 30 23125-000", "US"),  # where "00" does not dial abroad
        ("tel:+49-30-23125000", None),
        ("tel:030-23125000;phone-context=+49", None),
        ("030 23125000", "DE"),
        ("(030) 23125 000", "DE"),
        ("Tel.: 030 23125000", "DE"),
        ("".join(chr(ord(c) + 0xFEE0) for c in "03023125000"), "DE"),  # full width
        ("030 23125000 ext. 12", "DE"),
        ("030 23125000 x12", "DE"),
        ("493023125000", "DE"),  # Voiso's own form
        ("'+493023125000", "GB"),
        ("011 49 30 23125000", "US"),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, region: str | None) -> None:
    assert normalise(text, region) == BERLIN


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("15550101234", "US", "+15550101234"),
        ("5550101234", "US", "+15550101234"),
        ("447700900123", "GB", "+447700900123"),
        ("07700 900123", "GB", "+447700900123"),
        ("+39 06 12345678", None, "+390612345678"),  # Italy keeps its zero
        ("0011 44 7700 900123", "AU", "+447700900123"),
        ("0491 71037690", "DE", "+4949171037690"),  # the area code of Leer, not Germany's own
    ],
)
def test_a_national_number_is_read_in_its_region(text: str, region: str, e164: str) -> None:
    assert normalise(text, region) == e164


@pytest.mark.parametrize(
    ("text", "region", "problem"),
    [
        ("030 23125000", None, "does not say its country"),
        ("15550101234", None, "does not say its country"),
        ("+999 30 23125000", None, "country code that does not exist"),
        ("+49 3", None, "too few"),
        ("+49 30 23125000 23125000", None, "too many"),
        ("+1 555 010 12345", None, "too many"),
        ("nobody", "DE", "is not a phone number"),
        ("", "DE", "is not a phone number"),
        ("+", None, "is not a phone number"),
        ("030 23125000 home", "DE", "holds letters"),  # libphonenumber dials 4663
        ("030 23125000 b", "DE", "holds letters"),
        ("+49 30 23125000 / +49 30 23125001", None, "is not a phone number"),
        ("0" * 300, "DE", "is too long"),
        ("\ud800\x00", "DE", "is not a phone number"),
    ],
)
def test_what_is_no_number_is_told_without_repeating_it(text: str, region: str | None, problem: str) -> None:
    with pytest.raises(BadPhone) as caught:
        normalise(text, region)
    assert problem in caught.value.problem
    assert ";" in caught.value.problem
    assert not re.search(r"\d{3}", caught.value.problem)


def test_a_number_of_no_range_in_use_is_possible_but_not_valid() -> None:
    assert normalise("+15550101234", None, "possible") == "+15550101234"
    with pytest.raises(BadPhone, match="no range that its country has in use"):
        normalise("+15550101234", None, "valid")
    assert normalise("+49 171 2345678", None, "valid") == "+491712345678"


@given(st.from_regex(r"\+[1-9][0-9]{3,16}", fullmatch=True), st.sampled_from(["possible", "valid"]))
def test_the_verdict_on_a_full_number_is_that_of_libphonenumber(text: str, check: str) -> None:
    try:
        number = phonenumbers.parse(text)
        good = (phonenumbers.is_possible_number if check == "possible" else phonenumbers.is_valid_number)(
            number
        )
    except phonenumbers.NumberParseException:
        good = False
    if good:
        assert normalise(text, "DE", check) == phonenumbers.format_number(
            number, phonenumbers.PhoneNumberFormat.E164
        )
    else:
        with pytest.raises(BadPhone):
            normalise(text, "DE", check)


@given(st.text(), st.sampled_from([None, "DE", "US", "IT", "AU"]))
def test_any_text_is_a_number_or_a_bad_phone(text: str, region: str | None) -> None:
    try:
        found = normalise(text, region)
    except BadPhone:
        return
    assert re.fullmatch(r"\+[0-9]{3,20}", found)


@given(st.sampled_from(["DE", "AT", "GB", "FR", "US", "IT", "NL", "CH"]))
def test_a_valid_number_means_the_same_in_every_way_of_writing_it(region: str) -> None:
    number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
    e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    for form in vars(phonenumbers.PhoneNumberFormat).values():
        if isinstance(form, int):
            assert normalise(phonenumbers.format_number(number, form), region) == e164
    assert normalise("00" + e164[1:], region) == e164
    assert normalise(e164[1:], region) == e164


@pytest.mark.parametrize(
    ("code", "region"),
    [("DE", "DE"), ("de", "DE"), ("+49", "DE"), (49, "DE"), ("0049", "DE"), ("+1", "US"), ("44", "GB")],
)
def test_a_country_is_known_by_letters_or_calling_code(code: str | int, region: str) -> None:
    assert region_of(code) == region


@pytest.mark.parametrize("code", ["ZZ", "UK", "", "+999", "800", 0, "+49x", "Germany"])
def test_what_is_no_country_is_told(code: str | int) -> None:
    with pytest.raises(BadPhone, match="is not a country"):
        region_of(code)


def test_numbers_are_compared_by_their_digits() -> None:
    assert digits("+49 (30) 23125-000") == digits("493023125000") == "493023125000"


@pytest.mark.parametrize(
    "text",
    [
        "lead 493023125000 is bad",
        "+49 (0) 30/23125-000",
        "(030) 23125000",
        "+1-555-010-1234",
        "12345",
        "٤٩٣٠٢٣١٢٥",
    ],
)
def test_what_could_be_a_number_is_masked(text: str) -> None:
    assert not re.search(r"\d{3}", masked(text))


@pytest.mark.parametrize(
    "text", ["must be between 1 and 1000", "priority 1..1000", "leads[999].priority", "1-1000"]
)
def test_what_cannot_be_a_number_stays(text: str) -> None:
    assert masked(text) == text


def test_the_tables_of_libphonenumber_load_with_the_first_number_only() -> None:
    modules = ", ".join(
        f"leadlane.schemas.{name}"
        for name in ("leads", "settings", "voiso", "dialnexa", "voicery", "voiceaiwrapper")
    )
    program = f"import sys, {modules}; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("region", sorted(phonenumbers.SUPPORTED_REGIONS))
def test_a_number_is_parted_into_calling_code_and_national_digits(region: str) -> None:
    example = phonenumbers.example_number(region)
    assert example is not None
    number = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    code, national = split(number)
    assert code == f"+{example.country_code}"
    assert national == phonenumbers.national_significant_number(example)


@pytest.mark.parametrize(
    ("number", "parts"),
    [("+390612345678", ("+39", "0612345678")), ("+80012345678", ("+800", "12345678"))],
)
def test_no_digit_is_lost_between_the_parts(number: str, parts: tuple[str, str]) -> None:
    assert split(number) == parts


@pytest.mark.parametrize("number", ["", "+", "+0123456", "+999123456"])
def test_a_number_of_no_country_is_not_parted(number: str) -> None:
    with pytest.raises(BadPhone, match="country code"):
        split(number)
