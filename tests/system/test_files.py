"""Files as customers send them, into a dialer; and imports that are broken off, begun again and repeated."""

import csv
import io
import json
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import Program, Town, until
from tests.system.judge import rules_kept
from tests.unit.files.workbooks import workbook

MANY = 12_000


def number(i: int) -> str:
    return f"+1212{2_000_000 + i}"


def many(path: Path, rows: int = MANY) -> str:
    with path.open("w") as file:
        file.write("Name;Telefon\n")
        file.writelines(f"Lead {i};{number(i)}\n" for i in range(rows))
    return str(path)


def document(text: str) -> dict[str, Any]:
    assert text.count("\n") == 1
    found: dict[str, Any] = json.loads(text)
    return found


def stored(town: Town, job: str) -> int:
    return int(town.client.hget(f"leadlane:job:{job}", "leads") or 0)  # type: ignore[arg-type]


def begun(town: Town, file: str, rows: int) -> tuple[Program, str]:
    """An import of the file of which so many rows, but not all, are stored; and its job."""
    program = town.start("import", file, "-c", "voiso/3", "--json", name="import")
    job = until(lambda: next(iter(town.client.zrange("leadlane:jobs", 0, -1)), None))  # type: ignore[arg-type]
    until(lambda: stored(town, str(job)) >= rows)
    return program, str(job)


def test_files_of_any_kind_are_imported_as_they_are(town: Town, tmp_path: Path) -> None:
    town.sandbox.change(rejected_suffix="", keep_fields=True)
    town.worker()
    german = tmp_path / "leads.csv"
    german.write_bytes(
        "Export\r\nVorname;Nachname;Telefon;Priorität;Aktiv\r\nJürgen;Müller;030 1234567;hoch;ja\r\n"
        "Zoë;Berg;unbekannt;;\r\n".encode("cp1252")
    )
    ads = tmp_path / "ads.tsv"
    ads.write_bytes("full_name\tphone_number\r\nŁukasz\tp:+442012345678\r\n".encode("utf-16"))
    sheet = workbook(
        str(tmp_path / "leads.xlsx"), {"Q4": {1: ["Export"], 3: ["Name", "Phone"], 4: ["Ann", 12125550101]}}
    )
    hook = tmp_path / "leads.jsonl"
    hook.write_text('{"phone": "+12125550102"}\n{"pho\n')

    ended = [
        town.run("import", str(file), "-c", "voiso/3", "--region", region, "--wait", "--json")
        for file, region in ((german, "DE"), (ads, "GB"), (sheet, "US"), (hook, "US"))
    ]
    told = [document(one.stdout) for one in ended]
    assert [(one["leads"], one["created"], one["invalid"]) for one in told] == [
        (2, 1, 1),
        (1, 1, 0),
        (1, 1, 0),
        (2, 1, 1),
    ]
    assert [one.returncode for one in ended] == [1, 0, 0, 1]
    assert [one["understood"].get("encoding") for one in told] == ["Windows-1252", "UTF-16", None, "UTF-8"]
    assert "delimiter semicolon, header in line 2" in ended[0].stderr
    leads = town.sandbox.leads(3)
    assert leads.keys() == {"49301234567", "442012345678", "12125550101", "12125550102"}
    assert leads["49301234567"]["fields"]["name"] == "Jürgen Müller"


def test_a_dry_run_needs_no_worker_and_no_redis_and_leaves_nothing(town: Town, tmp_path: Path) -> None:
    file = tmp_path / "leads.csv"
    file.write_text(f"phone,name,Shoe Size\n{number(1)},Ann,42\ncall me,Bob,43\n{number(1)},Ann,42\n")
    town.redis.stop()
    ended = town.run("import", str(file), "-c", "voiso/3", "--dry-run", "--json")
    shown = town.run("import", str(file), "-c", "voiso/3", "--dry-run")
    town.redis.start()
    told = document(ended.stdout)
    assert (told["leads"], told["to_send"], told["invalid"], told["duplicate"]) == (3, 1, 1, 1)
    assert told["left_out"] == ["Shoe Size"]
    assert [row["line"] for row in told["first_bad_rows"]] == [3]
    assert ended.returncode == shown.returncode == 1
    assert "phone_number: is not a phone number" in shown.stdout
    assert town.client.dbsize() == 0


