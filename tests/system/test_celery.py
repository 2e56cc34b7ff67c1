"""Producers that know Celery and nothing of us: tasks by name, their results, and what Celery builds of them."""

import base64
import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain as chain_of
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, chain, chord, group
from celery.canvas import Signature
from celery.exceptions import ChordError, TaskRevokedError
from celery.result import AsyncResult
from redis import Redis

from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.workers.lanes import Lanes
from leadlane.workers.queue_channels import added
from tests.guarded import make_redis
from tests.system.conftest import Town, until
from tests.system.judge import calls, leads, rules_kept, running

IMPORT = "leadlane.leads.import"
ELSEWHERE = "reports"
"""A queue of the producer's own, which no worker of ours reads."""
OURS = ("control", "turns", "intake", "celery")
SLOTS = 8
WITHIN_S = 60


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One worker for the whole module; each test has campaigns of its own."""
    with make_redis() as redis, SandboxProcess(gap_s=0.3) as sandbox:
        town = Town(redis, sandbox, tmp_path_factory.mktemp("town"))
        try:
            town.worker("w1", SLOTS)
            yield town
        finally:
            town.close()


@pytest.fixture(autouse=True)
def _in_order(town: Town) -> Iterator[None]:
    """After each test: no fault is left, no rule was broken, no message is left over."""
    town.client.delete(ELSEWHERE)
    yield
    town.sandbox.clear_faults()
    rules_kept(town)
    until(lambda: in_flight(town) == 0)


@pytest.fixture(scope="module")
def app(town: Town) -> Iterator[Celery]:
    """A producer's app, made of two URLs."""
    with Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False) as app:
        yield app


@pytest.fixture(scope="module")
def lanes(town: Town) -> Iterator[Lanes]:
    with Redis.from_url(town.redis.url) as client:
        yield Lanes(client, "leadlane")


_numbers = count(1)


@pytest.fixture
def campaign() -> str:
    """A campaign that no other test has."""
    return f"voiso/{next(_numbers)}"


def importing(
    app: Celery,
    campaign: str,
    n: int = 5,
    start: int = 1,
    *,
    more: dict[str, Any] | None = None,
    **options: Any,
) -> "Signature[Any]":
    """An import of ``n`` leads, as a producer writes it."""
    kwargs = {"campaign": campaign, "leads": list(leads(n, start))} | (more or {})
    return app.signature(IMPORT, kwargs=kwargs, options={"task_id": str(uuid4()), **options})


def note(app: Celery, name: str = "reports.note") -> "Signature[Any]":
    """A task of the producer's own service."""
    return app.signature(name, options={"queue": ELSEWHERE})


def noted(town: Town) -> list[dict[str, Any]]:
    """What has come for the producer's own service, oldest first."""
    return [_read(raw) for raw in reversed(town.client.lrange(ELSEWHERE, 0, -1))]


def _read(raw: str) -> dict[str, Any]:
    message = json.loads(raw)
    args, kwargs, links = json.loads(base64.b64decode(message["body"]))
    return {**message["headers"], "args": args, "kwargs": kwargs, "links": links}


def in_flight(town: Town) -> int:
    """Messages that wait in a queue of ours or are in a worker's hands."""
    return sum(town.client.llen(queue) for queue in OURS) + town.client.hlen("unacked")


def state_of(town: Town, task: str) -> str | None:
    """State of the task's ticket."""
    return town.client.hget(f"leadlane:t:{task}", "state")


def tickets(town: Town, task: "AsyncResult[Any]") -> list[str]:
    """The tickets of the task's job, in order."""
    return town.client.lrange(f"leadlane:batches:{task.id}", 0, -1)  # type: ignore[return-value]


def parked(town: Town, *tasks: "AsyncResult[Any]") -> None:
    """Wait until these tasks wait in their lanes, and no message of them anywhere."""
    until(lambda: all(state_of(town, task.id) == "waiting" and task.state == "RETRY" for task in tasks))
    until(lambda: in_flight(town) == 0)


@contextmanager
def on_hold(lanes: Lanes) -> Iterator[None]:
    """Within, whatever comes for the account parks."""
    lanes.hold("account", "voiso", "the test says so")
    try:
        yield
    finally:
        lanes.hold("account", "voiso", "")


def number(campaign: str) -> int:
    return int(campaign.partition("/")[2])


