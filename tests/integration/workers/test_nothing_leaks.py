"""A marker number goes in everywhere it can and must come out nowhere."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery, chain, chord, group
from celery.result import AsyncResult
from redis import Redis

from leadlane.schemas.errors import LeadlaneError
from leadlane.schemas.settings import Settings
from leadlane.workers.celery_app import make_app

DIGITS = "4917012345678"
LEADS = [{"phone_number": f"+{DIGITS}"}]
ARGUMENTS = {"campaign": "voiso/3", "leads": LEADS, "unknown": f"+{DIGITS}"}


@pytest.fixture
def app(redis_url: str) -> Celery:
    return make_app(Settings(redis_url=redis_url))


@pytest.fixture
def redis(redis_url: str) -> Iterator["Redis[str]"]:
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


def signature(app: Celery, name: str, **options: Any) -> Any:
    return app.signature(name, kwargs={**ARGUMENTS} if "probe" not in name else {"leads": LEADS}, **options)


def outcome(result: AsyncResult) -> object:
    """The result, or the error it ended with."""
    try:
        return result.get(timeout=20)
    except Exception as exc:  # noqa: BLE001  # whatever it is
        return exc


def headers(raw: str) -> dict[str, Any]:
    return json.loads(raw)["headers"]


def test_a_number_given_to_tasks_is_in_no_header_event_result_or_log(
    app: Celery,
    redis: "Redis[str]",
    events: list[dict[str, Any]],
    start_worker: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    imports = "leadlane.leads.import"
    app.conf.task_send_sent_event = True  # as a producer may have it
    worker = start_worker("-c", "4", "-l", "DEBUG", "-Q", "intake,control,celery").ready()
    done = [
        chain(signature(app, imports), signature(app, imports))(),
        group(signature(app, imports) for _ in range(3))(),
        chord([signature(app, imports) for _ in range(3)], signature(app, "probe.total"))(),
        signature(app, imports).apply_async(link_error=signature(app, "probe.fail")),
    ]
    assert [outcome(result) for result in done] == [
        {"leads": 1},
        [{"leads": 1}] * 3,
        {"leads": 3},
        {"leads": 1},
    ]
    broken = [
        *(
            signature(app, f"probe.{name}").delay()
            for name in ("fail", "die", "again", "too_often", "no_json")
        ),
        chord([signature(app, imports), signature(app, "probe.fail")], signature(app, "probe.total"))(),
        signature(app, "probe.fail").apply_async(link_error=signature(app, "probe.fail")),
    ]
    assert all(isinstance(outcome(result), LeadlaneError) for result in broken[:5])
    assert all(isinstance(outcome(result), Exception) for result in broken[5:])

    # A link's message, where this worker does not take it: in a queue it does not read.
    linked = signature(app, imports).set(queue="turns")
    signature(app, imports).apply_async(link=linked).get(timeout=20)
    until(lambda: redis.llen("turns"))
    on_the_broker = headers(redis.lindex("turns", 0))
    assert on_the_broker["kwargsrepr"] == "{campaign=voiso/3, leads=<1 leads>, <1 hidden>}"

    until(lambda: sum(event["type"] == "task-failed" for event in events) >= 6)
    kinds = {event["type"] for event in events}
    assert {"task-sent", "task-received", "task-started", "task-succeeded", "task-retried"} <= kinds
    stored = [redis.get(key) for key in redis.scan_iter(match="*", _type="string")]
    assert len(stored) > 10
    for place in (
        json.dumps(on_the_broker),
        json.dumps(events),
        json.dumps(stored),
        worker.log,
        worker.screen,
    ):
        assert DIGITS not in place


def test_a_number_in_a_foreign_producers_headers_goes_no_further(
    redis_url: str,
    app: Celery,
    redis: "Redis[str]",
    events: list[dict[str, Any]],
    start_worker: Callable[..., Any],
    until: Callable[..., None],
    tmp_path: Path,
) -> None:
    foreign = Celery(broker=redis_url, backend=redis_url, set_as_current=False)
    worker = start_worker("-c", "1", "-l", "DEBUG").ready()
    raw: dict[str, Any] = {"args": (f"+{DIGITS}",), "kwargsrepr": str(LEADS), "argsrepr": str(LEADS)}
    assert foreign.send_task("leadlane.leads.import", kwargs=ARGUMENTS, **raw).get(timeout=20) == {"leads": 1}

    raw.pop("args")
    foreign.send_task("probe.hold", kwargs={"folder": str(tmp_path), **ARGUMENTS}, **raw)
    until(lambda: list(tmp_path.glob("running-*")))
    inspect = app.control.inspect(timeout=10, limit=1)
    active = inspect.active()
    (running,) = next(iter(active.values()))
    assert running["kwargs"] == "{campaign=voiso/3, leads=<1 leads>, <2 hidden>}"
    answers = [
        active,
        inspect.reserved(),
        inspect.scheduled(),
        inspect.query_task(running["id"]),
        inspect.stats(),
        inspect.conf(with_defaults=True),
        inspect.report(),
    ]
    (tmp_path / "open").touch()
    until(lambda: app.AsyncResult(running["id"]).ready())
    for place in (str(answers), json.dumps(events), worker.log, worker.screen):
        assert DIGITS not in place


def envelope(body: bytes, content_type: str = "application/json", **headers: Any) -> str:
    """A message as it lies on the broker."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": content_type,
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "body_encoding": "base64",
                "delivery_info": {"exchange": "", "routing_key": "celery"},
                "delivery_mode": 2,
                "priority": 0,
                "delivery_tag": str(uuid4()),
            },
        }
    )


