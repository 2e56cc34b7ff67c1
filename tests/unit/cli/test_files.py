import itertools
from pathlib import Path

import pytest

from leadlane.cli.files import MOST_LINES, read_leads
from leadlane.schemas.errors import BadFile
from leadlane.schemas.leads import Clean, Invalid, clean


def rows(content: str | bytes, name: str = "leads.csv") -> list[object]:
    """The rows of a file with this content, in the working directory."""
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_leads(name))


def checked(content: str | bytes, name: str = "leads.csv") -> list[Clean | Invalid]:
    return list(clean(rows(content, name), region=None))


def refusal(content: str | bytes, name: str = "leads.csv") -> str:
    with pytest.raises(BadFile) as caught:
        rows(content, name)
    return str(caught.value)


@pytest.mark.parametrize(
    "header",
    [
        "phone_number,name",
        "Phone Number,Name",
        "PHONE,Full Name",
        " telephone ,name",
        "Tel.,Contact-Name",
        "phone-number,NAME",
        "\ufeffPhone,Name",
        '"Phone Number","Name"',
    ],
)
def test_header_names_are_understood_as_people_write_them(header: str) -> None:
    assert rows(f"{header}\n+12125550101,Ann\n") == [{"phone_number": "+12125550101", "name": "Ann"}]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_that_of_the_header(delimiter: str) -> None:
    content = f"name{delimiter}phone{delimiter}e-mail\r\nAnn{delimiter}+1212{delimiter}\r\n"
    assert rows(content) == [{"name": "Ann", "phone_number": "+1212"}]


def test_a_bom_belongs_to_no_name() -> None:
    assert rows(b"\xef\xbb\xbfphone_number\n+1212\n") == [{"phone_number": "+1212"}]
    assert rows(b'\xef\xbb\xbf{"phone_number": "+1212"}\n', "leads.jsonl") == [{"phone_number": "+1212"}]


def test_a_column_that_is_no_field_is_left_out_and_named() -> None:
    Path("a.csv").write_text("phone,Lead Status,,Record ID\n+1212,NEW,x,7\n")
    leads = read_leads("a.csv")
    assert leads.left_out == ("Lead Status", "Record ID")
    assert list(leads) == [{"phone_number": "+1212"}]


def test_of_two_columns_for_one_field_its_own_name_wins_else_the_first() -> None:
    assert rows("phone,phone_number\n1,2\n") == [{"phone_number": "2"}]
    assert rows("phone,mobile\n1,2\n") == [{"phone_number": "1"}]


def test_objects_are_filled_by_dotted_columns_and_json_cells() -> None:
    content = "phone,source.url,variables.deal,context_headers.X-Deal,source.system\n+1,http://x,7,8,crm\n"
    assert rows(content) == [
        {
            "phone_number": "+1",
            "source": {"url": "http://x", "system": "crm"},
            "variables": {"deal": "7"},
            "context_headers": {"X-Deal": "8"},
        }
    ]
    assert rows('phone,variables,source\n+1,"{""deal"": 7}",web shop\n') == [
        {"phone_number": "+1", "variables": {"deal": 7}, "source": {"system": "web shop"}}
    ]


def test_a_cell_may_have_several_lines() -> None:
    assert rows('phone,name\n+1,"Ann\nLee"\n+2,"Bob, ""B"""\n') == [
        {"phone_number": "+1", "name": "Ann\nLee"},
        {"phone_number": "+2", "name": 'Bob, "B"'},
    ]


@pytest.mark.parametrize(
    "broken",
    [
        '+12125550102,"Bob',
        '"+12125550102,Bob',
        '+12125550102,"Bob\n+12125550104,"Dan',
    ],
)
def test_a_quote_that_is_never_closed_costs_its_line_only(broken: str) -> None:
    found = checked(f"phone,name\n+12125550101,Ann\n{broken}\n+12125550103,Cid\n")
    assert [row.digits for row in found if isinstance(row, Clean)] == ["12125550101", "12125550103"]
    assert {row.problems for row in found if isinstance(row, Invalid)} == {
        "the line has a quote that is never closed"
    }


