"""What a person does with uncertain leads and dead batches, by the command line, on the real scripts."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from redis import Redis
from typer.testing import CliRunner

from leadlane import Fleet
from leadlane.ops.main import app
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.connection import connect
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Entry, Lanes
from leadlane.workers.unsettled import Filter, Unsettled

ACCOUNTS = {"india": "dialnexa", "voiso": "voiso"}
TERMS = {"number": 0, "lease_ms": 1000, "turn_ms": 60_000, "lost_ms": 0, "gap_ms": 0, "room": 1000}
NOTHING = {
    "signal": "none", "reason": "", "began_ms": 0, "base_ms": 0, "cap_ms": 0, "dice": 0, "fails": 9,
}  # fmt: skip


class Desk:
    """Jobs at two accounts, a worker made of single steps, and the command line."""

    def __init__(self, redis_url: str) -> None:
        self.lanes = Lanes(connect(Settings(redis_url=redis_url)), "leadlane")
        self.client: Any = Redis.from_url(redis_url, decode_responses=True)
        self.jobs = Jobs(self.lanes)
        self.fleet = Fleet(settings=load_settings())
        self._tokens = map(str, count())

    def job(self, n: int, address: str = "india/cmp_1", start: int = 0, **options: Any) -> tuple[str, str]:
        """A job of so many leads, and its only batch."""
        rows = [{"phone_number": f"+1212555{start + i:04d}", "name": "Ada"} for i in range(n)]
        job = self.fleet.campaign(address).import_leads(rows, **options).id
        (batch,) = self.jobs.batches(job)
        return job, batch

    def enter(self, batch: str) -> tuple[Entry, str]:
        token = next(self._tokens)
        self.client.hincrby("leadlane:clock", "offset", 2000)  # no rate is in the way
        entry = self.lanes.enter(batch, token, **TERMS)
        assert entry.verdict == "granted"
        return entry, token

    def turn(self, batch: str, codes: str, act: str, reason: str = "") -> None:
        """A turn of this batch alone that ends so."""
        entry, token = self.enter(batch)
        self.leave(entry, token, codes, act, reason)

    def leave(self, entry: Entry, token: str, codes: str, act: str, reason: str = "") -> None:
        row = entry.rows[0]
        account = {**NOTHING, "acct": row.fields["acct"], "op": row.fields["op"]}
        move = {
            "id": row.ticket, "act": act, "codes": codes, "reason": reason, "cost": 1, "called": 1,
            "wait_ms": 0, "conflicts": 0,
        }  # fmt: skip
        self.lanes.leave(
            {
                "lane": entry.lane,
                "token": token,
                "rest_ms": 0,
                "account": account,
                "may_call": False,
                "tickets": [move],
            }
        )

    def counts(self, job: str) -> dict[str, int]:
        """The counts of a job, which always add up to its leads."""
        counts = self.jobs.counts(job)
        assert sum(counts.values()) == 2 * counts["leads"]
        assert min(counts.values()) >= 0
        return {name: n for name, n in counts.items() if n and name != "leads"}

    def ended(self, job: str) -> bool:
        return "ended" in self.jobs.fields(job)

    def clock(self, *keys: str) -> set[bool]:
        """Whether these keys expire."""
        return {self.client.ttl(f"leadlane:{key}") > 0 for key in keys}

    def reasons(self, job: str) -> list[tuple[str, str]]:
        return [(row.outcome, row.reason) for row in self.jobs.report(job)]

    def run(self, *words: str, code: int = 0) -> Result:
        ended = CliRunner().invoke(app, words)
        assert ended.exit_code == code, ended.output
        return ended

    def told(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)


@pytest.fixture
def desk(redis_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LEADLANE_REDIS_URL", redis_url)
    for name, provider in ACCOUNTS.items():
        for key, value in {"PROVIDER": provider, "BASE_URL": "http://d", "API_KEY": "env:NONE"}.items():
            monkeypatch.setenv(f"LEADLANE_ACCOUNTS__{name.upper()}__{key}", value)
    desk = Desk(redis_url)
    yield desk
    desk.fleet.close()
    desk.client.close()
    desk.lanes.client.close()


def test_uncertain_leads_are_listed_until_each_is_settled(desk: Desk) -> None:
    job, batch = desk.job(4)
    desk.turn(batch, "c??r", "done")
    assert desk.counts(job) == {"created": 1, "uncertain": 2, "rejected": 1}

    listed = desk.told("uncertain", "list")
    assert [(one["job"], one["index"], one["phone_number"], one["campaign"]) for one in listed] == [
        (job, 1, "+12125550001", "india/cmp_1"),
        (job, 2, "+12125550002", "india/cmp_1"),
    ]
    assert all(one["since"] and one["reason"] for one in listed)
    assert f"{job}:1" in desk.run("uncertain", "list").stdout

    assert desk.told("uncertain", "delivered", f"{job}:1") == {"act": "delivered", "leads": 1, "not_done": {}}
    assert desk.counts(job) == {"created": 2, "uncertain": 1, "rejected": 1}
    assert "1 leads are given up" in desk.run("uncertain", "discard", f"{batch}:2").stdout
    assert desk.counts(job) == {"created": 2, "failed": 1, "rejected": 1}
    assert desk.run("uncertain", "list").stdout == "no lead is uncertain\n"
    assert [outcome for outcome, _ in desk.reasons(job)] == ["created", "created", "failed", "rejected"]
    assert "by hand" in desk.reasons(job)[2][1]
    assert (
        desk.client.zcard("leadlane:finish") == 1
    )  # the counts of its Celery result are to be written again
    assert desk.clock(f"job:{job}", f"t:{batch}", f"out:{batch}", f"why:{batch}") == {True}


def test_what_is_resent_waits_again_and_its_job_is_open_until_it_has_an_outcome(desk: Desk) -> None:
    job, batch = desk.job(3)
    desk.turn(batch, "c?d", "done")
    assert desk.ended(job)
    assert desk.told("uncertain", "resend", "--job", job)["leads"] == 1
    assert desk.counts(job) == {"created": 1, "duplicate": 1, "waiting": 1}
    assert not desk.ended(job)
    keys = [f"{kind}:{batch}" for kind in ("t", "pay", "out")] + [f"job:{job}", f"batches:{job}"]
    assert desk.clock(*keys) == {False}
    entry, token = desk.enter(batch)
    assert (entry.rows[0].codes, entry.rows[0].number("attempts")) == ("c.d", 0)

    assert desk.told("uncertain", "list") == []
    desk.leave(entry, token, "ccd", "done")
    assert desk.counts(job) == {"created": 2, "duplicate": 1}
    assert desk.ended(job)
    assert desk.clock(*keys) == {True}


def test_a_resent_lead_whose_job_is_cancelled_is_uncertain_again(desk: Desk) -> None:
    """Its first attempt may have arrived all the same."""
    job, batch = desk.job(2)
    desk.turn(batch, "?c", "done")
    desk.run("uncertain", "resend", "--all")
    assert desk.lanes.cancel(batch) == "cancelled"
    assert desk.counts(job) == {"uncertain": 1, "created": 1}
    assert len(desk.told("uncertain", "list")) == 1


def test_leads_of_a_batch_in_a_turn_can_be_settled_but_not_resent(desk: Desk) -> None:
    job, batch = desk.job(3)
    desk.turn(batch, "?..", "again")
    entry, token = desk.enter(batch)
    told = desk.told("uncertain", "resend", "--all", code=1)
    assert (told["leads"], told["not_done"]) == (0, {"aboard": 1})
    assert desk.told("uncertain", "delivered", "--all")["leads"] == 1
    desk.leave(entry, token, "?cc", "done")
    assert desk.counts(job) == {"created": 3}


def test_a_retried_batch_joins_behind_those_that_wait(desk: Desk) -> None:
    job, batch = desk.job(2, "voiso/3")
    desk.turn(batch, "..", "dead", "404: no such campaign")
    assert (desk.counts(job), desk.ended(job)) == ({"dead": 2}, True)
    _, other = desk.job(1, "voiso/3", start=10)
    (dead,) = desk.told("dead", "list", "--campaign", "voiso/03", "--reason", "NO SUCH")
    assert (dead["batch"], dead["leads"], dead["reason"]) == (batch, 2, "404: no such campaign")
    assert desk.told("dead", "show", batch)["rows"][1]["outcome"] == "dead"
    assert "404: no such campaign" in desk.run("dead", "show", batch).stdout

    assert desk.told("dead", "retry", batch) == {"act": "retry", "batches": 1, "not_done": {}}
    assert (desk.counts(job), desk.ended(job)) == ({"waiting": 2}, False)
    assert desk.client.zrange("leadlane:wait:leads/voiso/d/3", 0, -1) == [other, batch]
    assert desk.run("dead", "list").stdout == "no batch is dead\n"
    entry, _ = desk.enter(other)
    assert [row.number("attempts") for row in entry.rows] == [0, 0]


def test_a_retried_import_does_not_pass_an_update_that_waits(desk: Desk) -> None:
    _, batch = desk.job(1, "voiso/3", priority="urgent")
    desk.turn(batch, ".", "dead", "why")
    desk.fleet.campaign("voiso/3").update_leads([{"phone_number": "+12125550000", "name": "Bob"}])
    desk.run("dead", "retry", "--all")
    assert desk.client.zrange("leadlane:wait:leads/voiso/d/3", -1, -1) == [batch]


def test_what_is_discarded_has_failed_unless_an_attempt_got_no_answer(desk: Desk) -> None:
    job, batch = desk.job(3, "voiso/3")
    desk.turn(batch, "c~.", "dead", "too_many_attempts")
    assert desk.told("dead", "discard", "--account", "voiso")["batches"] == 1
    assert desk.counts(job) == {"created": 1, "uncertain": 1, "failed": 1}
    assert desk.ended(job)
    assert desk.lanes.enter(batch, "late", **TERMS).verdict == "dead"  # its task has failed all the same
    assert desk.clock(f"job:{job}", f"t:{batch}") == {True}
    assert desk.told("uncertain", "delivered", "--job", job)["leads"] == 1
    assert desk.counts(job) == {"created": 2, "failed": 1}


def test_what_has_lost_its_payload_cannot_be_sent_again(desk: Desk) -> None:
    job, batch = desk.job(2)
    desk.turn(batch, "?.", "dead", "payload_lost")
    desk.client.delete(f"leadlane:pay:{batch}")
    assert desk.told("dead", "retry", batch, code=1)["not_done"] == {"lost": 1}
    assert desk.lanes.resolve(batch, "resend", "", None) == ("lost", 0)
    assert desk.told("dead", "discard", batch)["batches"] == 1
    assert desk.counts(job) == {"failed": 1, "uncertain": 1}


def test_filters_choose_and_nothing_happens_to_the_rest(desk: Desk) -> None:
    one, batch = desk.job(1, "india/cmp_1")
    desk.turn(batch, "?", "done")
    two, batch = desk.job(1, "india/cmp_2")
    desk.turn(batch, "?", "done")
    three, batch = desk.job(1, "voiso/3")
    desk.turn(batch, "?", "done")

    def jobs(*words: str) -> list[str]:
        return [lead["job"] for lead in desk.told("uncertain", "list", *words)]

    assert jobs() == [one, two, three]
    assert jobs("--account", "india") == [one, two]
    assert jobs("--campaign", "india/cmp_2") == [two]
    assert jobs("--job", three) == [three]
    assert jobs("--reason", "arrived") == [one, two, three]
    assert jobs("--reason", "something else") == []
    assert jobs("--older-than", "1h") == []
    desk.client.zincrby("leadlane:uncertain", -7_200_000, batch)
    assert jobs("--older-than", "1h") == [three]

    desk.run("uncertain", "discard", "--account", "india")
    assert [desk.counts(job) for job in (one, two, three)] == [{"failed": 1}, {"failed": 1}, {"uncertain": 1}]


def test_wrong_use_is_told_and_settles_nothing(desk: Desk) -> None:
    job, batch = desk.job(1)
    desk.turn(batch, "?", "done")
    for words in (
        ["delivered"],
        ["delivered", f"{job}:0", f"{job}:7"],
        ["resend", "--older-than", "soon"],
        ["discard", "--campaign", "india"],
    ):
        assert desk.run("uncertain", *words, code=2).stdout == ""
    for words in (["retry"], ["discard", batch], ["show", batch]):
        desk.run("dead", *words, code=2)
    assert desk.counts(job) == {"uncertain": 1}
    assert "nothing was done" in desk.run("uncertain", "resend", "--job", "none").stdout


def test_an_index_that_names_several_leads_of_a_job_is_no_name(desk: Desk) -> None:
    job, batch = desk.job(1)
    desk.turn(batch, "?", "done")
    _, other = desk.job(1, "india/cmp_2")
    desk.turn(other, "?", "done")
    desk.client.hset(f"leadlane:t:{other}", "job", job)
    desk.run("uncertain", "delivered", f"{job}:0", code=2)
    assert desk.told("uncertain", "delivered", f"{other}:0")["leads"] == 1
    assert [lead["batch"] for lead in desk.told("uncertain", "list")] == [batch]


def test_the_sweep_forgets_uncertain_leads_that_are_no_longer_kept(desk: Desk) -> None:
    for campaign in ("india/cmp_1", "india/cmp_2"):
        _, batch = desk.job(1, campaign)
        desk.turn(batch, "?", "done")
    desk.client.delete(f"leadlane:t:{batch}")
    assert len(desk.told("uncertain", "list")) == 1
    assert desk.jobs.sweep() == {"jobs": 0, "uncertain": 1}
    assert desk.client.zcard("leadlane:uncertain") == 1


def test_each_of_many_costs_what_each_of_few_does(desk: Desk) -> None:
    """Counted in commands of the server, those within scripts too: to try again, and to give up."""

    def cost(act: Callable[[], object], n: int) -> float:
        desk.client.config_resetstat()
        act()
        return sum(one["calls"] for one in desk.client.info("commandstats").values()) / n

    unsettled, costs = Unsettled(desk.jobs), []
    for n in (20, 200):
        for at in range(n):
            desk.turn(desk.job(1, "voiso/1", start=at)[1], "?", "dead", "404")
        found = list(unsettled.dead(Filter()))
        assert len(found) == n
        costs.append(
            (
                cost(lambda found=found: unsettled.settle_dead(found, "retry"), n),
                cost(lambda n=n: unsettled.resolve(list(unsettled.uncertain(Filter())), "discard"), n),
            )
        )
        for job in {one.job for one in found}:
            desk.jobs.cancel(job)
        assert desk.client.zcard("leadlane:dead") == desk.client.zcard("leadlane:uncertain") == 0
    few, many = costs
    assert all(each <= 1.1 * before for each, before in zip(many, few, strict=True)), costs
