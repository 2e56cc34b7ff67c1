"""Flower, run as it is: tasks under their own ids, each with its counts, also those that rode with another."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery

from leadlane.ops.embedded import free_port
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import QUEUES
from leadlane.workers.connection import connect
from leadlane.workers.lanes import Lanes
from leadlane.workers.queue_channels import added
from tests.guarded import make_redis
from tests.system.conftest import Program, Town, until
from tests.system.judge import batches, calls, leads

IMPORT = "leadlane.leads.import"


class Page:
    """Flower in a process of its own."""

    def __init__(self, town: Town) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.program: Program = town.start("flower", "--port", self.url.rpartition(":")[2])
        until(lambda: "flower at" in self.program.logged())

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/{path}", timeout=30) as answer:
            return json.loads(answer.read())

    def tasks(self, state: str = "SUCCESS") -> dict[str, dict[str, Any]]:
        """Tasks in this state by their ids."""
        found: dict[str, dict[str, Any]] = self.get(f"tasks?limit=1000&state={state}")
        return found


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with make_redis() as redis, SandboxProcess(gap_s=0.3) as sandbox:
        town = Town(redis, sandbox, tmp_path_factory.mktemp("town"))
        town.env["FLOWER_UNAUTHENTICATED_API"] = "true"
        try:
            yield town
        finally:
            town.close()


@pytest.fixture(scope="module")
def page(town: Town) -> Page:
    """Flower that watches a worker from the start."""
    page = Page(town)
    town.worker("w1")
    until(lambda: page.get("workers?refresh=1"))
    return page


@pytest.fixture
def lanes(town: Town) -> Iterator[Lanes]:
    lanes = Lanes(connect(Settings(redis_url=town.redis.url)), "leadlane")
    yield lanes
    lanes.hold("account", "voiso", "")
    lanes.client.close()


def test_each_batch_is_a_task_with_its_counts_as_result(town: Town, page: Page) -> None:
    job = town.fleet().campaign("voiso/1").import_leads([*leads(1500), {"phone_number": "x"}])
    job.wait(timeout=60)
    ids = batches(town, job.id)
    shown = until(lambda: (found := page.tasks("SUCCESS")).keys() >= set(ids) and found)
    results = [shown[task]["result"] for task in ids]
    assert ["'created': 1000" in result for result in results] == [True, False]
    assert "'created': 500" in results[1]
    assert "'invalid': 1" in results[1]
    for task in ids:
        assert shown[task]["name"] == IMPORT
        assert shown[task]["worker"].startswith("w1@")
        assert shown[task]["kwargs"] == f"{{campaign=voiso/1, batch={task}, job={job.id}}}"


def test_riders_are_tasks_of_their_own(town: Town, page: Page, lanes: Lanes) -> None:
    """Thirty batches leave in one call: those of a producer by name, and those of a Fleet, which had no message."""
    lanes.hold("account", "voiso", "the test says so")
    with Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False) as app:
        by_name = [
            app.send_task(IMPORT, kwargs={"campaign": "voiso/2", "leads": list(leads(3, 10 * i))})
            for i in range(15)
        ]
        until(lambda: all(task.state == "RETRY" for task in by_name))
        fleet = town.fleet()
        jobs = [fleet.campaign("voiso/2").import_leads(leads(3, 10 * i)) for i in range(15, 30)]
        until(lambda: page.tasks("RETRY").keys() >= {task.id for task in by_name})
        lanes.hold("account", "voiso", "")
        assert [task.get(timeout=60)["created"] for task in by_name] == [3] * 15
    for job in jobs:
        job.wait(timeout=60)
    ids = {task.id for task in by_name}.union(*(batches(town, job.id) for job in jobs))
    shown = until(lambda: (found := page.tasks("SUCCESS")).keys() >= ids and found)
    assert len(calls(town, 2)) == 1
    for task in ids:
        assert "'leads': 3, 'created': 3" in shown[task]["result"]
        assert shown[task]["worker"].startswith("w1@")
    assert not page.tasks("RETRY")


def test_tasks_that_were_given_up_or_failed_are_shown_so(town: Town, page: Page, lanes: Lanes) -> None:
    lanes.hold("account", "voiso", "the test says so")
    cancelled = town.fleet().campaign("voiso/3").import_leads(leads(3))
    dead = town.fleet().campaign("voiso/9999").import_leads(leads(3))
    cancelled.cancel()
    lanes.hold("account", "voiso", "")
    dead.wait(timeout=60)
    [failed] = batches(town, dead.id)
    until(lambda: set(batches(town, cancelled.id)) <= page.tasks("REVOKED").keys())
    shown = until(lambda: page.tasks("FAILURE").get(failed))
    assert shown["exception"] == "DeadLetter('404: Not found')"


def test_the_queues_and_the_worker_are_shown(page: Page) -> None:
    lengths = page.get("queues/length")["active_queues"]
    assert {queue["name"] for queue in lengths} == {"control", "turns", "intake", "celery"}
    [worker] = page.get("workers?refresh=1").values()
    assert IMPORT in worker["registered"]
    assert worker["stats"]["pool"]["max-concurrency"] == 8 + added(QUEUES)