def test_a_quote_closed_far_below_swallows_no_lead() -> None:
    many = [f"+1212555{i:04d},L{i}" for i in range(2 * MOST_LINES)]
    found = checked("\n".join(["phone,name", '+12125559999,"Bob', *many, '"']))
    assert sum(isinstance(row, Clean) for row in found) == len(many)


def test_a_line_with_too_many_cells_is_one_invalid_row() -> None:
    found = checked("phone,name\n+12125550101,Lee, Ann\n+12125550102,Bob,,\n+12125550103\n")
    assert [type(row) for row in found] == [Invalid, Clean, Clean]
    assert "more cells than the header" in found[0].problems  # type: ignore[union-attr]


def test_blank_lines_are_no_rows() -> None:
    assert len(rows("\n\nphone,name\n\n+1,Ann\n , \n,,\n+2,Bob\n\n")) == 2


def test_a_line_that_is_no_utf8_among_others_is_one_invalid_row() -> None:
    content = "phone,name\n+12125550101,Jürgen\n+12125550102,Zoë\n".encode() + b"+12125550103,M\xfcller\n"
    assert [type(row) for row in checked(content)] == [Clean, Clean, Invalid]


def test_jsonl_lines_are_rows_and_broken_ones_invalid() -> None:
    found = checked(
        '{"phone_number": "+12125550101"}\n\n{"phone": "+12125550102", "Full Name": "Ann"}\n'
        '{"phone_number": \n[1]\n"x"\n' + "[" * 100_000 + '\n{"phone_number": "+12125550103", "shoe": 9}\n',
        "leads.jsonl",
    )
    assert [type(row) for row in found] == [Clean, Clean, Invalid, Invalid, Invalid, Invalid, Invalid]
    assert "the line is not JSON" in found[2].problems  # type: ignore[union-attr]
    assert "shoe: unknown" in found[6].problems  # type: ignore[union-attr]


def test_a_jsonl_synonym_never_hides_the_field_itself() -> None:
    assert rows('{"phone": "1", "phone_number": "2"}', "a.jsonl") == [{"phone": "1", "phone_number": "2"}]


def test_the_form_is_told_by_the_ending_else_by_the_look() -> None:
    assert rows('{"phone_number": "+1"}\n', "leads") == [{"phone_number": "+1"}]
    assert rows("phone\n+1\n", "leads.dat") == [{"phone_number": "+1"}]
    assert rows("{x},tel\n,+1\n", "leads.csv") == [{"phone_number": "+1"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        ("phone,name\n+1,Jürgen\n".encode("cp1252"), "is not UTF-8 (line 2)"),
        ("phone\n+1\n".encode("utf-16"), "is UTF-16"),
        (b"PK\x03\x04rest", "is a workbook"),
        (b"phone\n\x00\x01\x02\n", "is no text"),
        (b'[{"phone_number": "+1"}]', "is a JSON array"),
        (b"name,mail\nAnn,a@b\n", "has no column with the phone number among name, mail"),
        (b"name;phon_nmber\nAnn;+1\n", "is it 'phon_nmber'?"),
        (b'"phone,name\n+1,Ann\n', "never closed"),
    ],
)
def test_a_file_that_cannot_be_leads_is_refused_with_what_would_be_right(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_a_missing_file_and_a_directory_are_refused(bare: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.csv: there is no such file"):
        read_leads("none.csv")
    with pytest.raises(BadFile, match="is a directory"):
        read_leads(bare)


def test_a_file_without_header_is_refused_without_telling_its_number() -> None:
    said = refusal("+12125550101,Ann\n+12125550102,Bob\n")
    assert "2125550101" not in said
    assert "Ann" in said


def test_a_header_alone_is_no_leads() -> None:
    assert rows("phone,name\n") == []


def test_rows_are_read_as_they_are_asked_for() -> None:
    with Path("large.csv").open("w") as file:
        file.write("phone,name\n")
        file.writelines(f"+1212{i:07d},Lead {i}\n" for i in range(200_000))
    leads = read_leads("large.csv")
    assert len(list(itertools.islice(leads, 3))) == 3
    Path("large.csv").write_text("")
    assert len(list(leads)) < 200_000