def counts(result: dict[str, Any]) -> dict[str, int]:
    """The counts of a result without the ids."""
    return {name: n for name, n in result.items() if name not in ("campaign", "batch", "job", "waited_s")}


# Results ---------------------------------------------------------------------------------------

PRODUCER = """
import json, sys
from celery import Celery
_, url, campaign = sys.argv
app = Celery(broker=url, backend=url)
leads = [{"phone_number": "+12122000001"}]
task = app.send_task("leadlane.leads.import", kwargs={"campaign": campaign, "leads": leads})
result = task.get(timeout=60)
assert result["batch"] == task.id, result
assert not any(name.startswith("leadlane") for name in sys.modules)
print(json.dumps(result))
"""


def test_a_producer_that_has_two_urls_and_a_name_gets_its_counts(town: Town, campaign: str) -> None:
    """In a process of its own, over Celery's default queue, without a module of ours."""
    ran = subprocess.run(
        [sys.executable, "-c", PRODUCER, town.redis.url, campaign], capture_output=True, text=True, timeout=90
    )
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["campaign"] == campaign
    assert set(result) == {"campaign", "batch", "job", "leads", "created", "calls", "attempts", "waited_s"}
    assert counts(result) == {"leads": 1, "created": 1, "calls": 1, "attempts": 1}


@pytest.mark.parametrize("queue", ["intake", "celery"])
def test_both_queues_for_tasks_by_name_are_read(app: Celery, campaign: str, queue: str) -> None:
    assert importing(app, campaign, queue=queue).apply_async().get(timeout=WITHIN_S)["created"] == 5


def test_a_result_counts_every_lead_once(app: Celery, campaign: str) -> None:
    """5 new, 2 of them given twice, one the dialer refuses, one that is no number, one that is no lead."""
    given = [*leads(5), *leads(2), {"phone_number": "+12122010000"}, {"phone_number": "12"}, "no lead"]
    result = app.send_task(IMPORT, kwargs={"campaign": campaign, "leads": given}).get(timeout=WITHIN_S)
    assert counts(result) == {
        "leads": 10, "created": 5, "duplicate": 2, "rejected": 1, "invalid": 2, "calls": 1, "attempts": 1,
    }  # fmt: skip


def test_no_leads_are_a_result_too(app: Celery, campaign: str) -> None:
    result = importing(app, campaign, 0).apply_async().get(timeout=WITHIN_S)
    assert (result["leads"], result["calls"]) == (0, 0)


def test_the_id_of_a_task_is_its_key_and_what_else_is_sent_under_it_is_refused(
    app: Celery, town: Town, campaign: str
) -> None:
    first = importing(app, campaign, 5).apply_async()
    result = first.get(timeout=60)
    again = importing(app, campaign, 5, task_id=first.id).apply_async()
    until(lambda: in_flight(town) == 0)
    assert again.get(timeout=60) == result
    other = importing(app, campaign, 3, start=900, task_id=first.id).apply_async()
    until(lambda: refused(town) == 1)
    assert other.get(timeout=60) == result
    stop = app.signature("leadlane.campaigns.stop", kwargs={"campaign": campaign}, queue="control")
    stop.clone(task_id=first.id).apply_async()
    until(lambda: refused(town) == 2)
    assert first.get(timeout=60) == result
    assert len(tickets(town, first)) == 1


def refused(town: Town) -> int:
    """Tasks whose id was used before for something else."""
    return sum(program.logged().count("task refused, its id was used before") for program in town.programs)


def test_positional_values_are_accepted_and_ignored(app: Celery, campaign: str) -> None:
    kwargs = {"campaign": campaign, "leads": list(leads(3))}
    task = app.send_task(IMPORT, args=[{"anything": 1}, None], kwargs=kwargs)
    assert task.get(timeout=WITHIN_S)["created"] == 3


def test_an_update_by_name_finds_what_the_import_before_it_brought(
    app: Celery, town: Town, campaign: str
) -> None:
    first = importing(app, campaign, 3).apply_async()
    # Else two threads might take them the other way.
    until(lambda: town.client.exists(f"leadlane:t:{first.id}"))
    task = app.send_task(
        "leadlane.leads.update", kwargs={"campaign": campaign, "leads": list(leads(3, name="Ann"))}
    )
    assert task.get(timeout=WITHIN_S)["updated"] == 3
    assert [call["operation"] for call in calls(town, number(campaign))] == ["import", "update"]


