"""The program as people and scripts meet it: exit codes, one JSON document, one clear line, nothing lost."""

import csv
import io
import json
import os
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from leadlane.ops.embedded import free_port
from tests.system.conftest import Program, Town, until

JOB = re.compile(r"job ([0-9a-f]{16})")


def number(i: int) -> str:
    return f"+1212555{i:04d}"


def write(path: Path, good: int, bad: int = 0) -> str:
    """A CSV of leads, the invalid ones spread among the others."""
    with path.open("w", encoding="utf-8-sig") as file:
        file.write("Name,Phone Number,Shoe Size\n")
        for i in range(1, good + 1):
            if i <= bad:
                file.write(f"Bad {i},call me,42\n")
            file.write(f"Lead {i},{number(i)},42\n")
    return str(path)


def job_of(text: str) -> str:
    found = JOB.search(text)
    assert found, text
    return found.group(1)


def document(text: str) -> dict[str, Any]:
    """The one JSON document on stdout."""
    assert text.count("\n") == 1
    found: dict[str, Any] = json.loads(text)
    return found


def fed(town: Town, pieces: list[str], *words: str) -> tuple[Program, int]:
    """`leadlane import - WORDS...` with what was written to its standard input, and the end to write more to."""
    read_end, write_end = os.pipe()
    program = town.start("import", "-", *words, name="import", stdin=read_end)
    os.close(read_end)
    for piece in pieces:
        os.write(write_end, piece.encode())
    return program, write_end


def test_a_file_is_imported_and_each_lead_answered_for(town: Town, tmp_path: Path) -> None:
    town.worker()
    file = write(tmp_path / "leads.csv", good=1200, bad=3)

    ended = town.run("import", file, "--campaign", "voiso/3", "--wait", "--json")
    assert ended.returncode == 1
    told = document(ended.stdout)
    assert (told["campaign"], told["leads"], told["ended"]) == ("voiso/3", 1203, True)
    assert (told["created"], told["invalid"], told["waiting"], told["dead"]) == (1200, 3, 0, 0)
    assert told["left_out"] == ["Shoe Size"]
    assert told["understood"]["columns"] == {"Phone Number": "phone_number", "Name": "name"}
    assert "left out: Shoe Size (no field of a lead)" in ended.stderr
    assert town.sandbox.verify()["breaches"] == 0

    again = town.run("import", write(tmp_path / "again.csv", good=5), "-c", "voiso/03", "--wait")
    assert again.returncode == 0
    assert re.search(r"^duplicate +5$", again.stdout, re.MULTILINE)
    assert "\x1b" not in again.stdout + again.stderr

    rows = json.loads(town.run("job", "report", told["job"], "--only", "not-delivered", "--json").stdout)
    assert [(row["phone_number"], row["outcome"]) for row in rows] == [("call me", "invalid")] * 3
    whole = town.run("job", "report", told["job"], "--csv", "-").stdout
    assert len(list(csv.DictReader(io.StringIO(whole)))) == 1203
    assert number(1) in whole

    target = tmp_path / "report.csv"
    assert town.run("job", "report", told["job"], "--csv", str(target)).returncode == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert document(town.run("job", "show", told["job"], "--json").stdout)["batches"] == 2
    assert town.run("job", "watch", told["job"]).returncode == 1
    listed = document(town.run("job", "list", "--json").stdout)["jobs"]
    assert [job["leads"] for job in listed] == [5, 1203]


def test_without_wait_it_says_the_job_and_what_keeps_it(town: Town, tmp_path: Path) -> None:
    ended = town.run("import", write(tmp_path / "leads.csv", good=3), "-c", "voiso/3", "--priority", "urgent")
    assert ended.returncode == 0
    job = job_of(ended.stdout)
    assert f"leadlane job watch {job}" in ended.stdout
    assert "no worker is alive" in ended.stderr

    (lane,) = document(town.run("lane", "list", "--json").stdout)["lanes"]
    assert (lane["campaign"], lane["state"], lane["waiting"]) == ("voiso/3", "free", 1)
    assert "no worker is alive" in town.run("lane", "list").stderr

    cancelled = document(town.run("job", "cancel", job, "--json").stdout)
    assert (cancelled["cancelled"], cancelled["ended"]) == (3, True)
    assert town.run("lane", "list").stdout == "no lane has work\n"


def test_standard_input_is_a_file_too(town: Town) -> None:
    town.worker()
    lines = "".join(json.dumps({"phone_number": number(i)}) + "\n" for i in range(1, 4))
    ended = town.run("import", "-", "-c", "voiso/3", "--wait", "--json", stdin=lines)
    assert ended.returncode == 0
    assert document(ended.stdout)["created"] == 3


def test_an_unknown_account_is_refused_with_those_that_exist(town: Town, tmp_path: Path) -> None:
    town.worker()
    ended = town.run("import", write(tmp_path / "leads.csv", good=1), "-c", "voisso/3")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "'voisso' is unknown" in ended.stderr
    assert "'voiso'" in ended.stderr
    assert town.run("import", str(tmp_path / "leads.csv"), "-c", "voiso/three").returncode == 2
    assert town.run("job", "show", "4be0643f1d98573b").returncode == 2


