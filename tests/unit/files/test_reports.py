import csv
import io
import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadlane.files import sources
from leadlane.files.columns import FIELDS, Dialer, Wishes
from leadlane.files.reading import Leads, read_leads
from leadlane.files.reports import write_undelivered
from leadlane.files.writing import check, written
from leadlane.schemas.errors import BadFile
from tests.unit.files.workbooks import workbook

BAD = "phone_number: is not a phone number"


def opened(path: str, content: str | None = None) -> Leads:
    if content is not None:
        Path(path).write_text(content)
    return read_leads(sources.find(path), Wishes(), Dialer("dialer", FIELDS))


def report(*outcomes: str) -> Iterator[dict[str, Any]]:
    for index, outcome in enumerate(outcomes):
        yield {"index": index, "phone_number": "x", "outcome": outcome, "reason": BAD}


def table(path: str, delimiter: str = ",") -> list[list[str]]:
    return list(
        csv.reader(io.StringIO(Path(path).read_bytes().decode("utf-8-sig"), newline=""), delimiter=delimiter)
    )


def test_rows_that_were_not_delivered_are_written_in_their_own_columns() -> None:
    leads = opened(
        "a.csv", 'Export\nName;Telefon;Note\nAnn;+1;x\nBob;call me;"two\nlines"\nÇid;+2;\nDan;+3;\n'
    )
    assert list(leads.rows())
    assert write_undelivered("out.csv", leads, report("created", "invalid", "duplicate", "failed")) == 2
    assert table("out.csv", ";") == [
        ["Name", "Telefon", "Note", "outcome", "reason"],
        ["Bob", "call me", "two\nlines", "invalid", BAD],
        ["Dan", "+3", "", "failed", BAD],
    ]


def test_a_report_can_be_mended_and_imported_again() -> None:
    leads = opened("a.csv", "phone,name\n=1,Ann\n'x,Bob\n-12125550101,Cid\n")
    write_undelivered("out.csv", leads, report("invalid", "created", "invalid"))
    again = opened("out.csv")
    assert [row["phone_number"] for row in again.rows()] == ["=1", "-12125550101"]  # type: ignore[index]
    assert "outcome" not in again.about["columns"]
    write_undelivered("more.csv", again, report("invalid", "created"))
    assert table("more.csv")[0] == ["phone", "name", "outcome", "reason"]


@pytest.mark.parametrize("cell", ["=1+1", "+1 (212) 555", "-2", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_report_is_a_formula(cell: str) -> None:
    leads = opened("a.jsonl", json.dumps({"phone": "x", cell: cell}) + "\n")
    write_undelivered("out.csv", leads, report("invalid"))
    assert table("out.csv") == [["phone", f"'{cell}", "outcome", "reason"], ["x", f"'{cell}", "invalid", BAD]]


def test_a_line_that_could_not_be_read_is_in_the_report_as_it_stood() -> None:
    leads = opened("a.csv", 'phone,name\n+1,Lee, Ann\n+2,"Bob\n')
    write_undelivered("out.csv", leads, report("invalid", "invalid"))
    assert [row[0] for row in table("out.csv")[1:]] == ["'+1,Lee, Ann", "'+2,\"Bob"]


def test_json_is_reported_as_json_lines_unless_a_table_is_asked_for() -> None:
    leads = opened("a.jsonl", '{"phone": "1", "more": [1]}\n{"pho\n{"phone": "2"}\n')
    assert write_undelivered("out.jsonl", leads, report("invalid", "invalid", "created")) == 2
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == [
        {"phone": "1", "more": [1], "outcome": "invalid", "reason": BAD},
        {"row": '{"pho', "outcome": "invalid", "reason": BAD},
    ]
    assert write_undelivered("out.csv", leads, report("invalid", "created", "dead")) == 2
    assert table("out.csv") == [
        ["phone", "more", "outcome", "reason"],
        ["1", "[1]", "invalid", BAD],
        ["2", "", "dead", BAD],
    ]


def test_rows_of_a_workbook_are_reported_as_csv() -> None:
    workbook("a.xlsx", {"Leads": {1: ["Phone", "Name"], 2: [4930123456, "Ann"], 3: ["call me", "Bob"]}})
    write_undelivered("out.csv", opened("a.xlsx"), report("created", "invalid"))
    assert table("out.csv")[1:] == [["call me", "Bob", "invalid", BAD]]


def test_what_came_on_standard_input_is_reported_too(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in").write_text("phone\n+1\ncall me\n")
    with Path("in").open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        source = sources.find("-")
        source.keep()
        leads = read_leads(source, Wishes(), Dialer("dialer", FIELDS))
        assert len(list(leads.rows())) == 2
    write_undelivered("out.csv", leads, report("created", "invalid"))
    assert table("out.csv")[1:] == [["call me", "invalid", BAD]]


def test_a_file_that_has_lost_rows_since_is_refused_and_no_report_is_left() -> None:
    leads = opened("a.csv", "phone\n+1\n+2\n")
    assert len(list(leads.rows())) == 2
    Path("a.csv").write_text("phone\n+1\n")
    with pytest.raises(BadFile, match="it has been changed since"):
        write_undelivered("out.csv", leads, report("created", "invalid"))
    assert sorted(path.name for path in Path().iterdir()) == ["a.csv"]


def test_a_report_is_whole_or_the_one_that_was_there() -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from report("invalid")
        raise RuntimeError

    leads = opened("a.csv", "phone\ncall me\n")
    Path("out.csv").write_text("before")
    with pytest.raises(RuntimeError):
        write_undelivered("out.csv", leads, broken())
    assert Path("out.csv").read_text() == "before"
    assert len(list(Path().iterdir())) == 2


def test_a_report_is_for_its_owner_alone_from_its_first_byte() -> None:
    with written("out.csv") as file:
        file.write("x")
        file.flush()
        (path,) = Path().iterdir()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("out.csv").stat().st_mode) == 0o600


@pytest.mark.parametrize("path", [".", "no/such/folder.csv"])
def test_where_no_report_can_be_is_told_before(path: str) -> None:
    with pytest.raises(BadFile, match="cannot be written"):
        check(path)
