import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadlane.ops.sandbox.upload import file_of
from leadlane.schemas.dialnexa import (
    MAX_NOTES,
    LeadFile,
    bad_rows,
    blocks_destination,
    form,
    form_type,
    problem_text,
    read_answer,
    read_upload,
    refuses,
    to_files,
    to_wire,
    upload_words,
    with_campaign,
)
from leadlane.schemas.outcomes import Outcome
from leadlane.schemas.wire import Taken

PHONE = "+919811100022"
LEAD = {"phone_number": PHONE, "name": "A. Rao", "variables": {"plan": "gold", "amount": 250000}}


def variables(n: int) -> dict[str, str]:
    return {f"v{place}": "x" for place in range(n)}


def test_an_import_is_what_dialnexas_page_shows() -> None:
    assert with_campaign(to_wire(LEAD, "import"), "cmp_x1") == {
        "name": "A. Rao",
        "phoneNumber": "9811100022",
        "countryCode": "+91",
        "campaignId": "cmp_x1",
        "notes": {"plan": "gold", "amount": "250000"},
    }


@pytest.mark.parametrize(
    ("number", "code", "national"),
    [("+12025550123", "+1", "2025550123"), ("+390612345678", "+39", "0612345678")],
)
def test_the_country_code_is_in_one_place_only(number: str, code: str, national: str) -> None:
    assert to_wire({"phone_number": number}, "upload") == {"countryCode": code, "phoneNumber": national}


def test_an_update_is_what_changes_and_a_removal_is_nothing() -> None:
    assert to_wire(LEAD, "update") == {"name": "A. Rao", "notes": {"plan": "gold", "amount": "250000"}}
    assert to_wire(LEAD, "remove") == {}


@pytest.mark.parametrize("names", [{"name": "A"}, {"first_name": "A"}, {"last_name": "A"}])
def test_a_name_of_any_kind_will_do(names: dict[str, str]) -> None:
    assert refuses({"phone_number": PHONE, **names}, "import") == ""


def test_an_import_without_a_name_is_refused_but_not_in_a_file() -> None:
    lead = {"phone_number": PHONE, "variables": {"plan": "gold"}}
    assert refuses(lead, "import").startswith("name: missing; ")
    assert refuses(lead, "upload") == refuses(lead, "update") == refuses(lead, "remove") == ""


@pytest.mark.parametrize("operation", ["import", "update"])
def test_more_than_fifteen_notes_are_refused(operation: Any) -> None:
    assert refuses({**LEAD, "variables": variables(15)}, operation) == ""
    assert refuses({**LEAD, "variables": {**variables(15), "none": None}}, operation) == ""
    problem = refuses({**LEAD, "variables": variables(16)}, operation)
    assert problem == "variables: are 16; DialNexa takes at most 15, leave some out"


def test_a_name_is_one_of_the_fifteen_columns_of_a_file() -> None:
    assert refuses({**LEAD, "variables": variables(14)}, "upload") == ""
    assert "at most 14" in refuses({**LEAD, "variables": variables(15)}, "upload")
    assert refuses({"phone_number": PHONE, "variables": variables(15)}, "upload") == ""


@pytest.mark.parametrize("name", ["name", "Phone_Number ", " "])
def test_a_variable_may_not_be_called_like_a_column_of_its_own(name: str) -> None:
    lead = {"phone_number": PHONE, "name": "A", "variables": {name: "x"}}
    assert refuses(lead, "upload").startswith("variables: ")
    assert refuses(lead, "import") == ""


def test_all_that_is_wrong_is_told() -> None:
    assert refuses({"phone_number": PHONE, "variables": variables(16)}, "import").count(" | ") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"id": "lead_x1", "phone_number": PHONE, "status": "pending", "notes": {}},
        {"id": "lead_x1", "status": "completed", "metadata": {}},
    ],
)
def test_an_import_gives_the_leads_id(body: object) -> None:
    assert read_answer(body, "import") == Taken(Outcome.CREATED, "lead_x1")


@pytest.mark.parametrize("body", [None, "ok", [], {}, {"id": None}, {"data": {"id": "lead_x1"}}])
def test_an_import_without_an_id_is_unreadable(body: object) -> None:
    assert read_answer(body, "import") is None


def test_an_update_or_removal_is_done_by_its_status() -> None:
    assert read_answer({"id": "lead_x1"}, "update") == Taken(Outcome.UPDATED, "lead_x1")
    assert read_answer({"message": "Lead removed"}, "remove") == Taken(Outcome.REMOVED)
    assert read_answer(None, "remove") == Taken(Outcome.REMOVED)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"statusCode": 400, "message": "name is required", "error": "Bad Request"}, "name is required"),
        ({"statusCode": 400, "message": ["a", "b"], "error": "Bad Request"}, "a; b"),
        ({"statusCode": 404, "error": "Not Found"}, "Not Found"),
    ],
)
def test_an_error_is_told_in_each_shape(body: object, text: str) -> None:
    assert problem_text(body) == text


