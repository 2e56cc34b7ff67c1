"""An app with a few tasks to look at a real worker through: ``celery -A probe worker`` in this folder.

Its settings come from the environment: LEADLANE_TEST_REDIS and, if results are elsewhere, LEADLANE_TEST_RESULTS.
With LEADLANE_TEST_BARE it lacks the guard against Celery's crash when Redis goes away, with
LEADLANE_TEST_IMPATIENT it tries to write a result twice only.
"""

import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from celery import Task
from redis import Redis

from leadlane.schemas.errors import DeadLetter
from leadlane.schemas.settings import Settings
from leadlane.workers import guards
from leadlane.workers.celery_app import make_app

REDIS = os.environ["LEADLANE_TEST_REDIS"]

app = make_app(
    Settings(
        redis_url=REDIS,
        result_url=os.environ.get("LEADLANE_TEST_RESULTS", REDIS),
        visibility_timeout_s=5,
    )
)
app.conf.broker_transport_options["unacked_restore_interval"] = 1
if os.environ.get("LEADLANE_TEST_BARE"):
    guards.guard_closed_channels = lambda: None
if os.environ.get("LEADLANE_TEST_IMPATIENT"):
    app.conf.result_backend_max_retries = 1


@app.task(name="leadlane.leads.import")
def take(_previous: object = None, *, leads: list[dict[str, str]], **_: object) -> dict[str, int]:
    return {"leads": len(leads)}


@app.task(name="probe.total")
def total(parts: list[dict[str, int]], **_: object) -> dict[str, int]:
    return {"leads": sum(part["leads"] for part in parts)}


@app.task(name="probe.note")
def note(key: str, text: str) -> None:
    with Redis.from_url(REDIS) as redis:
        redis.rpush(key, text)


@app.task(name="probe.hold")
def hold(folder: str, **_: object) -> str:
    """Leaves a file that says that it runs, and runs until there is one called ``open``. Needs no Redis."""
    Path(folder, f"running-{uuid4()}").touch()
    while not Path(folder, "open").exists():
        time.sleep(0.02)
    return "let go"


@app.task(name="probe.fail")
def fail(*_args: object, leads: list[dict[str, str]], **_: object) -> None:
    number = leads[0]["phone_number"]
    try:
        raise KeyError(number)
    except KeyError as exc:
        raise ValueError(f"cannot call {number}") from exc


@app.task(name="probe.die")
def die(*, leads: list[dict[str, str]]) -> None:
    try:
        raise KeyError(leads[0]["phone_number"])
    except KeyError as exc:
        raise DeadLetter("poison") from exc


@app.task(name="probe.again", bind=True, max_retries=1)
def again(self: "Task[Any, Any]", *, leads: list[dict[str, str]]) -> None:
    raise self.retry(exc=ValueError(leads[0]["phone_number"]), countdown=0)


@app.task(name="probe.too_often", bind=True, max_retries=0)
def too_often(self: "Task[Any, Any]", *, leads: list[dict[str, str]]) -> None:
    raise self.retry(countdown=0)


@app.task(name="probe.no_json")
def no_json(*, leads: list[dict[str, str]]) -> Any:
    return {leads[0]["phone_number"]: object()}


@app.task(name="probe.pid")
def pid() -> int:
    return os.getpid()