def test_what_was_not_delivered_is_written_beside_the_file(town: Town, tmp_path: Path) -> None:
    town.worker()
    file, report = tmp_path / "leads.csv", tmp_path / "missing.csv"
    file.write_text(f"Name,Telefon,Shoe\nAnn,{number(1)},42\n=1+1,call me,43\n")
    words = ("import", str(file), "-c", "voiso/3", "--report", str(report))
    assert "--report: there is none before the end" in town.run(*words).stderr
    for _ in range(2):  # the second time the import is done already, and the report written all the same
        ended = town.run(*words, "--wait")
        assert (ended.returncode, "1 rows that were not delivered" in ended.stderr) == (1, True)
        assert stat.S_IMODE(report.stat().st_mode) == 0o600
        head, row = csv.reader(io.StringIO(report.read_text("utf-8-sig")))
        assert head == ["Name", "Telefon", "Shoe", "outcome", "reason"]
        assert row[:4] == ["'=1+1", "call me", "43", "invalid"]
        report.unlink()


def test_an_import_that_is_killed_goes_on_with_the_same_command(town: Town, tmp_path: Path) -> None:
    town.sandbox.change(rejected_suffix="")
    town.worker()
    file = many(tmp_path / "leads.csv")
    program, job = begun(town, file, 3000)
    program.kill()
    assert stored(town, job) < MANY

    again = town.start("import", file, "-c", "voiso/3", "--wait", name="again")
    until(lambda: f"job {job} of this file is open" in again.logged())
    town.client.hset(f"leadlane:job:{job}", "seen", "0")  # its minute is over
    assert again.wait() == 0
    assert re.search(rf"going on with job {job}: [\d,]+ rows are stored already", again.logged())
    assert f"job {job} for voiso/3 has ended" in again.logged()
    assert rules_kept(town)["stored"] == MANY
    assert len(town.sandbox.leads(3)) == MANY


def test_an_import_that_is_stopped_says_how_to_go_on_and_does_at_once(town: Town, tmp_path: Path) -> None:
    file = many(tmp_path / "leads.csv")
    program, job = begun(town, file, 1000)
    program.signal(signal.SIGINT)
    assert program.wait() == 130
    assert f"job {job} has taken" in program.logged()
    assert "the same command again goes on where it stopped" in program.logged()

    again = town.run("import", file, "-c", "voiso/3", "--json")
    assert document(again.stdout)["job"] == job
    assert "going on with job" in again.stderr
    assert stored(town, job) == MANY


def test_a_repeated_import_is_done_already_unless_it_is_to_be_done_again(town: Town, tmp_path: Path) -> None:
    town.worker()
    file = tmp_path / "leads.csv"
    file.write_text(f"phone\n{number(1)}\ncall me\n")
    words = ("import", str(file), "-c", "voiso/3", "--wait", "--json")
    first, second, third = town.run(*words), town.run(*words), town.run(*words, "--again")
    told = [document(ended.stdout) for ended in (first, second, third)]
    assert [ended.returncode for ended in (first, second, third)] == [1, 1, 1]
    assert told[0]["job"] == told[1]["job"] != told[2]["job"]
    assert f"this was done already: job {told[0]['job']}" in second.stderr
    assert told[1]["repeated"] is True
    assert (told[2]["duplicate"], told[2]["invalid"]) == (1, 1)
    elsewhere = document(town.run("import", str(file), "-c", "voiso/4", "--json").stdout)
    assert elsewhere["job"] not in {told[0]["job"], told[2]["job"]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("leads.csv", b"", "is empty"),
        ("leads.csv", b"phone,name\n", "has a header but no leads"),
        ("leads.csv", b"name,city\nAnn,Rome\n", "has no column with the phone number among name, city"),
        ("leads.json", b'[{"phone": "+12125550101"}, {"pho', "its JSON breaks in object 2"),
        ("leads.bin", bytes(range(256)) * 8, "is no text but binary data"),
        ("leads.csv", b"phone\n" + b"1" * (20 << 20), "has a line of more than 8 million characters"),
    ],
)
def test_what_is_no_file_of_leads_is_one_line_and_code_2(
    town: Town, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    for words in ((str(tmp_path / name),), (str(tmp_path / name), "--dry-run")):
        ended = town.run("import", *words, "-c", "voiso/3")
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (2, "", 1)
        assert said in ended.stderr
    assert town.client.zcard("leadlane:jobs") == 0