@pytest.mark.parametrize(
    ("message", "blocked"),
    [
        ("Destination +44 is blocked by workspace telephony settings", True),
        ("Destination country not allowed", True),
        ("Forbidden resource", False),
        ("API key lacks permission campaigns:write", False),
        ("", False),
    ],
)
def test_a_blocked_destination_is_told_apart_from_a_key_that_may_not(message: str, blocked: bool) -> None:
    assert blocks_destination({"statusCode": 403, "message": message, "error": "Forbidden"}) is blocked


@pytest.mark.parametrize(
    ("created", "skipped", "outcome"),
    [
        (100, 0, Outcome.CREATED),
        (0, 100, Outcome.REJECTED),
        (98, 2, Outcome.UNCERTAIN),
        (98, 3, None),
        (98, True, None),
        (98, None, None),
        (0, 0, None),
        (True, 0, None),
        (None, 0, None),
    ],
)
def test_an_upload_is_certain_only_if_all_its_leads_went_the_same_way(
    created: object, skipped: object, outcome: Outcome | None
) -> None:
    assert read_upload({"leads_created": created, "leads_skipped": skipped}, 100) is outcome


def test_of_a_file_taken_in_part_the_counts_are_told() -> None:
    words = upload_words({"leads_created": 98, "leads_skipped": 2}, Outcome.UNCERTAIN)
    assert "took 98 of the 100 leads" in words
    assert upload_words({"leads_created": 100}, Outcome.CREATED) == ""


@pytest.mark.parametrize(
    ("errors", "positions"),
    [
        ([{"reason": "blocked", "rows": [2, 5]}, {"reason": "bad", "rows": [4]}], {0, 2, 3}),
        ([{"reason": "blocked", "rows": [1]}], None),
        ([{"reason": "blocked", "rows": [6]}], None),
        ([{"reason": "blocked", "rows": ["2"]}], None),
        ([{"reason": "blocked", "rows": [True]}], None),
        ([{"reason": "blocked"}], None),
        (["blocked"], None),
        ([], None),
        ("blocked", None),
    ],
)
def test_rows_are_blamed_only_if_all_of_them_are_in_the_file(
    errors: object, positions: set[int] | None
) -> None:
    found = bad_rows({"statusCode": 400, "errors": errors}, 4)
    assert (found if found is None else found.keys()) == positions


def test_a_file_travels_in_a_form_whose_boundary_is_not_in_it() -> None:
    [file] = to_files([to_wire(LEAD, "upload")])
    body = form(file)
    boundary = form_type(body).removeprefix("multipart/form-data; boundary=").encode()
    assert file_of(body, form_type(body), "file") == ("leads.csv", file.body)
    assert boundary not in file.body
    assert body.count(boundary) == 2


def test_a_file_has_the_number_the_name_and_the_variables() -> None:
    wires = [
        to_wire({"phone_number": PHONE, "variables": {"plan": 'go"ld, or\nnot'}}, "upload"),
        to_wire({"phone_number": "+390612345678", "name": "Zoë", "variables": {"tier": "1"}}, "upload"),
    ]
    [file] = to_files(wires)
    assert file.body.decode() == (
        "phone_number,name,plan,tier\r\n"
        '+919811100022,,"go""ld, or\nnot",\r\n'
        "+390612345678,Zoë,,1\r\n"
    )  # fmt: skip
    assert repr(file) == f"LeadFile(2 rows, {len(file.body)} bytes)"


def test_no_leads_make_no_file() -> None:
    assert list(to_files([])) == []


def test_a_file_takes_ten_megabytes_and_no_more() -> None:
    lead = {"phone_number": PHONE, "variables": {"text": "x" * 2000}}
    files = list(to_files(to_wire(lead, "upload") for _ in range(10_000)))
    assert sum(file.rows for file in files) == 10_000
    assert [9_900_000 < len(file.body) <= 10_000_000 for file in files] == [True, True, False]


cells = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
leads = st.fixed_dictionaries(
    {"phone_number": st.sampled_from([PHONE, "+390612345678", "+12025550123"])},
    optional={
        "name": cells.filter(bool),
        "variables": st.dictionaries(st.sampled_from([f"v{n}" for n in range(40)]), cells, max_size=14),
    },
)


@given(st.lists(leads, max_size=30), st.integers(min_value=400, max_value=4000))
def test_files_hold_every_lead_in_order_within_the_limits(rows: list[Any], max_bytes: int) -> None:
    files = list(to_files((to_wire(row, "upload") for row in rows), max_bytes))
    assert all(len(file.body) <= max_bytes for file in files)
    assert [lead for file in files for lead in read(file)] == [
        {
            "phone_number": row["phone_number"],
            **({"name": row["name"]} if "name" in row else {}),
            **{name: value for name, value in row.get("variables", {}).items() if value},
        }
        for row in rows
    ]


def read(file: LeadFile) -> list[dict[str, str]]:
    """The rows of a file, without blank cells."""
    reader = csv.DictReader(io.StringIO(file.body.decode(), newline=""), strict=True)
    rows = list(reader)
    assert reader.fieldnames is not None
    assert reader.fieldnames[0] == "phone_number"
    assert len(reader.fieldnames) <= MAX_NOTES + 1
    assert len(rows) == file.rows
    return [{name: value for name, value in row.items() if value} for row in rows]
