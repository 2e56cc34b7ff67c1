import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from leadlane.files import sources
from leadlane.files.columns import FIELDS, Dialer, Wishes
from leadlane.files.reading import Leads, read_leads
from leadlane.files.tables import MOST_LINES
from leadlane.schemas.errors import BadFile, WrongUse
from leadlane.schemas.leads import Clean, Invalid, clean

ALL = FIELDS
FEW = frozenset({"phone_number", "name", "first_name", "last_name", "priority", "active", "source"})


def opened(name: str, carries: frozenset[str] = ALL, home: str | None = None, **wishes: Any) -> Leads:
    asked = Wishes.of(wishes.pop("mapped", ()), wishes.pop("constants", ()), **wishes)
    return read_leads(sources.find(name, asked.encoding), asked, Dialer("dialer", carries, home))


def rows(content: str | bytes, name: str = "leads.csv", **wishes: Any) -> list[object]:
    """The rows of a file with this content, in the working directory."""
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return list(opened(name, **wishes).rows())


def checked(content: str | bytes, name: str = "leads.csv", **wishes: Any) -> list[Clean | Invalid]:
    return list(clean(rows(content, name, **wishes), region=None))


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
    leads = opened("a.csv", FEW)
    assert list(leads.rows()) == [{"phone_number": "+1212"}]
    assert leads.columns.left_out == {
        "Lead Status": "no field of a lead",
        "Record ID": "dialer cannot carry external_id",
    }


def test_a_column_that_is_no_field_is_a_variable_where_the_dialer_has_those() -> None:
    content = "phone,Lead Status,Firma,E-Mail\n+1212,NEW,ACME,not@all\n"
    assert rows(content, carries=FEW | {"variables"}) == [
        {"phone_number": "+1212", "variables": {"Lead Status": "NEW", "company": "ACME", "E-Mail": "not@all"}}
    ]


def test_what_the_dialer_cannot_carry_makes_no_lead_invalid() -> None:
    (row,) = checked("phone,email\n+12125550101,none\n", carries=FEW)
    assert isinstance(row, Clean)


def test_of_two_columns_for_one_field_its_own_name_wins_else_the_first() -> None:
    assert rows("full name,name,phone\nA,B,1\n", carries=FEW) == [{"name": "B", "phone_number": "1"}]
    assert rows("full name,contact name,phone\nA,B,1\n", carries=FEW) == [{"name": "A", "phone_number": "1"}]


def test_of_several_phone_columns_the_first_usable_number_is_called() -> None:
    content = "mobile,Telefon\n,0301234567\ncall me,0301234567\n0171 2345678,0301234567\n"
    assert rows(content, carries=FEW, home="DE") == [
        {"phone_number": number} for number in ("0301234567", "0301234567", "0171 2345678")
    ]
    *_, both = rows(content, carries=FEW | {"secondary_contacts"}, home="DE")
    assert both == {"phone_number": "0171 2345678", "secondary_contacts": [{"phone_number": "0301234567"}]}


@pytest.mark.parametrize("name", ["Phone type", "Phone country", "Fax phone", "Opt out phone", "tel status"])
def test_a_column_about_a_number_is_none(name: str) -> None:
    assert "has no column with the phone number" in refusal(f"{name},name\nx,y\n")


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
    assert [type(row) for row in found] == [Clean, Clean, Invalid, Invalid, Invalid, Invalid, Clean]
    assert "the line is not JSON" in found[2].problems  # type: ignore[union-attr]
    assert found[6].lead["variables"] == {"shoe": 9}  # type: ignore[union-attr]


def test_a_jsonl_synonym_never_hides_the_field_itself() -> None:
    assert rows('{"phone": "1", "phone_number": "2"}', "a.jsonl", carries=FEW) == [{"phone_number": "2"}]
    assert rows('{"phone": "+1212", "phone_number": "+12125550101"}', "a.jsonl", carries=FEW) == [
        {"phone_number": "+12125550101"}
    ]


def test_the_form_is_told_by_the_ending_else_by_the_look() -> None:
    assert rows('{"phone_number": "+1"}\n', "leads") == [{"phone_number": "+1"}]
    assert rows("phone\n+1\n", "leads.dat") == [{"phone_number": "+1"}]
    assert rows("{x},tel\n,+1\n", "leads.csv") == [{"phone_number": "+1"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n\n", "is empty"),
        ("\n \n".encode("utf-16"), "is empty"),
        (b"PK\x03\x04rest", "is no workbook that can be read"),
        (b"phone\n\x00\x01\x02\n", "is no text"),
        (b"%PDF-1.7\n", "is a PDF"),
        (b"phone,name\n", "has a header but no leads"),
        (b"name,mail\nAnn,a@b\n", "has no column with the phone number among name, mail"),
        (b"name;phon_nmber\nAnn;+1\n", "is it 'phon_nmber'?"),
        (b'"phone,name\n+1,Ann\n', "never closed"),
    ],
)
def test_a_file_that_cannot_be_leads_is_refused_with_what_would_be_right(content: bytes, said: str) -> None:
    assert said in refusal(content)