# More leads than one call carries ----------------------------------------------------------------


def test_a_task_of_2500_leads_is_cut_and_its_result_is_the_sum(
    app: Celery, town: Town, campaign: str
) -> None:
    task = importing(app, campaign, 2500).apply_async()
    assert counts(task.get(timeout=WITHIN_S)) == {"leads": 2500, "created": 2500, "calls": 3, "attempts": 3}
    assert tickets(town, task) == [f"{task.id}.1", f"{task.id}.2", task.id]
    pieces = [app.AsyncResult(f"{task.id}.{i}").get(timeout=WITHIN_S) for i in (1, 2)]
    assert [piece["leads"] for piece in pieces] == [1000, 1000]
    assert [call["size"] for call in calls(town, number(campaign))] == [1000, 1000, 500]


def test_the_sum_is_right_when_the_last_piece_rides_with_another(
    app: Celery, town: Town, campaign: str
) -> None:
    """The second piece is full of rows that are no leads: what it has to send leaves room for the last."""
    rows = [*leads(1000), *({"phone_number": "x"} for _ in range(1700)), *leads(500, 1001)]
    task = app.send_task(IMPORT, kwargs={"campaign": campaign, "leads": rows})
    result = task.get(timeout=WITHIN_S)
    assert (result["leads"], result["created"], result["invalid"]) == (3200, 1500, 1700)
    assert [call["size"] for call in calls(town, number(campaign))] == [1000, 500]
    assert app.AsyncResult(task.id).result == result


def test_pieces_that_are_linked_go_on_once_and_with_the_sum(app: Celery, town: Town, campaign: str) -> None:
    task = importing(app, campaign, 2100).apply_async(link=note(app))
    total = task.get(timeout=WITHIN_S)
    until(lambda: in_flight(town) == 0)
    assert total["created"] == 2100
    assert [told["args"] for told in noted(town)] == [[total]]


# What Celery builds ------------------------------------------------------------------------------


def test_a_chain_of_three_over_one_lane_runs_in_order(app: Celery, town: Town, campaign: str) -> None:
    steps = chain(importing(app, campaign, n, 100 * n) for n in (2, 3, 4)).apply_async()
    assert steps.get(timeout=WITHIN_S)["created"] == 4
    assert [call["size"] for call in calls(town, number(campaign))] == [2, 3, 4]


def test_a_group_gathers_the_results_of_its_tasks(app: Celery, campaign: str) -> None:
    tasks = group(importing(app, campaign, n, 100 * n) for n in (2, 3, 4)).apply_async()
    assert [result["created"] for result in tasks.get(timeout=WITHIN_S)] == [2, 3, 4]


def test_a_chord_calls_its_body_with_the_results_of_its_header(
    app: Celery, town: Town, campaign: str
) -> None:
    header = [importing(app, campaign, n, 100 * n) for n in (1, 2, 3, 4)]
    chord(header, note(app, "reports.total")).apply_async()
    body = until(lambda: noted(town))
    assert [result["created"] for result in body[0]["args"][0]] == [1, 2, 3, 4]


def test_a_task_of_ours_can_be_the_body_of_a_chord(app: Celery, town: Town, campaign: str) -> None:
    header = [importing(app, campaign, 2, 100 * n) for n in range(4)]
    assert chord(header, importing(app, campaign, 7, 900)).apply_async().get(timeout=WITHIN_S)["created"] == 7
    assert calls(town, number(campaign))[-1]["size"] == 7


def test_a_link_is_called_with_the_result(app: Celery, town: Town, campaign: str) -> None:
    result = importing(app, campaign).apply_async(link=note(app)).get(timeout=WITHIN_S)
    until(lambda: in_flight(town) == 0)
    assert [(told["task"], told["args"]) for told in noted(town)] == [("reports.note", [result])]


def test_a_dead_ticket_fails_and_calls_its_errback(app: Celery, town: Town) -> None:
    task = importing(app, "voiso/7777").apply_async(link=note(app), link_error=note(app, "reports.alarm"))
    with pytest.raises(Exception, match="404") as failed:
        task.get(timeout=WITHIN_S)
    assert type(failed.value).__name__ == "DeadLetter"
    assert task.state == "FAILURE"
    assert [(told["task"], told["args"]) for told in until(lambda: noted(town))] == [
        ("reports.alarm", [task.id])
    ]


