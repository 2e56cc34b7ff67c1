"""Idempotency keys on every operation, with producers that really race: threads, and processes."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from leadlane import Fleet
from leadlane.command import Command
from leadlane.errors import WrongUse
from leadlane.job import Job
from leadlane.ops.main import app
from leadlane.schemas.settings import load_settings

ACCOUNT = {"PROVIDER": "voiso", "BASE_URL": "http://d", "API_KEY": "env:NONE"}


def rows(n: int, start: int = 0) -> list[dict[str, str]]:
    return [{"phone_number": f"+1212{5550000 + start + i}"} for i in range(n)]


@pytest.fixture
def fleet(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Fleet]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", redis_url)
    for key, value in ACCOUNT.items():
        monkeypatch.setenv(f"LEADLANE_ACCOUNTS__VOISO__{key}", value)
    fleet = Fleet(settings=load_settings())
    yield fleet
    fleet.close()


@pytest.fixture
def redis(fleet: Fleet) -> Any:
    return fleet._producer.lanes.client


def words(fleet: Fleet) -> dict[str, Any]:
    """Every word that has a key, by name: said with this key, the same again; said with another content."""
    spring = fleet.campaign("voiso/3")
    return {
        "add_agents": lambda key, other: spring.add_agents([7] if other else [1, 2], idempotency_key=key),
        "remove_agents": lambda key, other: spring.remove_agents([7] if other else [1], idempotency_key=key),
        "sync_agents": lambda key, other: spring.sync_agents([] if other else [1], idempotency_key=key),
        "suppress": lambda key, other: fleet.suppress(
            ["+12125550101" if other else "+12125550102"], account="voiso", idempotency_key=key
        ),
        "unsuppress": lambda key, other: fleet.unsuppress(
            ["+12125550101" if other else "+12125550102"], account="voiso", idempotency_key=key
        ),
    }


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("add_agents", "user_ids"),
        ("remove_agents", "user_ids"),
        ("sync_agents", "user_ids"),
        ("suppress", "numbers"),
        ("unsuppress", "numbers"),
    ],
)
def test_a_key_is_one_command_and_another_content_is_refused(fleet: Fleet, name: str, part: str) -> None:
    say = words(fleet)[name]
    first: Command = say("k", other=False)
    assert say("k", other=False).id == first.id
    with pytest.raises(WrongUse, match=f"given before with other {part} .command {first.id}"):
        say("k", other=True)
    assert say("k2", other=True).id != first.id
    assert say(None, other=False).id != first.id


@pytest.mark.parametrize("name", ["start", "pause", "stop"])
def test_an_old_key_brings_no_old_word_back(fleet: Fleet, name: str) -> None:
    spring = fleet.campaign("voiso/3")
    say = getattr(spring, name)
    first = say(idempotency_key="k")
    newer = spring.pause() if name == "stop" else spring.stop()
    again = say(idempotency_key="k")
    assert again.id == first.id
    assert again.progress()["outcome"] == "superseded"
    assert newer.progress()["outcome"] == "waiting"
    assert say(idempotency_key="another").id != first.id


def test_the_job_that_a_start_waits_for_is_part_of_what_it_says(fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")
    one, other = (spring.import_leads(rows(1, start)) for start in (0, 9))
    first = spring.start(after=one, idempotency_key="k")
    assert spring.start(after=one, idempotency_key="k").id == first.id
    with pytest.raises(WrongUse, match="other after"):
        spring.start(after=other, idempotency_key="k")


def test_the_order_in_which_agents_are_named_is_no_other_content(fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")
    assert (
        spring.add_agents([1, 2], idempotency_key="k").id
        == spring.add_agents(["2", 1], idempotency_key="k").id
    )


def test_a_key_belongs_to_one_operation_at_one_campaign(fleet: Fleet) -> None:
    spring, other = fleet.campaign("voiso/3"), fleet.campaign("voiso/4")
    ids = {
        spring.start(idempotency_key="k").id,
        spring.stop(idempotency_key="k").id,
        other.stop(idempotency_key="k").id,
        spring.import_leads(rows(1), idempotency_key="k").id,
        spring.update_leads(rows(1), idempotency_key="k").id,
    }
    assert len(ids) == 5


def test_a_key_that_ended_lives_as_long_as_its_command(fleet: Fleet, redis: Any) -> None:
    spring = fleet.campaign("voiso/3")
    first = spring.start(idempotency_key="k")
    assert first.cancel() == "cancelled"
    for _ in range(2):
        kept = [redis.pttl(key) for key in redis.scan_iter("leadlane:key:*")]
        kept += [redis.pttl(f"leadlane:{kind}:{first.id}") for kind in ("t", "job")]
        assert len(kept) == 3
        assert min(kept) > 0
        redis.pexpire(f"leadlane:t:{first.id}", 10_000_000)
        assert spring.start(idempotency_key="k").id == first.id  # nor does asking make it live longer
        assert redis.pttl(f"leadlane:t:{first.id}") <= 10_000_000
        assert spring.start(idempotency_key="k").progress()["outcome"] == "cancelled"


@pytest.mark.parametrize("key", ["", 7, "x" * 1001])
def test_what_is_no_key_is_refused(fleet: Fleet, key: Any) -> None:
    spring = fleet.campaign("voiso/3")
    for say in (spring.stop, lambda **key: spring.import_leads(rows(1), **key)):
        with pytest.raises(WrongUse, match="idempotency_key: is not text of 1 to 1,000 characters"):
            say(idempotency_key=key)


def test_a_key_in_any_script_is_a_key(fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")
    for key in ("ключ", "\ud800", "a/b"):
        assert spring.stop(idempotency_key=key).id == spring.stop(idempotency_key=key).id


def test_fewer_rows_than_are_stored_under_an_open_key_are_other_rows(fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")

    def broken_off() -> Iterator[dict[str, str]]:
        yield from rows(2500)
        raise OSError

    with pytest.raises(Exception, match="stays open") as broken:
        spring.import_leads(broken_off(), idempotency_key="k")
    with pytest.raises(WrongUse, match="rows from 1000 on differ"):
        spring.import_leads(rows(1000), idempotency_key="k")
    job = spring.import_leads(rows(3000), idempotency_key="k")
    assert job.id == broken.value.job_id  # type: ignore[attr-defined]
    assert job.progress()["leads"] == 3000


def test_the_command_line_takes_keys(fleet: Fleet) -> None:
    def told(*words: str, code: int = 0) -> Any:
        ended = CliRunner().invoke(app, [*words, "--json", "--idempotency-key", "k"])
        assert ended.exit_code == code, ended.output
        return json.loads(ended.stdout) if code == 0 else ended.stderr

    for words in (
        ("campaign", "start", "voiso/3", "--no-wait"),
        ("campaign", "stop", "voiso/3", "--no-wait"),
        ("agents", "sync", "--campaign", "voiso/3", "--no-wait", "7", "8"),
    ):
        assert told(*words)["command"] == told(*words)["command"]
    out = ("suppress", "add", "+12125550101", "--all")
    assert told(*out)["commands"] == told(*out)["commands"]
    assert "given before with other numbers" in told("suppress", "add", "+12125550102", "--all", code=2)
    assert "given before with other user_ids" in told(
        "agents", "sync", "--campaign", "voiso/3", "--no-wait", "7", code=2
    )


def test_of_threads_with_one_key_one_fills_the_job(fleet: Fleet) -> None:
    """All begin at once; those that find another at work are told so, and all that return have one job."""
    spring, gate = fleet.campaign("voiso/3"), threading.Barrier(8)
    ended: list[Job | WrongUse] = []

    def produce(start: int) -> None:
        gate.wait()
        try:
            ended.append(spring.import_leads(rows(3000, start), idempotency_key="k"))
        except WrongUse as refused:
            ended.append(refused)

    threads = [threading.Thread(target=produce, args=(10_000 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    jobs = [one for one in ended if isinstance(one, Job)]
    refused = [one for one in ended if isinstance(one, WrongUse)]
    assert len(jobs) + len(refused) == 8
    assert len({job.id for job in jobs}) == 1
    assert all("another producer is at work with this key" in str(one) for one in refused)
    report = list(jobs[0].report())
    assert [row["index"] for row in report] == list(range(3000))
    assert len({row["phone_number"][:-4] for row in report}) == 1, "rows of two producers are in one job"


RACER = """
import json, sys
from leadlane import Fleet
from leadlane.errors import WrongUse

