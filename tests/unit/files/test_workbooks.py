import sys
from pathlib import Path
from typing import Any

import pytest

from leadlane.files import sources
from leadlane.files.columns import FIELDS, Dialer, Wishes
from leadlane.files.reading import Leads, read_leads
from leadlane.schemas.errors import BadFile, WrongUse
from tests.unit.files.workbooks import Cell, workbook

HEAD: list[Cell] = ["Name", "Phone", "Aktiv"]


def opened(path: str, **wishes: Any) -> Leads:
    return read_leads(sources.find(path), Wishes.of(**wishes), Dialer("dialer", FIELDS))


def test_numbers_kept_as_numbers_are_numbers_as_people_write_them() -> None:
    rows: list[list[Cell]] = [
        ["Ann", 491512326171, True],
        ["Bob", 4.91512326172e11, False],
        ["Cid", "+49 151 2326173", 1],
    ]
    path = workbook("leads.xlsx", {"Leads": dict(enumerate([HEAD, *rows], 1))})
    assert list(opened(path).rows()) == [
        {"name": "Ann", "phone_number": "491512326171", "active": True},
        {"name": "Bob", "phone_number": "491512326172", "active": False},
        {"name": "Cid", "phone_number": "+49 151 2326173", "active": True},
    ]


def test_the_sheet_with_numbers_is_read_below_its_title() -> None:
    path = workbook(
        "leads.xlsx",
        {
            "Notes": {1: ["do not import"]},
            "Leads": {2: [None, "Export of phones"], 4: [None, *HEAD], 6: [None, "Ann", 4930123456]},
            "Old": {1: HEAD, 2: ["Bob", 4930123457]},
        },
    )
    leads = opened(path)
    assert (leads.about["sheet"], leads.about["header_line"], leads.about["other_sheets"]) == (
        "Leads",
        4,
        ["Notes", "Old"],
    )
    assert [row["name"] for row in leads.rows()] == ["Ann"]  # type: ignore[index]
    assert leads.line == 6
    for wanted in ("Old", "3"):
        assert [row["name"] for row in opened(path, sheet=wanted).rows()] == ["Bob"]  # type: ignore[index]
    with pytest.raises(WrongUse, match=r"--sheet: there is no 'Leds'; did you mean 'Leads'\?"):
        opened(path, sheet="Leds")
    with pytest.raises(BadFile, match="sheet 'Notes': has no column with the phone number"):
        opened(path, sheet="Notes")


def test_a_hidden_sheet_is_read_last() -> None:
    sheets = {"Draft": {1: HEAD, 2: ["Ann", 1]}, "Leads": {1: HEAD, 2: ["Bob", 2]}}
    assert opened(workbook("leads.xlsx", sheets, hidden=["Draft"])).about["sheet"] == "Leads"


@pytest.mark.parametrize("sheets", [{"Leads": {}}, {"Leads": {1: HEAD}}])
def test_a_workbook_without_leads_is_refused(sheets: Any) -> None:
    with pytest.raises(BadFile, match=r"is empty|has a header but no leads"):
        opened(workbook("leads.xlsx", sheets))


def test_a_broken_workbook_is_refused() -> None:
    whole = Path(workbook("leads.xlsx", {"Leads": {1: HEAD, 2: ["Ann", 1]}})).read_bytes()
    Path("leads.xlsx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFile, match="is no workbook that can be read"):
        opened("leads.xlsx")


def test_a_workbook_on_standard_input_is_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook("leads.xlsx", {"Leads": {1: HEAD, 2: ["Ann", 4930123456]}})
    with Path(path).open() as given:
        monkeypatch.setattr(sys, "stdin", given)
        leads = opened("-")
        assert [row["name"] for row in leads.rows()] == ["Ann"]  # type: ignore[index]
        assert leads.key() == ""