def test_a_missing_file_and_a_directory_are_refused(bare: Path) -> None:
    with pytest.raises(BadFile, match=r"none\.csv: there is no such file"):
        opened("none.csv")
    with pytest.raises(BadFile, match="is a directory"):
        opened(str(bare))


def test_a_file_without_header_is_refused_without_telling_its_number() -> None:
    said = refusal("+12125550101,Ann\n+12125550102,Bob\n")
    assert "2125550101" not in said
    assert "Ann" in said


def test_rows_are_read_as_they_are_asked_for() -> None:
    with Path("large.csv").open("w") as file:
        file.write("phone,name\n")
        file.writelines(f"+1212{i:07d},Lead {i}\n" for i in range(200_000))
    leads = opened("large.csv").rows()
    assert len(list(itertools.islice(leads, 3))) == 3
    Path("large.csv").write_text("")
    assert len(list(leads)) < 200_000


HEADER = "Prénom;Nachname;Telefon"
LEADS = [{"first_name": "Zoë", "last_name": "Müller", "phone_number": "+4930123456"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends_are_found_out(encoding: str, ends: str) -> None:
    assert rows(f"{HEADER}{ends}Zoë;Müller;+4930123456{ends}".encode(encoding)) == LEADS


def test_text_that_is_not_ascii_may_come_late() -> None:
    many = "Ann;Lee;+4930123456\n" * 60_000
    assert rows(f"Vorname;Nachname;Telefon\n{many}Zoë;Müller;+4930123456\n".encode("cp1252"))[-1:] == LEADS


def test_the_user_knows_the_encoding_better() -> None:
    assert rows("Telefon;Name\n+1;Łukasz\n".encode("cp1250"), encoding="cp1250") == [
        {"phone_number": "+1", "name": "Łukasz"}
    ]
    assert rows("Telefon;Name\n+1;Ã¤\n".encode("cp1252"), encoding="cp1252") == [
        {"phone_number": "+1", "name": "Ã¤"}
    ]
    with pytest.raises(WrongUse, match="'utf-9' is none"):
        rows("Telefon\n+1\n", encoding="utf-9")


def test_titles_above_the_header_are_no_rows() -> None:
    content = "sep=;\nExport of 18 November\n\nphone list; of; all\nName;Telefon\nAnn;+1\n"
    Path("a.csv").write_text(content)
    leads = opened("a.csv")
    assert list(leads.rows()) == [{"name": "Ann", "phone_number": "+1"}]
    assert (leads.about["header_line"], leads.about["delimiter"]) == (5, "semicolon")
    assert leads.line == 6


def test_a_row_says_its_line_below_cells_of_several_lines() -> None:
    Path("a.csv").write_text('phone,name\n\n+1,"Ann\nLee"\n+2,Bob\n')
    leads = opened("a.csv")
    assert [leads.line for _ in leads.rows()] == [3, 5]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("p:+447911123456", "+447911123456"),
        ("tel:+447911123456", "+447911123456"),
        ('"=""00447911123456"""', "00447911123456"),
        ("'+447911123456", "+447911123456"),
        ("12; +447911123456", "12; +447911123456"),
        ("+447911123456 ext: 12", "+447911123456 ext: 12"),
        ("Home: +447911123456; Work: +447911123457", "+447911123456"),
        ("+447911123456; +447911123457", "+447911123456"),
    ],
)
def test_a_number_is_freed_of_what_programs_put_around_it(cell: str, number: str) -> None:
    assert rows(f"name,phone\nAnn,{cell}\n", carries=FEW) == [{"name": "Ann", "phone_number": number}]


def test_a_number_that_a_spreadsheet_has_rounded_says_so() -> None:
    (row,) = checked("phone,name\n4.91512E+11,Ann\n")
    assert isinstance(row, Invalid)
    assert "a spreadsheet has rounded it" in row.problems


def test_words_for_yes_no_and_priority_are_understood() -> None:
    content = "phone,aktiv,prio\n+1,WAHR,hoch\n+2,Nein,low\n+3,oui,7\n+4,vielleicht,bald\n"
    assert [(row["active"], row["priority"]) for row in rows(content)] == [  # type: ignore[index]
        (True, 100),
        (False, 900),
        (True, "7"),
        ("vielleicht", "bald"),
    ]


def test_what_the_user_says_of_columns_overrules_what_they_are_called() -> None:
    content = "Ref,Note,phone\n+1,x,+2\n"
    said = {"mapped": ["Ref=phone_number", "Note=-", "phone=variables.old"], "constants": ["active=ja"]}
    assert rows(content, **said) == [{"phone_number": "+1", "variables": {"old": "+2"}, "active": True}]