def test_a_dead_ticket_ends_the_chain_and_fails_the_chord(app: Celery, town: Town, campaign: str) -> None:
    steps = chain(importing(app, "voiso/7777"), importing(app, campaign)).apply_async()
    body = note(app).set(task_id=str(uuid4()), link_error=[note(app, "reports.alarm")])
    total = chord([importing(app, campaign), importing(app, "voiso/7777", start=50)], body).apply_async()
    for failed in (steps, total):
        with pytest.raises(Exception, match="404"):
            failed.get(timeout=WITHIN_S)
    assert [told["task"] for told in until(lambda: noted(town))] == ["reports.alarm"]
    until(lambda: in_flight(town) == 0)
    assert [call["size"] for call in calls(town, number(campaign))] == [5]


# Riders ------------------------------------------------------------------------------------------


def test_riders_go_on_with_what_is_chained_to_them_exactly_once(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    """Twenty small batches wait in one lane and leave in one call; others wait for five of them."""
    with on_hold(lanes):
        plain = [importing(app, campaign, 3, 10 * i).apply_async() for i in range(15)]
        linked = importing(app, campaign, 3, 200).apply_async(link=note(app, "reports.link"))
        chained = chain(importing(app, campaign, 3, 210), note(app, "reports.chain")).apply_async().parent
        header = [importing(app, campaign, 3, 10 * i) for i in (23, 24, 25)]
        chord(header, note(app, "reports.chord")).apply_async()
        members = [app.AsyncResult(one.options["task_id"]) for one in header]
        parked(town, *plain, linked, chained, *members)
    results = [task.get(timeout=WITHIN_S) for task in (*plain, linked, chained, *members)]
    assert {result["created"] for result in results} == {3}
    until(lambda: len(noted(town)) >= 3 and in_flight(town) == 0 and not town.client.zcard("leadlane:finish"))
    told = {one["task"]: one["args"] for one in noted(town)}
    assert Counter(one["task"] for one in noted(town)) == {
        "reports.link": 1,
        "reports.chain": 1,
        "reports.chord": 1,
    }
    assert told == {
        "reports.link": [results[15]],
        "reports.chain": [results[16]],
        "reports.chord": [results[17:]],
    }
    assert [call["size"] for call in calls(town, number(campaign))] == [60]


def test_a_dead_rider_calls_its_errback(app: Celery, town: Town, lanes: Lanes) -> None:
    with on_hold(lanes):
        tasks = [
            importing(app, "voiso/7778", 3, 10 * i).apply_async(link_error=note(app, f"reports.alarm{i}"))
            for i in range(3)
        ]
        parked(town, *tasks)
    until(lambda: all(task.state == "FAILURE" for task in tasks))
    until(lambda: len(noted(town)) >= 3 and in_flight(town) == 0)
    told = [(one["task"], one["args"]) for one in noted(town)]
    assert sorted(told) == [(f"reports.alarm{i}", [task.id]) for i, task in enumerate(tasks)]
    assert len(calls(town, 7778)) == 1


# Giving up ---------------------------------------------------------------------------------------


def test_a_task_that_expires_before_its_turn_is_revoked(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    with on_hold(lanes):
        late = importing(app, campaign).apply_async(expires=2)
        behind = importing(app, campaign, start=50).apply_async()
        parked(town, late, behind)
        until(lambda: _expired(town, late.id))
    assert behind.get(timeout=WITHIN_S)["created"] == 5
    with pytest.raises(TaskRevokedError, match="expired"):
        late.get(timeout=WITHIN_S)
    assert late.state == "REVOKED"
    assert town.client.hget(f"leadlane:job:{late.id}", "n:e") == "5"
    assert [call["size"] for call in calls(town, number(campaign))] == [5]


def _expired(town: Town, task: str) -> bool:
    seconds, _ = town.client.time()
    return int(seconds) * 1000 > int(town.client.hget(f"leadlane:t:{task}", "expires") or 2**52)


def test_revoking_a_parked_task_takes_it_out_of_its_lane(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    with on_hold(lanes):
        task = importing(app, campaign).apply_async(link=note(app))
        parked(town, task)
        app.control.revoke(task.id)
        until(lambda: state_of(town, task.id) == "done")
        with pytest.raises(TaskRevokedError):
            task.get(timeout=WITHIN_S)
    assert importing(app, campaign, start=50).apply_async().get(timeout=WITHIN_S)["created"] == 5
    assert task.state == "REVOKED"
    assert town.client.hget(f"leadlane:job:{task.id}", "n:x") == "5"
    assert [call["size"] for call in calls(town, number(campaign))] == [5]
    assert not noted(town)


def test_revoking_several_with_terminate_takes_them_all_out(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    """A thread cannot be killed, and need not be."""
    with on_hold(lanes):
        tasks = [importing(app, campaign, 3, 10 * i).apply_async() for i in range(3)]
        parked(town, *tasks)
        app.control.terminate([task.id for task in tasks])
        until(lambda: all(state_of(town, task.id) == "done" for task in tasks))
    assert {task.state for task in tasks} == {"REVOKED"}
    assert not calls(town, number(campaign))


def test_revoking_a_task_that_was_cut_takes_out_all_its_pieces(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    with on_hold(lanes):
        task = importing(app, campaign, 2500).apply_async()
        parked(town, task)
        task.revoke()
        until(lambda: "ended" in town.client.hgetall(f"leadlane:job:{task.id}"))
    assert town.client.hget(f"leadlane:job:{task.id}", "n:x") == "2500"
    assert not calls(town, number(campaign))


def test_a_called_task_that_is_dropped_as_revoked_frees_its_lane(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    """By a stamp, of which nobody knows which parked tasks bear it: its message comes, and Celery drops it."""
    with on_hold(lanes):
        stamped = importing(app, campaign).apply_async(stamped_headers=["team"], team="blue")
        parked(town, stamped)
        behind = importing(app, campaign, start=50).apply_async()
        parked(town, behind)
        app.control.revoke_by_stamped_headers({"team": ["blue"]}, reply=True, limit=1, timeout=30)
    assert behind.get(timeout=WITHIN_S)["created"] == 5
    until(lambda: stamped.state == "REVOKED")
    until(lambda: town.client.hget(f"leadlane:job:{stamped.id}", "n:x") == "5")
    assert [call["size"] for call in calls(town, number(campaign))] == [5]


def test_what_has_left_keeps_its_outcome_when_it_is_revoked(app: Celery, town: Town, campaign: str) -> None:
    town.sandbox.fault("latency", match={"campaign": str(number(campaign))}, delay_s=1.5)
    task = importing(app, campaign).apply_async()
    until(lambda: running(town, number(campaign)))
    task.revoke()
    assert until(lambda: task.state == "SUCCESS" and task.result)["created"] == 5


def test_a_revoked_member_fails_its_chord(app: Celery, town: Town, lanes: Lanes, campaign: str) -> None:
    header = [importing(app, campaign, 3, 10 * i) for i in range(3)]
    body = note(app).set(task_id=str(uuid4()), link_error=[note(app, "reports.alarm")])
    with on_hold(lanes):
        chord(header, body).apply_async()
        members = [app.AsyncResult(one.options["task_id"]) for one in header]
        parked(town, *members)
        members[1].revoke()
        until(lambda: state_of(town, members[1].id) == "done")
    with pytest.raises(ChordError):
        app.AsyncResult(body.options["task_id"]).get(timeout=WITHIN_S)
    assert [told["task"] for told in until(lambda: noted(town))] == ["reports.alarm"]


# Deliveries that come twice ------------------------------------------------------------------------


def message(town: Town, signature: "Signature[Any]") -> str:
    """The message of this task as the broker keeps it for the queue `celery`."""
    signature.apply_async(queue="scratch")
    raw = json.loads(until(lambda: town.client.rpop("scratch")))
    raw["properties"]["delivery_info"]["routing_key"] = "celery"
    return json.dumps(raw)


def deliver(town: Town, raw: str) -> None:
    town.client.lpush("celery", raw)


def test_copies_of_a_message_change_nothing(app: Celery, town: Town, lanes: Lanes, campaign: str) -> None:
    """Copies come while the ticket waits, while it holds its lane and when it is done."""
    signature = importing(app, campaign)
    task = app.AsyncResult(signature.options["task_id"])
    signature.link(note(app))
    raw = message(town, signature)
    town.sandbox.fault("latency", match={"campaign": str(number(campaign))}, delay_s=1.5)
    with on_hold(lanes):
        deliver(town, raw)
        parked(town, task)
        deliver(town, raw)
        deliver(town, raw)
        parked(town, task)
    until(lambda: running(town, number(campaign)))
    assert state_of(town, task.id) == "holding"
    deliver(town, raw)
    deliver(town, raw)
    result = task.get(timeout=WITHIN_S)
    until(lambda: in_flight(town) == 0)
    deliver(town, raw)
    deliver(town, raw)
    until(lambda: in_flight(town) == 0)
    assert (task.state, app.AsyncResult(task.id).result) == ("SUCCESS", result)
    assert counts(result) == {"leads": 5, "created": 5, "calls": 1, "attempts": 1}
    assert [told["args"] for told in noted(town)] == [[result]]
    assert [call["size"] for call in calls(town, number(campaign))] == [5]
    assert town.client.hgetall(f"leadlane:job:{task.id}")["batches"] == "1"


def test_copies_of_a_dead_task_fail_it_once(app: Celery, town: Town) -> None:
    signature = importing(app, "voiso/7779")
    signature.link_error(note(app))
    task = app.AsyncResult(signature.options["task_id"])
    raw = message(town, signature)
    deliver(town, raw)
    until(lambda: task.state == "FAILURE" and in_flight(town) == 0)
    deliver(town, raw)
    deliver(town, raw)
    until(lambda: in_flight(town) == 0)
    assert len(calls(town, 7779)) == 1
    assert [told["args"] for told in noted(town)] == [[task.id]]


def test_copies_of_a_task_that_was_cut_are_cut_once(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    signature = importing(app, campaign, 2500)
    task = app.AsyncResult(signature.options["task_id"])
    raw = message(town, signature)
    with on_hold(lanes):
        deliver(town, raw)
        deliver(town, raw)
        parked(town, task)
    assert task.get(timeout=WITHIN_S)["created"] == 2500
    deliver(town, raw)
    until(lambda: in_flight(town) == 0)
    assert [call["size"] for call in calls(town, number(campaign))] == [1000, 1000, 500]
    assert len(tickets(town, task)) == 3


def test_a_late_retry_never_buries_an_outcome(app: Celery, town: Town, campaign: str) -> None:
    """As a worker would write it that was slower than the lane."""
    from leadlane.workers.celery_app import make_app

    task = importing(app, campaign).apply_async()
    result = task.get(timeout=WITHIN_S)
    with make_app(town.settings()) as ours:
        ours.backend.mark_as_retry(task.id, None)
        ours.backend.store_result(task.id, None, "STARTED")
    assert (task.state, app.AsyncResult(task.id).result) == ("SUCCESS", result)


# Messages ------------------------------------------------------------------------------------------


def test_no_message_waits_in_a_worker_and_none_has_an_eta(app: Celery, town: Town) -> None:
    """120 batches in four lanes: whatever lies on the broker meanwhile is looked at."""
    campaigns = [f"voiso/{next(_numbers)}" for _ in range(4)]
    for one in campaigns:
        town.sandbox.fault("latency", match={"campaign": str(number(one))}, delay_s=0.1, times=6)
    seen: dict[str, dict[str, Any]] = {}
    most = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        with Redis.from_url(town.redis.url, decode_responses=True) as client:
            while not done.is_set():
                with client.pipeline(transaction=True) as pipe:
                    for queue in OURS:
                        pipe.lrange(queue, 0, -1)
                    pipe.hvals("unacked")
                    *queues, unacked = pipe.execute()
                most = max(most, len(unacked))
                for raw in [*chain_of(*queues), *(json.dumps(json.loads(text)[0]) for text in unacked)]:
                    seen[raw] = _read(raw)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        tasks = [importing(app, one, 40, 100 * i).apply_async() for i in range(30) for one in campaigns]
        assert sum(task.get(timeout=WITHIN_S)["created"] for task in tasks) == 120 * 40
    finally:
        done.set()
        watching.join()
    called = [told for told in seen.values() if "leadlane_call" in told]
    assert called
    assert {told["eta"] for told in seen.values()} == {None}
    assert {told["expires"] for told in called} == {None}
    assert not any("leads" in told["kwargs"] for told in called)
    assert most <= SLOTS + added(OURS)


def test_a_called_task_is_the_child_of_no_other(app: Celery, town: Town, lanes: Lanes, campaign: str) -> None:
    """Whoever leaves a lane publishes the next call; it does not become its parent."""
    with on_hold(lanes):
        tasks = [importing(app, campaign, 900, 1000 * i).apply_async() for i in range(3)]
        parked(town, *tasks)
    for task in tasks:
        task.get(timeout=WITHIN_S)
        assert not task.children


# Wrong messages ------------------------------------------------------------------------------------

LEAD = {"phone_number": "+12125550123"}
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no campaign": ({"leads": [LEAD]}, "campaign"),
    "a campaign that is no address": ({"campaign": "voiso", "leads": [LEAD]}, "campaign"),
    "a campaign of another type": ({"campaign": LEAD, "leads": [LEAD]}, "campaign"),
    "an id that is not the dialer's": ({"campaign": "voiso/three", "leads": [LEAD]}, "campaign"),
    "an unknown account": ({"campaign": "voisoo/3", "leads": [LEAD]}, "voiso"),
    "no leads": ({"campaign": "voiso/3"}, "leads"),
    "leads that are no list": ({"campaign": "voiso/3", "leads": LEAD}, "list"),
    "leads that are a text": ({"campaign": "voiso/3", "leads": "+12125550123"}, "list"),
    "an unknown word": ({"campaign": "voiso/3", "leads": [LEAD], "prio": "urgent"}, "priority"),
    "the name of our own first argument": ({"campaign": "voiso/3", "leads": [LEAD], "self": 1}, "self"),
    "a wrong priority": ({"campaign": "voiso/3", "leads": [LEAD], "priority": 5}, "urgent"),
    "leads and batch": ({"campaign": "voiso/3", "leads": [LEAD], "batch": "b1"}, "batch"),
    "a batch that is not there": ({"campaign": "voiso/3", "batch": "b1"}, "b1|unknown"),
    "ten megabytes": ({"campaign": "voiso/3", "leads": "x" * 10_000_000}, "list"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_task_fails_alone_and_says_why(app: Celery, campaign: str, case: str) -> None:
    kwargs, words = WRONG[case]
    task = app.send_task(IMPORT, kwargs=kwargs)
    with pytest.raises(Exception, match=words) as failed:
        task.get(timeout=WITHIN_S)
    assert task.state == "FAILURE"
    assert "12125550123" not in str(failed.value)
    assert type(failed.value).__name__ not in ("InternalError", "TimeoutError")


def test_a_lead_of_ten_megabytes_is_invalid_and_the_others_arrive(app: Celery, campaign: str) -> None:
    given = [*leads(2), {"phone_number": "+12122000007", "name": "x" * 10_000_000}]
    result = app.send_task(IMPORT, kwargs={"campaign": campaign, "leads": given}).get(timeout=WITHIN_S)
    assert (result["created"], result["invalid"]) == (2, 1)


def test_a_batch_that_is_on_its_own_way_is_not_taken_by_another_task(
    app: Celery, town: Town, lanes: Lanes, campaign: str
) -> None:
    """Else it would be left without end: its ticket's own task is the one that is called."""
    with on_hold(lanes):
        own = importing(app, campaign).apply_async()
        parked(town, own)
        other = app.send_task(IMPORT, kwargs={"campaign": campaign, "batch": own.id})
        with pytest.raises(Exception, match=own.id):
            other.get(timeout=WITHIN_S)
    result = own.get(timeout=WITHIN_S)
    again = app.send_task(IMPORT, kwargs={"campaign": campaign, "batch": own.id})
    assert again.get(timeout=WITHIN_S) == result


JUNK: dict[str, Callable[[dict[str, Any]], str]] = {
    "no JSON": lambda message: "junk",
    "an empty object": lambda message: "{}",
    "a body that is no base64": lambda message: json.dumps(message | {"body": "*"}),
    "a body that is no JSON": lambda message: json.dumps(message | {"body": base64.b64encode(b"{").decode()}),
    "a body of another form": lambda message: json.dumps(
        message | {"body": base64.b64encode(b"[1]").decode()}
    ),
    "kwargs that are a list": lambda message: json.dumps(
        message | {"body": base64.b64encode(b"[[], [1], {}]").decode()}
    ),
    "no headers": lambda message: json.dumps(message | {"headers": {}}),
}


@pytest.mark.parametrize("case", JUNK)
def test_the_worker_outlives_a_message_of_no_sense(app: Celery, town: Town, campaign: str, case: str) -> None:
    raw = json.loads(message(town, importing(app, campaign, start=50)))
    deliver(town, JUNK[case](raw))
    assert importing(app, campaign).apply_async().get(timeout=WITHIN_S)["created"] == 5
