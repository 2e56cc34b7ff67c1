import csv
import io
import json
import stat
from pathlib import Path

import pytest

from leadlane.cli import output
from leadlane.cli.jobs import _write
from leadlane.files.writing import written
from leadlane.schemas.errors import BadFile

PROGRESS = {"leads": 10, "created": 6, "duplicate": 1, "invalid": 2, "dead": 1, "waiting": 0, "ended": True}


def test_the_table_of_outcomes_is_plain_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    output.outcomes(PROGRESS)
    said = capsys.readouterr().out
    assert said.splitlines() == [
        "outcome    leads",
        "created        6",
        "duplicate      1",
        "invalid        2",
        "dead           1",
        "all           10",
    ]


def test_colours_are_for_terminals_that_want_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    output.outcomes(PROGRESS)
    assert "\x1b[1m" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    output.outcomes(PROGRESS)
    assert "\x1b[3" not in capsys.readouterr().out


def test_an_empty_table_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("campaign", "state"), [])
    assert capsys.readouterr().out == "campaign  state\n"


def test_text_from_outside_steers_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output.line("a\x1b[31mb\nc")
    output.table(("reason",), [("\x1b]0;x\x07 [bold]",)])
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "[bold]" in said


def test_a_document_has_every_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    output.document(output.job_document("j", "voiso/3", PROGRESS, left_out=["Müll"]))
    found = json.loads(capsys.readouterr().out)
    assert found["created"] == 6
    assert found["uncertain"] == 0
    assert found["left_out"] == ["Müll"]
    assert (found["job"], found["campaign"], found["ended"]) == ("j", "voiso/3", True)


@pytest.mark.parametrize("rows", [[], [{"index": 0}], [{"index": 0}, {"index": 1}]])
def test_an_array_is_one_json_document(
    rows: list[dict[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    output.array(rows)
    assert json.loads(capsys.readouterr().out) == rows


@pytest.mark.parametrize(
    ("progress", "code"),
    [
        ({"leads": 0}, 0),
        ({"leads": 3, "created": 1, "duplicate": 1, "updated": 1}, 0),
        ({"leads": 2, "accepted": 1, "removed": 1}, 0),
        ({"leads": 2, "created": 1, "invalid": 1}, 1),
        ({"leads": 2, "created": 1, "dead": 1}, 1),
        ({"leads": 1, "uncertain": 1}, 1),
    ],
)
def test_the_exit_code_says_whether_all_was_delivered(progress: dict[str, int], code: int) -> None:
    assert output.exit_code(progress) == code


def test_only_picks_rows_by_outcome() -> None:
    rows = [{"outcome": outcome} for outcome in ("created", "invalid", "dead", "duplicate", "waiting")]
    assert [row["outcome"] for row in output.chosen(rows, "not-delivered")] == ["invalid", "dead", "waiting"]
    assert [row["outcome"] for row in output.chosen(rows, "dead")] == ["dead"]
    assert len(list(output.chosen(rows, None))) == 5


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+4917012345", "+4917012345"),
        ("+49 170", "'+49 170"),
        ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("name: is missing", "name: is missing"),
        ("", ""),
    ],
)
def test_a_report_runs_nothing_in_a_spreadsheet(cell: str, written: str) -> None:
    file = io.StringIO()
    _write([{"index": 4, "phone_number": cell, "outcome": "invalid", "reason": cell}], file)
    _, row = csv.reader(io.StringIO(file.getvalue(), newline=""))
    assert row == ["4", written, "invalid", written]


def test_a_report_is_for_its_owner_alone() -> None:
    Path("there.csv").touch(mode=0o644)
    for name in ("there.csv", "new.csv"):
        with written(name) as file:
            file.write("x")
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600


def test_a_report_that_cannot_be_written_is_one_line() -> None:
    with pytest.raises(BadFile, match="cannot be written"), written("no/such/folder.csv"):
        pass
