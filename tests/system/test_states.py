"""Start, pause and stop at the sandbox, by two workers: the newest word wins, whatever happens to the older ones."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest
from celery.result import AsyncResult

from leadlane import Campaign, Fleet
from leadlane.workers.lanes import Lanes
from tests.system.conftest import KEY, Program, Town, until
from tests.system.judge import leads, nothing_left_over, producer, results, running

TIMEOUT_S, LOST_CALL_S = 1.5, 3.0
WORDS = ("start", "pause", "stop")


@pytest.fixture
def town(town: Town) -> Town:
    """Lost calls are over and lost messages come back after seconds."""
    town.account("voiso", timeout_s=str(TIMEOUT_S), lost_call_s=str(LOST_CALL_S), import_gap_s="0.3")
    town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3"}
    return town


@pytest.fixture
def workers(town: Town) -> list[Program]:
    return [town.worker("w1", 4), town.worker("w2", 4)]


@pytest.fixture
def fleet(town: Town) -> Fleet:
    return town.fleet()


def sent(town: Town, campaign: int, *operations: str) -> list[dict[str, Any]]:
    """The calls about a campaign's state that reached the dialer, in the order of their arrival."""
    return [
        record
        for record in town.sandbox.audit()
        if record["operation"] in (operations or WORDS) and record["campaign"] == str(campaign)
    ]


def leads_lane(town: Town) -> str:
    """The lane of leads for campaign 3."""
    return f"leads/voiso/{urlsplit(town.sandbox.url).netloc}/3"


def dialer(town: Town, method: str, path: str, body: object = None) -> Any:
    """What the dialer answers to a call of the test's own."""
    request = urllib.request.Request(
        f"{town.sandbox.url}/api/v4/campaigns/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {KEY}", "content-type": "application/json"},
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        return json.load(answer)


def shown(town: Town, campaign: int) -> str:
    """The state in which the dialer has the campaign."""
    status: str = dialer(town, "GET", str(campaign))["campaign"]["status"]
    return status


def startable(town: Town, campaign: Campaign, number: int) -> None:
    """Lead and agent are there, so that nothing but its state forbids a start."""
    campaign.import_leads(leads(1)).wait(timeout=60)
    dialer(town, "POST", f"{number}/users", {"user_ids": [7]})
    town.sandbox.alter(number, status="paused")


