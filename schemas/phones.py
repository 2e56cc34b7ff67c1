"""Phone numbers: read as people write them, kept as E.164, never shown in an error.

The reading is libphonenumber's, but for the cases in which it would phone somebody else (``_reading``
names them). Its tables load with the first number, not when this module is imported.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

PhoneCheck = Literal["possible", "valid"]

REMEDY: Final = "write '+', the country code and the number"

_MAX_TEXT = 250  # libphonenumber's own limit; also bounds the patterns below

_NOT_DIGITS = re.compile(r"[^0-9]+")
_NUMBER_LIKE = re.compile(r"\+?\(?\d(?:[\s().\-/]{0,3}\d){6,}|\d{5,}")
_EXTENSION = re.compile(r"[;,\s]*(?:ext(?:n|ension)?|x|#)[.:=]?\s*\d{1,9}\s*#?\s*$", re.IGNORECASE)
_LETTER = re.compile(r"[^\W\d_]")
_FIRST_DIGIT = re.compile(r"\d")


class BadPhone(ValueError):  # noqa: N818 - as the errors of errors.py
    """A text that is no phone number. ``problem`` says why and what would be right, without the number."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def normalise(text: str, region: str | None = None, check: PhoneCheck = "possible") -> str:
    """The number in E.164, such as ``+`` country code and number.

    Punctuation, ``(0)``, ``00`` and ``tel:`` are understood; an extension is left out, a dialer cannot
    call it. A number without a country code is read in ``region`` (two letters, such as ``DE``).
    ``check`` is libphonenumber's: "possible" looks at the number of digits, "valid" also at the
    ranges in use. Raises BadPhone.
    """
    import phonenumbers

    try:
        number = _reading(text, region)
    except phonenumbers.NumberParseException as error:
        raise BadPhone(_why(error.error_type, says_country="+" in text or region is not None)) from None
    if not phonenumbers.is_possible_number(number):
        raise BadPhone(f"has too few or too many digits for its country; {REMEDY}")
    if check == "valid" and not phonenumbers.is_valid_number(number):
        raise BadPhone("is in no range that its country has in use; correct it, or leave the lead out")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def digits(text: str) -> str:
    """``text`` without everything but 0-9: the form in which numbers are compared."""
    return _NOT_DIGITS.sub("", text)


def split(number: str) -> tuple[str, str]:
    """The country's calling code with its ``+``, and the national digits, of a number in E.164.

    Joined they are the number again, so that a zero which belongs to it (as in Italy) stays. Raises
    BadPhone if no country has the code.
    """
    import phonenumbers

    bare = digits(number)
    lengths = () if bare[:1] in ("", "0") else (1, 2, 3)
    for length in lengths:  # no calling code begins another one
        if int(bare[:length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return f"+{bare[:length]}", bare[length:]
    raise BadPhone(f"has a country code that does not exist; {REMEDY}")


def masked(text: str) -> str:
    """``text`` with everything that could be a phone number replaced by ``[number]``."""
    return _NUMBER_LIKE.sub("[number]", text)


def is_region(code: str) -> bool:
    """Whether libphonenumber knows ``code`` as a country, such as ``DE``."""
    import phonenumbers

    return code in phonenumbers.SUPPORTED_REGIONS


@lru_cache(maxsize=1024)
def region_of(code: str | int) -> str:
    """The two letters of the country that ``DE``, ``+49``, ``0049`` or ``49`` means. Raises BadPhone.

    A calling code that countries share means the largest of them: +1 is US.
    """
    import phonenumbers

    text = str(code).strip().upper()
    if is_region(text):
        return text
    calling_code = digits(text).lstrip("0")
    if _LETTER.search(text) or not 1 <= len(calling_code) <= 3:
        found = "ZZ"
    else:
        found = phonenumbers.region_code_for_country_code(int(calling_code))
    if not is_region(found):
        raise BadPhone("is not a country; write two letters such as DE, or a calling code such as +49")
    return found


def _reading(text: str, region: str | None) -> PhoneNumber:
    """What libphonenumber reads, except where that would be somebody else's number.

    Raises BadPhone and libphonenumber's NumberParseException.
    """
    import phonenumbers

    if len(text) > _MAX_TEXT:
        raise BadPhone(f"is too long for a phone number; {REMEDY}")
    text = _EXTENSION.sub("", text)
    start = _FIRST_DIGIT.search(text)
    if start and _LETTER.search(text.partition(";")[0], start.start()):
        # libphonenumber would dial the letters of a trailing note ("... home") as a vanity number.
        raise BadPhone("holds letters, which may be a note; write digits only")
    try:
        number = phonenumbers.parse(text, region, keep_raw_input=True)
        failure = None
    except phonenumbers.NumberParseException as error:
        failure = error
    if not failure and number.country_code_source != phonenumbers.CountryCodeSource.FROM_DEFAULT_COUNTRY:
        return number
    raw = phonenumbers.normalize_digits_only(text)
    # "00" is how most of the world dials abroad and no national number starts so, but a region that
    # dials abroad otherwise (as the US does) would make a local number of it.
    if raw.startswith("00"):
        return phonenumbers.parse("+" + raw[2:])
    if failure:
        raise failure
    # Digits with the country code but no "+" (Voiso's own form): where numbers vary in length, as in
    # Germany, they also pass for a national number, though nobody there leaves out the trunk prefix.
    trunk = phonenumbers.ndd_prefix_for_region(region or "", True)
    if trunk and raw.startswith(str(number.country_code)) and not raw.startswith(trunk):
        abroad = phonenumbers.parse("+" + raw)
        if phonenumbers.is_valid_number(abroad):
            return abroad
    return number


def _why(error_type: int, *, says_country: bool) -> str:
    from phonenumbers import NumberParseException as Wrong

    if error_type == Wrong.INVALID_COUNTRY_CODE:
        if not says_country:
            return f"does not say its country; {REMEDY}, or give country_code or the account's default_region"
        return f"has a country code that does not exist; {REMEDY}"
    if error_type == Wrong.TOO_LONG:
        return f"has too many digits; {REMEDY}"
    if error_type in (Wrong.TOO_SHORT_NSN, Wrong.TOO_SHORT_AFTER_IDD):
        return f"has too few digits; {REMEDY}"
    return f"is not a phone number; {REMEDY}"