def senseless() -> list[str]:
    """Messages that are no tasks of ours, one of each kind."""
    good = json.dumps([[], {"leads": LEADS}, {}]).encode()
    about = {"id": str(uuid4()), "task": "leadlane.leads.import", "kwargsrepr": f"+{DIGITS}"}
    return [
        envelope(good, id=str(uuid4()), task="no.such.task", argsrepr=f"+{DIGITS}"),
        envelope(good, note=f"+{DIGITS}"),  # no task named at all
        envelope(json.dumps({"phone": DIGITS}).encode(), hello="there"),
        envelope(f"+{DIGITS}".encode() + b"\xff", **about),  # no UTF-8
        envelope(f'{{"phone": +{DIGITS}'.encode(), **about),  # no JSON
        envelope(json.dumps(LEADS).encode(), **about),  # no body of a task
        envelope(json.dumps(int(DIGITS)).encode(), **about),
        envelope(json.dumps([[], DIGITS, {}]).encode(), **about),  # arguments that are none
        envelope(good, "application/x-python-serialize", **about),
        envelope(good, f"text/{DIGITS}", **about),
        envelope(good, **{**about, "eta": f"+{DIGITS}"}),
        envelope(good, task="leadlane.leads.import", secret=DIGITS),  # no id
    ]


def test_messages_of_no_sense_neither_end_a_worker_nor_get_into_its_log(
    app: Celery,
    redis: "Redis[str]",
    events: list[dict[str, Any]],
    start_worker: Callable[..., Any],
    until: Callable[..., None],
) -> None:
    worker = start_worker("-c", "2", "-l", "DEBUG").ready()
    for message in senseless():
        redis.lpush("celery", message)
        assert app.send_task("probe.pid").get(timeout=20) == worker.process.pid, worker.log
    until(lambda: not redis.hlen("unacked"))
    stored = [redis.get(key) for key in redis.scan_iter(match="celery-task-meta-*")]
    for place in (json.dumps(events), json.dumps(stored), worker.log, worker.screen):
        assert DIGITS not in place
    assert "Received unregistered task of type" in worker.log
    assert "<not shown>" in worker.log
