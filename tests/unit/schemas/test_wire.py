from typing import Any

import pytest

from leadlane.schemas.wire import full_name, lead_id, texts


@pytest.mark.parametrize(
    ("names", "full"),
    [
        ({"name": "A. L.", "first_name": "Ada"}, "A. L."),
        ({"first_name": "Ada", "last_name": "Lovelace"}, "Ada Lovelace"),
        ({"first_name": "Ada"}, "Ada"),
        ({"last_name": "Lovelace"}, "Lovelace"),
        ({}, ""),
    ],
)
def test_a_name_is_put_together_if_there_is_none(names: dict[str, str], full: str) -> None:
    assert full_name(names) == full


def test_variables_become_texts_and_null_is_left_out() -> None:
    given: dict[str, Any] = {
        "a": "b",
        "n": 5,
        "f": 2.5,
        "t": True,
        "o": {"ä": [1, None]},
        "none": None,
        "": "",
    }
    assert texts(given) == {"a": "b", "n": "5", "f": "2.5", "t": "true", "o": '{"ä":[1,null]}', "": ""}


@pytest.mark.parametrize(
    ("record", "read"),
    [
        ({"id": "lead_x1"}, "lead_x1"),
        ({"id": 71}, "71"),
        ({"id": "71"}, "71"),
        ({"id": 0}, ""),
        ({"id": True}, ""),
        ({"id": 1.5}, ""),
        ({"id": " "}, ""),
        ({"id": "a\nb"}, ""),
        ({"id": "x" * 201}, ""),
        ({"id": 10**100}, ""),
        ({}, ""),
        (["id"], ""),
        (None, ""),
    ],
)
def test_a_lead_id_is_a_number_or_text(record: object, read: str) -> None:
    assert lead_id(record) == read
