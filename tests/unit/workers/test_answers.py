"""What a status means, and what Retry-After asks for."""

import pytest

from leadlane.workers.answers import Meaning, meaning, retry_after_s

NOW_S = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the date of RFC 9110


@pytest.mark.parametrize(
    ("statuses", "means"),
    [
        ((200, 201, 202, 207), Meaning.OK),
        ((409,), Meaning.CONFLICT),
        ((429,), Meaning.THROTTLED),
        ((408, 500, 502, 503, 504, 599), Meaning.FAILED),
        ((400, 413, 422), Meaning.REFUSED),
        ((401,), Meaning.UNAUTHORIZED),
        ((403,), Meaning.FORBIDDEN),
        ((404, 405), Meaning.MISSING),
        ((301, 302, 307, 402, 406, 410, 418, 451), Meaning.ODD),
    ],
)
def test_every_status_has_one_meaning(statuses: tuple[int, ...], means: Meaning) -> None:
    assert {meaning(status) for status in statuses} == {means}


def test_an_operation_may_override_a_row() -> None:
    assert meaning(404, {404: Meaning.OK}) is Meaning.OK
    assert meaning(200, {200: Meaning.ODD}) is Meaning.ODD


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 120 ", 120.0),
        ("99999999999999999999", 3600.0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30.0),
        ("Sun, 06 Nov 1994 08:49:07 GMT", 0.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 3600.0),
        ("0000000000005", 5.0),
        ("5, 10", None),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600.0),
        ("9" * 100_000, 3600.0),
        ("Sun, " * 100_000, None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0663", None),
        ("Sun, 06 Nov 99999 08:49:37 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    header: str | None, seconds: float | None
) -> None:
    assert retry_after_s(header, NOW_S) == seconds