@pytest.mark.usefixtures("workers")
def test_a_command_tells_the_state_that_the_campaign_reached(town: Town, fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")
    startable(town, spring, 3)
    town.sandbox.change(transition_s=0.7)
    for word, state in (("start", "active"), ("pause", "paused"), ("start", "active"), ("stop", "stopped")):
        told = getattr(spring, word)().wait(timeout=60)
        assert (told["outcome"], told["state"]) == ("reached", state)
        assert shown(town, 3) == state
    assert [record["operation"] for record in sent(town, 3)] == ["start", "pause", "start", "stop"]


@pytest.mark.usefixtures("workers")
def test_a_state_that_forbids_a_command_is_told_with_the_dialers_words(town: Town, fleet: Fleet) -> None:
    town.sandbox.alter(3, status="stopped")
    told = fleet.campaign("voiso/3").pause().wait(timeout=60)
    assert (told["outcome"], told["state"]) == ("rejected", "stopped")
    assert "cannot pause a campaign that is stopped" in told["reason"]
    assert fleet.campaign("voiso/3").stop().wait(timeout=60)["outcome"] == "reached"
    town.sandbox.alter(4, status="auto_paused")
    assert fleet.campaign("voiso/4").pause().wait(timeout=60)["state"] == "auto_paused"


def test_a_stop_outlives_fifty_older_starts(town: Town, fleet: Fleet, lanes: Lanes) -> None:
    """Delayed, retried, redelivered, published twice, by name with older sequences, one with its answer lost."""
    first, second = town.worker("w1", 4), town.worker("w2", 4)
    app, spring = producer(town), fleet.campaign("voiso/3")
    startable(town, spring, 3)
    spring.pause().wait(timeout=60)
    known = len(town.sandbox.audit())

    # One whose answer is lost, though it was done; one before that is retried after errors.
    town.sandbox.fault("status", match={"operation": "start"}, status=503, times=1)
    town.sandbox.fault("latency", match={"operation": "start"}, delay_s=TIMEOUT_S + 0.7, times=1)
    seq = int(time.time() * 1e6)
    starts = [spring.start().id]
    until(lambda: [record for record in sent(town, 3, "start") if record["n"] > known], within_s=60)
    # Some wait for a job that has not ended; some are delayed, by name and by hand, some come twice.
    lanes.hold("lane", leads_lane(town), "not yet")
    waited_for = spring.import_leads(leads(1, start=3))
    starts += [spring.start(after=waited_for).id for _ in range(10)]
    starts += [spring.start().id for _ in range(14)]
    by_name = [
        app.send_task(
            "leadlane.campaigns.start", kwargs={"campaign": "voiso/3", "seq": seq + i}, queue="control"
        )
        for i in range(10)
    ]
    until(lambda: running_starts(town), within_s=60)  # the one whose answer will be lost
    stop = spring.stop()
    given = time.time()
    late = [
        app.send_task(
            "leadlane.campaigns.start", kwargs={"campaign": "voiso/3", "seq": seq + 20 + i}, queue="control"
        )
        for i in range(15)
    ]
    for ticket in starts[-10:]:  # their messages once more, and once more
        for _ in range(2):
            kwargs = {"campaign": "voiso/3", "batch": ticket, "job": ticket}
            app.send_task("leadlane.campaigns.start", kwargs=kwargs, task_id=ticket, queue="control")
    # What is popped and not yet noted as unacknowledged dies with the worker: that is Celery's own, not ours.
    until(lambda: not town.client.llen("control"))
    second.kill()  # what it had not acknowledged is restored

    told = stop.wait(timeout=60)
    assert (told["outcome"], told["state"]) == ("reached", "stopped")
    waited_for.cancel()
    fates = results(town, [*starts[1:], *(task.id for task in (*by_name, *late))])
    assert {fate["outcome"] for fate in fates.values()} == {"superseded"}
    nothing_left_over(town)
    assert shown(town, 3) == "stopped"
    stops = sent(town, 3, "stop")
    assert stops
    assert [record for record in sent(town, 3, "start") if record["started"] > stops[0]["started"]] == []
    assert [record for record in sent(town, 3, "start") if record["wall"] > given] == []
    assert first.running


def running_starts(town: Town) -> list[dict[str, Any]]:
    return [record for record in sent(town, 3, "start") if record["ended"] is None]


@pytest.mark.usefixtures("workers")
def test_a_stop_after_a_lost_start_is_confirmed_when_the_start_can_no_longer_run(
    town: Town, fleet: Fleet
) -> None:
    """The lost start takes effect after the stop was answered: the campaign is stopped once more."""
    spring = fleet.campaign("voiso/3")
    town.sandbox.fault("drop_before", match={"operation": "start"}, times=1)
    start = spring.start()
    until(lambda: sent(town, 3, "start"))
    stop = spring.stop()
    until(lambda: sent(town, 3, "stop"))
    town.sandbox.alter(3, status="active")
    told = stop.wait(timeout=60)
    assert (told["outcome"], told["state"]) == ("reached", "stopped")
    assert start.wait(timeout=10)["outcome"] == "superseded"
    first, again = sent(town, 3, "stop")
    assert again["started"] - sent(town, 3, "start")[0]["started"] > LOST_CALL_S - 0.1
    looks = [r for r in town.sandbox.audit() if r["operation"] == "get_campaign" and r["campaign"] == "3"]
    assert first["started"] < looks[-1]["started"]


@pytest.mark.usefixtures("workers")
def test_a_start_whose_answer_was_lost_is_looked_at_before_it_is_sent_again(town: Town, fleet: Fleet) -> None:
    spring = fleet.campaign("voiso/3")
    startable(town, spring, 3)
    town.sandbox.fault("drop_after", match={"operation": "start"}, times=1)
    told = spring.start().wait(timeout=60)
    assert (told["outcome"], told["state"]) == ("reached", "active")
    assert len(sent(town, 3, "start")) == 1


@pytest.mark.usefixtures("workers")
def test_a_start_after_a_job_goes_when_its_leads_are_there(town: Town, fleet: Fleet, lanes: Lanes) -> None:
    spring = fleet.campaign("voiso/3")
    startable(town, spring, 3)
    lanes.hold("lane", leads_lane(town), "not yet")
    job = spring.import_leads(leads(1500, start=10))
    start = spring.start(after=job)
    assert start.progress()["blocked_by"].startswith(f"it waits for job {job.id}, of which 1500 leads wait")
    assert "not yet" in start.progress()["blocked_by"]
    lanes.hold("lane", leads_lane(town), "")
    assert start.wait(timeout=60)["state"] == "active"
    imports = [r for r in town.sandbox.audit() if r["operation"] == "import" and r["campaign"] == "3"]
    assert sent(town, 3, "start")[0]["started"] > imports[-1]["ended"]


@pytest.mark.usefixtures("workers")
def test_a_start_that_waits_for_a_job_is_superseded_by_a_stop(town: Town, fleet: Fleet, lanes: Lanes) -> None:
    spring = fleet.campaign("voiso/3")
    lanes.hold("lane", leads_lane(town), "not yet")
    job = spring.import_leads(leads(10))
    start = spring.start(after=job)
    assert spring.stop().wait(timeout=60)["outcome"] == "reached"
    assert start.wait(timeout=60)["outcome"] == "superseded"
    job.cancel()
    assert results(town, [start.id])[start.id]["outcome"] == "superseded"
    assert sent(town, 3, "start") == []


def test_a_worker_killed_in_the_middle_of_a_start_does_not_hold_up_a_stop(town: Town, fleet: Fleet) -> None:
    """At most for the lease of its turn."""
    victim = town.worker("victim", 4)
    spring = fleet.campaign("voiso/3")
    startable(town, spring, 3)
    town.sandbox.fault("latency", match={"operation": "start"}, delay_s=1.0, times=1)
    start = spring.start()
    until(lambda: running_starts(town))
    victim.kill()
    town.worker("w2", 4)
    stop = spring.stop()
    told = stop.wait(timeout=60)
    assert (told["outcome"], told["state"]) == ("reached", "stopped")
    assert start.wait(timeout=10)["outcome"] == "superseded"
    assert len(sent(town, 3, "start")) == 1
    nothing_left_over(town)
    assert shown(town, 3) == "stopped"


def test_a_redis_that_restarts_forgets_no_stop(town: Town, fleet: Fleet, lanes: Lanes) -> None:
    town.worker("w1", 4)
    spring = fleet.campaign("voiso/3")
    lanes.hold("operation", "voiso", "not yet", "start")
    start = spring.start()
    stop = spring.stop()
    until(lambda: sent(town, 3, "stop"))
    town.redis.kill()
    town.redis.start()
    lanes.hold("operation", "voiso", "", "start")
    assert stop.wait(timeout=60)["outcome"] == "reached"
    assert start.wait(timeout=60)["outcome"] == "superseded"
    assert sent(town, 3, "start") == []
    assert shown(town, 3) == "stopped"


def test_a_stop_does_not_wait_for_imports_that_keep_all_threads_busy(town: Town, fleet: Fleet) -> None:
    """Twenty slow imports run, more wait, given by name too; the stop comes while they run."""
    app, slow_s = producer(town), 20.0
    town.account("voiso", timeout_s="30", lost_call_s="30")
    town.env["LEADLANE_VISIBILITY_TIMEOUT_S"] = "60"
    fleet = town.fleet()
    town.sandbox.change(call_time_s=slow_s)
    for campaign in range(10, 35):
        for i in range(10):
            fleet.campaign(f"voiso/{campaign}").import_leads(leads(2, start=1 + 2 * i))
    for campaign in range(35, 60):
        for i in range(10):
            kwargs = {"campaign": f"voiso/{campaign}", "leads": list(leads(2, start=1 + 2 * i))}
            app.send_task("leadlane.leads.import", kwargs=kwargs)
    town.worker("w1", 10)
    town.worker("w2", 10)
    until(lambda: len(running(town)) == 20)
    told = fleet.campaign("voiso/3").stop().wait(timeout=slow_s / 2)
    assert (told["outcome"], told["state"]) == ("reached", "stopped")
    [stop] = sent(town, 3, "stop")
    assert len(running(town)) == 20  # the very imports that ran when it was given
    assert all(record["started"] < stop["started"] for record in running(town))


@pytest.mark.usefixtures("workers")
def test_a_stop_passes_a_start_that_is_held_and_failures_of_leads_calls(town: Town, fleet: Fleet) -> None:
    town.sandbox.fault("status", match={"operation": "start"}, status=403, times=1)
    spring = fleet.campaign("voiso/3")
    start = spring.start()
    until(lambda: town.client.hget("leadlane:acct:voiso", "hold:start"))
    assert "operation start of account voiso is on hold" in start.progress()["blocked_by"]
    town.sandbox.fault("status", match={"operation": "import"}, status=500)
    for campaign in range(10, 20):
        fleet.campaign(f"voiso/{campaign}").import_leads(leads(1))
    until(lambda: town.client.hget("leadlane:acct:voiso", "cool_why") == "failed")
    assert spring.stop().wait(timeout=60)["outcome"] == "reached"
    assert start.wait(timeout=10)["outcome"] == "superseded"


@pytest.mark.usefixtures("workers")
def test_what_commands_leave_behind_holds_ids_only_and_every_end_has_its_result(
    town: Town, fleet: Fleet, lanes: Lanes
) -> None:
    lanes.hold("operation", "voiso", "not yet", "start")
    spring, app = fleet.campaign("voiso/3"), producer(town)
    cancelled = spring.start()
    assert cancelled.cancel() == "cancelled"
    superseded, stop = spring.start(), spring.stop()
    assert stop.wait(timeout=60)["outcome"] == "reached"
    returned = results(town, [superseded.id, stop.id])
    assert returned[superseded.id]["outcome"] == "superseded"
    fields = {"campaign", "command", "asked", "outcome", "state", "reason", "calls", "waited_s"}
    assert all(result.keys() == fields for result in returned.values())
    until(lambda: AsyncResult(cancelled.id, app=app).state == "REVOKED")
    assert cancelled.progress()["outcome"] == "cancelled"
    nothing_left_over(town)


@pytest.mark.usefixtures("workers")
def test_a_campaign_that_is_not_there_is_a_dead_letter(town: Town, fleet: Fleet) -> None:
    app = producer(town)
    stop = fleet.campaign("voiso/123456").stop()
    told = stop.wait(timeout=60)
    assert (told["outcome"], told["reason"]) == ("dead", "404: Not found")
    until(lambda: AsyncResult(stop.id, app=app).state == "FAILURE")


@pytest.mark.usefixtures("workers")
def test_the_command_line_starts_pauses_and_stops(town: Town, fleet: Fleet) -> None:
    startable(town, fleet.campaign("voiso/3"), 3)
    ended = town.run("campaign", "start", "voiso/3", "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["state"] == "active"
    ended = town.run("campaign", "pause", "voiso/3")
    assert (ended.returncode, ended.stdout) == (0, "voiso/3: pause reached; the campaign is paused\n")
    ended = town.run("campaign", "stop", "voiso/3")
    assert ended.returncode == 1, ended.stderr
    assert "cannot stop a campaign that is paused; the campaign is paused" in ended.stdout
    ended = town.run("campaign", "start", "voiso/3", "--after", "nosuchjob")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "nosuchjob" in ended.stderr
    ended = town.run("campaign", "stop", "voiso/abc")
    assert ended.returncode == 2
    ended = town.run("campaign", "stop", "voiso/4", "--no-wait", "--json")
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["outcome"] in ("waiting", "reached")
    listed = json.loads(town.run("job", "list", "--json").stdout)["jobs"]
    assert {job["operation"] for job in listed} == {"import"}
    town.env["LEADLANE_REDIS_URL"] = "redis://127.0.0.1:1/0"
    assert town.run("campaign", "stop", "voiso/3").returncode == 3
