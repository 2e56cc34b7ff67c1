"""Results of tickets that end without a task of their own, and which state gives way to which."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from celery.app.task import Context
from celery.exceptions import TaskRevokedError
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.schemas.errors import DeadLetter
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.faults import InternalError
from leadlane.workers.results import finish
from leadlane.workers.telling import Ended

TASK = "leadlane.leads.import"
COUNTS = {"leads": 1000, "created": 990, "duplicate": 10}


@pytest.fixture
def app(redis_url: str) -> Celery:
    return make_app(Settings(redis_url=redis_url, retention_s=3600))


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis[str]"]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def test_a_success_is_returned_to_who_asks(app: Celery) -> None:
    finish(app, [Ended("t-1", TASK, "SUCCESS", COUNTS)])
    assert app.AsyncResult("t-1").get(timeout=5) == COUNTS


def test_a_dead_ticket_raises_its_reason(app: Celery) -> None:
    finish(app, [Ended("t-1", TASK, "FAILURE", DeadLetter("did_not_come"))])
    with pytest.raises(DeadLetter, match="did_not_come"):
        app.AsyncResult("t-1").get(timeout=5)


def test_a_cancelled_ticket_is_revoked(app: Celery) -> None:
    finish(app, [Ended("t-1", TASK, "REVOKED", "cancelled")])
    with pytest.raises(TaskRevokedError, match="cancelled"):
        app.AsyncResult("t-1").get(timeout=5)
    assert app.AsyncResult("t-1").state == "REVOKED"


def test_an_exception_nobody_foresaw_is_stored_without_its_words(app: Celery, redis: "Redis[str]") -> None:
    finish(app, [Ended("t-1", TASK, "FAILURE", KeyError("+4917012345678"))])
    with pytest.raises(InternalError, match="KeyError"):
        app.AsyncResult("t-1").get(timeout=5)
    assert "4917012345678" not in redis.get("celery-task-meta-t-1")


def test_who_waits_already_wakes(app: Celery, redis: "Redis[str]", until: Callable[..., None]) -> None:
    got: list[object] = []
    waiting = threading.Thread(target=lambda: got.append(app.AsyncResult("t-1").get(timeout=20)))
    waiting.start()
    until(lambda: redis.pubsub_numsub("celery-task-meta-t-1")[0][1])
    finish(app, [Ended("t-1", TASK, "SUCCESS", COUNTS)])
    waiting.join(20)
    assert got == [COUNTS]


def test_results_are_kept_for_the_retention_time(app: Celery, redis: "Redis[str]") -> None:
    finish(app, [Ended("t-1", TASK, "SUCCESS", COUNTS)])
    assert 3500 < redis.ttl("celery-task-meta-t-1") <= 3600


def test_hundreds_of_results_take_a_few_round_trips(app: Celery, redis: "Redis[str]") -> None:
    finish(app, [Ended("warm", TASK, "SUCCESS", COUNTS)])
    before = redis.info("stats")["total_reads_processed"]
    finish(app, (Ended(f"t-{n}", TASK, "SUCCESS", {"leads": n}) for n in range(250)))
    # Three batches: each a check that the script is there, the results, and their events.
    assert redis.info("stats")["total_reads_processed"] - before < 40
    assert [app.AsyncResult(f"t-{n}").result for n in (0, 99, 100, 249)] == [
        {"leads": n} for n in (0, 99, 100, 249)
    ]


def test_their_events_show_them_as_tasks_with_their_counts(
    app: Celery, events: list[dict[str, Any]], until: Callable[..., None]
) -> None:
    shown = "{campaign=voiso/3, leads=<1000 leads>}"
    finish(
        app,
        [
            Ended("t-1", TASK, "SUCCESS", COUNTS, shown),
            Ended("t-2", TASK, "FAILURE", DeadLetter("poison"), shown),
            Ended("t-3", TASK, "REVOKED", "expired", shown),
        ],
        hostname="celery@one",
    )
    until(lambda: len(events) >= 8)
    state = app.events.State()
    for event in events:
        state.event(event)
    done, dead, expired = (state.tasks[f"t-{n}"] for n in (1, 2, 3))
    assert (done.name, done.state, done.result) == (TASK, "SUCCESS", str(COUNTS))
    assert (done.kwargs, done.worker.hostname) == (shown, "celery@one")
    assert (dead.state, dead.exception) == ("FAILURE", "DeadLetter('poison')")
    assert (expired.state, expired.expired if hasattr(expired, "expired") else True) == ("REVOKED", True)
    assert [event["type"] for event in events if event["uuid"] == "t-1"] == [
        "task-received",
        "task-started",
        "task-succeeded",
    ]


def test_without_events_only_results_are_written(app: Celery, events: list[dict[str, Any]]) -> None:
    app.conf.worker_send_task_events = False
    finish(app, [Ended("t-1", TASK, "SUCCESS", COUNTS)])
    assert app.AsyncResult("t-1").result == COUNTS
    assert events == []


@pytest.mark.parametrize(
    ("stored", "late", "stays"),
    [
        ("SUCCESS", "RETRY", "SUCCESS"),
        ("SUCCESS", "STARTED", "SUCCESS"),
        ("SUCCESS", "FAILURE", "SUCCESS"),
        ("FAILURE", "RETRY", "FAILURE"),
        ("FAILURE", "STARTED", "FAILURE"),
        ("REVOKED", "RETRY", "REVOKED"),
        ("FAILURE", "SUCCESS", "SUCCESS"),
        ("REVOKED", "SUCCESS", "SUCCESS"),
        ("REVOKED", "FAILURE", "FAILURE"),
        ("RETRY", "STARTED", "STARTED"),
        ("STARTED", "RETRY", "RETRY"),
        ("RETRY", "SUCCESS", "SUCCESS"),
    ],
)
def test_a_late_state_never_buries_an_outcome(app: Celery, stored: str, late: str, stays: str) -> None:
    results = {"SUCCESS": COUNTS, "FAILURE": DeadLetter("poison"), "REVOKED": TaskRevokedError("cancelled")}
    for state in (stored, late):
        app.backend.store_result("t-1", results.get(state), state)
    assert app.AsyncResult("t-1").state == stays


def test_a_success_gives_way_to_a_newer_one(app: Celery) -> None:
    finish(app, [Ended("t-1", TASK, "SUCCESS", {"uncertain": 1})])
    finish(app, [Ended("t-1", TASK, "SUCCESS", {"created": 1})])
    assert app.AsyncResult("t-1").result == {"created": 1}


def test_a_result_that_cannot_be_read_gives_way(app: Celery, redis: "Redis[str]") -> None:
    redis.set("celery-task-meta-t-1", "garbage")
    finish(app, [Ended("t-1", TASK, "SUCCESS", COUNTS)])
    assert app.AsyncResult("t-1").result == COUNTS


def test_an_outage_that_a_task_met_is_not_its_failure(app: Celery) -> None:
    app.backend.mark_as_failure("t-1", RedisConnectionError("refused"), request=Context(id="t-1"))
    assert app.AsyncResult("t-1").state == "PENDING"


def test_publishing_a_task_subscribes_to_nothing(app: Celery, redis: "Redis[str]") -> None:
    sent = app.send_task(TASK)
    assert redis.pubsub_channels("*") == []
    assert sent.state == "PENDING"


def test_results_that_could_not_be_written_are_told_and_can_be_written_again(
    app: Celery, redis_server: EmbeddedRedis
) -> None:
    rows = [Ended("t-1", TASK, "SUCCESS", COUNTS)]
    redis_server.stop()
    with pytest.raises(RedisConnectionError):
        finish(app, rows)
    redis_server.start()
    finish(app, rows)
    finish(app, rows)
    assert app.AsyncResult("t-1").result == COUNTS
