import pytest

from leadlane.schemas.problems import one_line, told


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"message": "no", "error": "Bad Request"}, "no"),
        ({"message": [], "error": "Bad Request"}, "Bad Request"),
        ({"message": ["a must be text", "b is missing"], "error": "x"}, "a must be text; b is missing"),
        ({"statusCode": 500}, "statusCode: 500"),
        (["a", "b"], "a; b"),
        (None, ""),
    ],
)
def test_the_first_key_that_says_anything_is_told(body: object, text: str) -> None:
    assert told(body, "message", "error") == text


def test_a_line_is_one_line_however_long_or_deep_the_value() -> None:
    deep: object = "x"
    for _ in range(50):
        deep = [deep]
    assert one_line({"a": deep, "b": "c\n\td"}) == "b: c d"
    assert len(one_line(["word"] * 1000)) <= 300