def test_a_redis_that_is_down_is_one_line_and_code_3(town: Town, tmp_path: Path) -> None:
    town.env["LEADLANE_REDIS_URL"] = f"redis://:secret@127.0.0.1:{free_port()}/0"
    ended = town.run("import", write(tmp_path / "leads.csv", good=1), "-c", "voiso/3", "--wait", "--json")
    assert (ended.returncode, ended.stdout) == (3, "")
    assert ended.stderr.count("\n") == 1
    assert "secret" not in ended.stderr


def test_a_worker_without_its_key_says_so_and_ends(town: Town) -> None:
    del town.env["SANDBOX_KEY"]
    ended = town.run("worker")
    assert ended.returncode == 2
    assert ended.stderr.startswith("leadlane: accounts.voiso.api_key: the variable SANDBOX_KEY is not set")
    assert ended.stderr.count("\n") == 1


def test_a_wrong_key_holds_the_account_and_waiting_says_so(town: Town, tmp_path: Path) -> None:
    town.env["SANDBOX_KEY"] = "wrong"
    town.worker()
    waiting = town.start(
        "import", write(tmp_path / "leads.csv", good=2), "-c", "voiso/3", "--wait", "--json", name="import"
    )
    until(lambda: "blocked by: account voiso is on hold" in waiting.logged())
    waiting.signal(signal.SIGINT)
    assert waiting.wait() == 130
    said = waiting.logged()
    assert f"leadlane job watch {job_of(said)}" in said
    assert json.loads(said.splitlines()[-1])["waiting"] == 2
    (lane,) = document(town.run("lane", "list", "--json").stdout)["lanes"]
    assert (lane["state"], lane["next_s"]) == ("on hold", None)


def test_a_dialer_that_is_down_makes_waiting_longer_and_loses_nothing(town: Town, tmp_path: Path) -> None:
    town.sandbox.fault("status", times=4, status=503)
    town.worker()
    ended = town.run("import", write(tmp_path / "leads.csv", good=2), "-c", "voiso/3", "--wait", "--json")
    assert ended.returncode == 0
    assert document(ended.stdout)["created"] == 2


def test_ctrl_c_while_waiting_leaves_the_job_to_the_workers(town: Town, tmp_path: Path) -> None:
    waiting = town.start(
        "import", write(tmp_path / "leads.csv", good=2), "-c", "voiso/3", "--wait", name="import"
    )
    until(lambda: "blocked by: no worker is alive" in waiting.logged())
    waiting.signal(signal.SIGINT)
    assert waiting.wait() == 130
    job = job_of(waiting.logged())
    town.worker()
    assert town.run("job", "watch", job).returncode == 0


def test_ctrl_c_while_reading_keeps_what_was_taken(town: Town) -> None:
    town.worker()
    lines = "".join(f"{number(i)}\n" for i in range(1, 1501))
    reading, more = fed(town, ["phone\n", lines], "-c", "voiso/3", "--wait", "--json")
    try:
        until(lambda: town.sandbox.leads(3))
        reading.signal(signal.SIGINT)
        assert reading.wait() == 130
    finally:
        os.close(more)
    *_, said, told = reading.logged().splitlines()
    job, taken = job_of(said), json.loads(told)["rows_taken"]
    assert json.loads(told) == {"job": job, "campaign": "voiso/3", "rows_taken": taken, "interrupted": True}
    assert 1000 <= taken <= 1500
    assert f"has taken {taken:,} rows" in said
    assert f"leadlane job cancel {job}" in said
    until(lambda: len(town.sandbox.leads(3)) == taken)
    until(lambda: document(town.run("job", "show", job, "--json").stdout)["created"] == taken)
    assert "is open" in town.run("job", "show", job).stdout
    closed = document(town.run("job", "cancel", job, "--json").stdout)
    assert (closed["created"], closed["ended"]) == (taken, True)


def test_an_import_with_a_key_goes_on_where_it_was_stopped(town: Town, tmp_path: Path) -> None:
    file = write(tmp_path / "leads.csv", good=3)
    words = ("import", file, "-c", "voiso/3", "--json", "--idempotency-key", "monday")
    first, second = (document(town.run(*words).stdout) for _ in range(2))
    assert first["job"] == second["job"]
    assert second["leads"] == 3


@pytest.mark.parametrize(
    "words", [["sandbox", "--port", "0"], ["flower", "--port", "0"], ["beat"]], ids=" ".join
)
def test_what_runs_on_its_own_ends_when_asked(town: Town, words: list[str]) -> None:
    program = town.start(*words)
    ready = {"sandbox": "sandbox at http", "flower": "flower at http", "beat": "beat: Acquired lock"}[
        words[0]
    ]
    until(lambda: ready in program.logged())
    assert program.stop() == 0
    assert "Traceback" not in program.logged()


def test_a_control_worker_serves_nothing_else(town: Town, tmp_path: Path) -> None:
    town.worker("c1", 2, None, "--control")
    ended = town.run("import", write(tmp_path / "leads.csv", good=1), "-c", "voiso/3", "--json")
    assert town.client.hget("leadlane:slots:turns", "sum") in {None, "0"}
    assert document(ended.stdout)["waiting"] == 1