start = int(sys.argv[1])
spring = Fleet().campaign("voiso/3")
print("ready", flush=True)
sys.stdin.readline()
commands = [spring.stop(idempotency_key="s").id, spring.add_agents([1, 2], idempotency_key="a").id]
try:
    rows = [{"phone_number": f"+1212{5550000 + start + i}"} for i in range(4000)]
    print(json.dumps({"commands": commands, "job": spring.import_leads(rows, idempotency_key="k").id}))
except WrongUse as refused:
    print(json.dumps({"commands": commands, "refused": str(refused)}))
"""


def test_of_processes_with_one_key_one_fills_the_job_and_all_have_one_command(fleet: Fleet) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(10_000 * i)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(3)
    ]
    try:
        for racer in racers:
            assert racer.stdout
            assert racer.stdout.readline() == "ready\n"
        for racer in racers:
            assert racer.stdin
            racer.stdin.write("\n")
            racer.stdin.flush()
        told = [json.loads(racer.communicate()[0]) for racer in racers]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
    assert len({tuple(one["commands"]) for one in told}) == 1
    jobs = {one["job"] for one in told if "job" in one}
    assert len(jobs) == 1
    assert all("another producer is at work" in one["refused"] for one in told if "job" not in one)
    report = list(fleet.job(jobs.pop()).report())
    assert [row["index"] for row in report] == list(range(4000))
    assert len({row["phone_number"][:-4] for row in report}) == 1, "rows of two producers are in one job"


def test_a_producer_that_was_thought_gone_stores_nothing_more(fleet: Fleet, redis: Any) -> None:
    spring = fleet.campaign("voiso/3")

    def frozen() -> Iterator[dict[str, str]]:
        """It was silent for a minute after its second batch; meanwhile another one did it all."""
        yield from rows(2001)
        (job,) = redis.zrange("leadlane:jobs", 0, -1)
        redis.hset(f"leadlane:job:{job.decode()}", "seen", "0")
        assert spring.import_leads(rows(4000), idempotency_key="k").id == job.decode()
        yield from rows(5000, 50_000)

    with pytest.raises(WrongUse, match=r"another producer has taken job \w+ over"):
        spring.import_leads(frozen(), idempotency_key="k")
    (job,) = redis.zrange("leadlane:jobs", 0, -1)
    progress = fleet.job(job.decode()).progress()
    assert progress["leads"] == 4000
    assert "sealed" in fleet._producer.jobs.fields(job.decode())