@pytest.mark.parametrize(
    ("wishes", "said"),
    [
        ({"mapped": ["Nme=name"]}, "--map: there is no column 'Nme'; did you mean 'Name'?"),
        ({"mapped": ["Name=nmae"]}, "--map: 'nmae' is no field of a lead; did you mean 'name'?"),
        ({"mapped": ["Name"]}, "--map: 'Name' is no COLUMN=FIELD"),
        ({"constants": ["activ=yes"]}, "did you mean 'active'?"),
        ({"constants": ["active"]}, "--set: 'active' is no FIELD=VALUE"),
        ({"constants": ["phone_number=+12125550101"]}, "cannot be the same for every lead"),
        ({"constants": ["email=a@b"], "carries": FEW}, "dialer cannot carry email"),
        ({"region": "Narnia"}, "--region: 'Narnia' is not a country"),
    ],
)
def test_a_wish_that_cannot_be_met_is_told_with_its_option(wishes: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUse) as caught:
        rows("phone,Name\n+1,Ann\n", **wishes)
    assert said in str(caught.value)


def test_the_region_of_the_file_reads_its_national_numbers() -> None:
    (row,) = checked("phone\n0171 2345678\n", region="DE")
    assert isinstance(row, Clean)
    found = rows("phone,country\n0171 2345678,AT\n1,Freedonia\n", region="DE")
    home = rows("phone\n0171 2345678\n", home="DE")
    assert home == [{"phone_number": "0171 2345678"}]  # the account's own region needs no word
    assert [row.get("country_code") for row in found] == ["AT", "DE"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "content",
    [
        '[{"phone": "+1"}, {"phone": "+2"}]',
        '{"total": 2, "page": "1", "leads": [{"phone": "+1"}, {"phone": "+2"}], "next": null}',
        '{"phone": "+1"}\n{"phone": "+2"}',
        '{\n "phone": "+1"\n}\n{\n "phone": "+2"\n}',
        '[\n{"phone": "+1"},\n{"phone": "+2"}\n]\n',
    ],
)
def test_json_of_any_shape_is_read(content: str) -> None:
    wanted = [{"phone_number": "+1"}, {"phone_number": "+2"}]
    assert rows(content, "leads.json") == wanted
    assert rows(content.encode("utf-16"), "leads.json") == wanted


def test_json_is_read_in_parts_whatever_its_objects_cut() -> None:
    leads = [{"phone": f"+{i}", "name": "ä" * (i % 70)} for i in range(10_000)]
    found = rows(json.dumps(leads, ensure_ascii=False), "leads.json")
    assert [row["phone_number"] for row in found] == [lead["phone"] for lead in leads]  # type: ignore[index]


def test_json_without_a_number_is_refused() -> None:
    assert "has no leads" in refusal("[]", "leads.json")
    assert "with the phone number among name" in refusal('{"name": "Ann"}\n{"name": "Bob"}\n', "leads.jsonl")


def test_json_that_breaks_is_told_with_its_place() -> None:
    assert "breaks in object 3" in refusal('[{"phone": "+1"}, {"phone": "+2"}, {"pho', "leads.json")


def test_a_line_without_end_is_refused_before_a_row_is_read() -> None:
    with Path("a.csv").open("w") as file:
        file.write("phone\n+12125550101\n" + "1" * (2 * sources.MOST_LINE + sources.HEAD + 1))
    with pytest.raises(BadFile, match="has a line of more than 8 million characters"):
        opened("a.csv")


def test_a_line_without_end_in_a_stream_is_refused_when_it_comes() -> None:
    Path("a.csv").write_text("phone\n+12125550101\n" + "1" * (sources.MOST_LINE + 1))
    with Path("a.csv").open("rb") as file:
        source = sources.Source("-", "standard input", "table", "utf-8", "", file)
        found = read_leads(source, Wishes(), Dialer("dialer", ALL)).rows()
        assert next(found) == {"phone_number": "+12125550101"}
        with pytest.raises(BadFile, match="has a line of more than 8 million characters"):
            next(found)


def test_the_key_of_an_import_is_all_that_makes_its_leads() -> None:
    Path("a.csv").write_text("phone,name\n+1,Ann\n")
    Path("b.csv").write_text("phone,name\n+1,Ann\n")
    key = opened("a.csv").key("keep")
    assert opened("b.csv").key("keep") == key
    others = [
        opened("a.csv").key("update"),
        opened("a.csv", region="DE").key("keep"),
        opened("a.csv", mapped=["name=last_name"]).key("keep"),
        opened("a.csv", constants=["active=no"]).key("keep"),
    ]
    Path("b.csv").write_text("phone,name\n+1,Bob\n")
    others.append(opened("b.csv").key("keep"))
    assert len({key, *others}) == 6
