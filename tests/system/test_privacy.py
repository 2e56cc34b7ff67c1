"""A number, a name and a key go in everywhere they can, with everything going wrong, and come out nowhere.

One fleet is set up for all tests of this module: a dialer that tells back whatever it is told, Flower, somebody
who listens to all events, one who listens to all of Redis. What each of them has seen is looked through.
"""

import base64
import json
import re
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any, Self
from uuid import uuid4

import pytest
from celery import Celery, chain, chord
from celery.events.receiver import EventReceiver
from celery.result import AsyncResult
from redis import Redis

from leadlane import Job
from leadlane.ops.embedded import free_port
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.settings import load_settings
from leadlane.workers import payloads
from leadlane.workers.celery_app import make_app
from tests.guarded import login, make_redis
from tests.system.conftest import Town, until
from tests.system.parrot import ANSWERS, Parrot

NUMBER, FIRST, LAST, KEY = "12125550187", "Zebulon", "Quisenberry", "lk-7f3a9c-Xyzzy"
PASSWORD = "pw-5tV9-of-Redis"
MARKERS = (NUMBER[1:], FIRST, LAST, KEY, PASSWORD)
LEAD = {"phone_number": f"+{NUMBER}", "name": f"{FIRST} {LAST}"}
WORSE: list[object] = [
    {**LEAD, "phone_number": f"call +{NUMBER} now"},
    {**LEAD, "phone_number": NUMBER * 4},
    {**LEAD, "priority": NUMBER},
    {**LEAD, "priority": int(NUMBER)},
    {**LEAD, "active": f"{FIRST} {LAST}"},
    {**LEAD, "email": f"{FIRST} {LAST}"},
    {**LEAD, "source": LEAD},
    {**LEAD, "context_headers": {NUMBER: f"{FIRST} {LAST}"}},
    {**LEAD, NUMBER: f"{FIRST} {LAST}"},
    {"phone": NUMBER, "name": f"{FIRST} {LAST}"},
    f"{FIRST} {LAST} +{NUMBER}",
    [f"+{NUMBER}"],
    None,
]
WRONG: list[dict[str, object]] = [
    {"campaign": f"+{NUMBER}", "leads": [LEAD]},
    {"campaign": f"voiso/+{NUMBER}", "leads": [LEAD]},
    {"campaign": f"+{NUMBER}/3", "leads": [LEAD]},
    {"campaign": LEAD, "leads": [LEAD]},
    {"campaign": [LEAD], "leads": [LEAD]},
    {"leads": [LEAD]},
    {"campaign": "voiso/3", "leads": LEAD},
    {"campaign": "voiso/3", "leads": f"{FIRST} {LAST} +{NUMBER}"},
    {"campaign": "voiso/3", "leads": [LEAD], "priority": f"{FIRST} {LAST}"},
    {"campaign": "voiso/3", "leads": [LEAD], "job": f"+{NUMBER}"},
    {"campaign": "voiso/3", "leads": [LEAD], "expires_in": f"+{NUMBER}"},
    {"campaign": "voiso/3", "leads": [LEAD], NUMBER: f"{FIRST} {LAST}"},
    {"campaign": "voiso/3", "batch": f"{FIRST} {LAST}"},
    {"campaign": "voiso/3", "batch": f"+{NUMBER}"},
]
IMPORT, UPDATE = "leadlane.leads.import", "leadlane.leads.update"
BUGGY, BUGGIER, SLOW = 66, 67, 1000
WORKER = f"""
from leadlane.ops.main import main
from leadlane.tasks import leads
from leadlane.workers import delivery

manifest, drafts = delivery.manifest, leads.Intake.drafts

def with_a_bug(aboard, operation):
    if aboard[0].row.fields["campaign"] == "{BUGGY}":
        raise ValueError(f"what is {{aboard[0].batch.wires[0]}}?") from KeyError(aboard[0].batch.numbers[0])
    return manifest(aboard, operation)

def with_another(self, rows):
    rows = list(rows)
    if self.facts.name == "buggier":
        raise KeyError(*rows)
    return drafts(self, rows)

delivery.manifest, leads.Intake.drafts = with_a_bug, with_another
main()
"""


class Ears:
    """Somebody who listens in a thread of their own, until told that it is over."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._thread.join(30)

    def _listen(self) -> None:
        raise NotImplementedError


class Events(Ears):
    """All events of the fleet."""

    def __init__(self, app: Celery) -> None:
        super().__init__()
        self._app = app

    def _listen(self) -> None:
        with self._app.connection_for_read() as connection:
            receiver: Any = EventReceiver(connection, handlers={"*": self._take}, app=self._app)
            while not self.over.is_set():
                try:
                    receiver.capture(limit=None, timeout=0.5, wakeup=False)
                except TimeoutError:
                    continue

    def _take(self, event: dict[str, Any]) -> None:
        self.heard.append(json.dumps(event, default=str))


class Commands(Ears):
    """All commands that Redis gets, but for those that are messages of producers, or answers to us."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._client = Redis.from_url(url)

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            while not self.over.is_set():
                self.heard.append(monitor.next_command()["command"])

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self._client.ping()  # so that it hears something and looks
        super().__exit__()
        self._client.close()


class Scene:
    """A fleet at work, and what was seen of it by whom."""

    def __init__(self, town: Town, parrot: Parrot) -> None:
        self.town, self.parrot = town, parrot
        self.producer = Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False)
        self.tasks: dict[str, AsyncResult[Any]] = {}
        self.jobs: dict[str, Job] = {}
        self.seen: dict[str, list[str]] = {}

    def see(self, where: str, *texts: str) -> None:
        self.seen.setdefault(where, []).extend(texts)

    def send(self, what: str, name: str = IMPORT, **kwargs: Any) -> None:
        self.tasks[what] = self.producer.send_task(name, kwargs=kwargs)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("town")
    with make_redis(password=PASSWORD) as redis, SandboxProcess(gap_s=0.3) as sandbox, Parrot() as parrot:
        town = Town(redis, sandbox, folder)
        town.env |= {"PARROT_KEY": KEY, "FLOWER_UNAUTHENTICATED_API": "true", "LEADLANE_MAX_ATTEMPTS": "3"}
        parrots = {"import_gap_s": "0.1", "base_url": parrot.url, "api_key": "env:PARROT_KEY"}
        for account in ("good", "buggy", "buggier", "slow", *(f"says-{campaign}" for campaign in ANSWERS)):
            town.account(account, **parrots)
        scene = Scene(town, parrot)
        try:
            worker = town.worker("w1", 16, None, "--loglevel", "DEBUG", main=("-c", WORKER))
            flower = f"http://127.0.0.1:{free_port()}"
            page = town.start("flower", "--port", flower.rpartition(":")[2])
            until(lambda: "flower at" in page.logged())
            watching = load_settings(environ=town.env | login(redis, "flower"))
            with make_app(watching) as app, Events(app) as events, Commands(redis.url) as commands:
                everything_goes_wrong(scene)
                look_inside(scene, app, flower)
                what_redis_holds(scene)
                the_end(scene)
                look_inside(scene, app, flower)
                what_redis_holds(scene)
            scene.see("events", *events.heard)
            scene.see("commands to Redis", *commands.heard)
            scene.see("the worker's log", worker.logged())
            scene.see("Flower's log", page.logged())
            yield scene
        finally:
            scene.producer.close()
            town.close()


def everything_goes_wrong(scene: Scene) -> None:
    """Until each dialer's answer has come, each bug has struck, and one call is under way."""
    fleet = scene.town.fleet()
    scene.send("good", campaign="good/1", leads=[LEAD, *WORSE])
    scene.send("update", UPDATE, campaign="good/2", leads=[LEAD])
    for campaign in ANSWERS:
        scene.send(f"says {campaign}", campaign=f"says-{campaign}/{campaign}", leads=[LEAD])
        scene.jobs[f"says {campaign}"] = fleet.campaign(f"says-{campaign}/{campaign}").import_leads(
            [LEAD, *WORSE]
        )
    for i, wrong in enumerate(WRONG):
        scene.send(f"wrong {i}", **wrong)
    scene.tasks["unknown task"] = scene.producer.send_task("leadlane.leads.imprt", args=[LEAD], kwargs=LEAD)
    scene.send("buggy", campaign=f"buggy/{BUGGY}", leads=[LEAD])
    scene.send("buggier", campaign=f"buggier/{BUGGIER}", leads=[LEAD])
    scene.send("slow", campaign=f"slow/{SLOW}", leads=[LEAD])
    until(lambda: scene.parrot.heard[SLOW])
    scene.send("behind", campaign=f"slow/{SLOW}", leads=[LEAD])
    slow = {"campaign": f"slow/{SLOW}", "leads": [LEAD]}
    steps = [scene.producer.signature(IMPORT, kwargs=slow, task_id=str(uuid4())) for _ in range(7)]
    scene.tasks["chain"] = chain(*steps[:3]).apply_async()
    scene.tasks["chord"] = chord(steps[3:5], steps[5]).apply_async()
    linked = scene.producer.send_task(IMPORT, kwargs=slow, link=steps[6], link_error=steps[6].clone())
    scene.tasks["link"] = linked
    waiting = [linked.id, scene.tasks["behind"].id, *(steps[i].options["task_id"] for i in (0, 3, 4))]
    states = ("SUCCESS", "FAILURE", "REVOKED", "RETRY")
    until(lambda: all(scene.parrot.heard[campaign] for campaign in ANSWERS))
    until(lambda: "turn broke off" in scene.town.programs[0].logged())
    until(lambda: all(scene.producer.AsyncResult(task).state == "RETRY" for task in waiting))
    until(lambda: all(scene.tasks[f"says {campaign}"].state in states for campaign in ANSWERS))
    until(lambda: all(scene.tasks[f"wrong {i}"].ready() for i in range(len(WRONG))))


def the_end(scene: Scene) -> None:
    """What waits is given up or goes on; everything has its end."""
    scene.parrot.may_answer.set()
    for what in ("link", "chain", "chord", "slow", "behind"):
        assert scene.tasks[what].get(timeout=60, propagate=False), what
    for job in scene.jobs.values():
        job.cancel()
    for task in scene.tasks.values():
        task.revoke()
    until(lambda: all(task.ready() for task in scene.tasks.values()))
    for what, task in scene.tasks.items():
        if task.failed():
            scene.see("errors of the producer", f"{what}: {task.result!r} {task.result} {task.traceback}")
    for job in scene.jobs.values():
        until(lambda: job.progress()["ended"])  # noqa: B023  asked at once


def look_inside(scene: Scene, app: Celery, flower: str) -> None:
    """As an operator does, with Celery's tools and with Flower."""
    inspect = app.control.inspect(timeout=30, limit=1)
    ids = [task.id for task in scene.tasks.values()]
    for how in (
        "active",
        "reserved",
        "scheduled",
        "stats",
        "conf",
        "report",
        "registered",
        "active_queues",
        "revoked",
    ):
        answer = until(getattr(inspect, how))
        scene.see(f"inspect {how}", json.dumps(answer, default=str))
    scene.see("inspect query_task", json.dumps(inspect.query_task(*ids), default=str))
    for path in (
        "api/tasks",
        "api/workers?refresh=1",
        "tasks",
        "workers",
        "broker",
        "metrics",
        "api/task/types",
    ):
        scene.see(f"Flower's /{path}", get(flower, path))
    [worker] = json.loads(get(flower, "api/workers"))
    scene.see("Flower's page of a worker", get(flower, f"worker/{worker}"))
    for task in ids:
        scene.see("Flower's page of a task", get(flower, f"task/{task}", or_not=True))
        scene.see("Flower's /api/task/info", get(flower, f"api/task/info/{task}", or_not=True))
        scene.see("Flower's /api/task/result", get(flower, f"api/task/result/{task}", or_not=True))
    scene.see("progress", *(json.dumps(job.progress()) for job in scene.jobs.values()))


def get(flower: str, path: str, *, or_not: bool = False) -> str:
    """The page; '' if there is none and that is no harm."""
    try:
        with urllib.request.urlopen(f"{flower}/{path}", timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as exc:
        if or_not and exc.code in (404, 503):
            return ""
        raise


def what_redis_holds(scene: Scene) -> None:
    """Every key with its value; payloads are set apart, for they do hold leads."""
    client = Redis.from_url(scene.town.redis.url)
    for key in client.scan_iter(count=1000):
        name = key.decode()
        value = _value(client, key)
        if name.startswith("leadlane:pay:"):
            scene.see("payloads", *(repr(payloads.unpack(raw)) for raw in value))
            scene.see("payloads as stored", *(raw.decode("latin-1") for raw in value))
            continue
        where = next(
            (words for prefix, words in KINDS.items() if name.startswith(prefix)), "other keys of Redis"
        )
        scene.see(where, name, *(raw.decode("latin-1") for raw in value))
    client.close()


KINDS = {
    "celery-task-meta": "results",
    "leadlane:why": "reasons",
    "leadlane:t:": "tickets",
    "leadlane:": "other keys of ours",
}


def _value(client: "Redis[bytes]", key: bytes) -> list[bytes]:
    match client.type(key):
        case b"string":
            return [client.get(key) or b""]
        case b"hash":
            return [part for pair in client.hgetall(key).items() for part in pair]
        case b"list":
            return client.lrange(key, 0, -1)
        case b"set":
            return list(client.smembers(key))
        case b"zset":
            return client.zrange(key, 0, -1)
    return []  # gone meanwhile


BODY = re.compile(r'\\?"body\\?": \\?"([A-Za-z0-9+/=]+)\\?"')


def readable(text: str) -> list[str]:
    """The text and the bodies of messages in it; nothing of a producer's own message, which we do not write."""
    if "delivery_tag" in text and '"task' in text.replace("\\", "") and "leadlane_call" not in text:
        return []
    return [text, *(base64.b64decode(body).decode("latin-1") for body in BODY.findall(text))]


def squeezed(text: str) -> str:
    """Numbers in whatever writing as digits."""
    return re.sub(r"[\s().+/\-]", "", text)


def test_what_went_in_lies_in_the_payloads(scene: Scene) -> None:
    """Else the other tests would show nothing."""
    held = "".join(scene.seen["payloads"])
    assert NUMBER in held
    assert f"{FIRST} {LAST}" in held
    assert all(scene.parrot.heard[campaign] for campaign in (*ANSWERS, 1, SLOW))
    assert not any(marker in text for text in scene.seen["payloads as stored"] for marker in MARKERS)


@pytest.mark.parametrize(
    "where",
    [
        "events", "the worker's log", "Flower's log", "commands to Redis", "results", "reasons", "tickets",
        "other keys of ours", "other keys of Redis", "errors of the producer", "progress", "inspect active",
        "inspect reserved", "inspect scheduled", "inspect conf", "inspect report", "inspect stats",
        "inspect registered", "inspect active_queues", "inspect revoked", "inspect query_task", "Flower's /api/tasks",
        "Flower's /api/workers?refresh=1", "Flower's /tasks", "Flower's /workers", "Flower's /broker",
        "Flower's /metrics", "Flower's /api/task/types", "Flower's page of a worker", "Flower's page of a task",
        "Flower's /api/task/info", "Flower's /api/task/result",
    ],
)  # fmt: skip
def test_nothing_that_went_in_is_seen_in(scene: Scene, where: str) -> None:
    texts = scene.seen[where]
    assert any(texts), "nothing was seen at all"
    for text in texts:
        for shown in readable(text):
            for marker in MARKERS:
                if marker in shown or marker in squeezed(shown):
                    at = shown.find(marker)
                    raise AssertionError(f"{marker} in {shown[max(at - 300, 0) : at + 200]!r}")


def test_every_place_that_was_looked_at_is_tested(scene: Scene) -> None:
    marks = test_nothing_that_went_in_is_seen_in.pytestmark[0].args[1]
    assert set(scene.seen) == {*marks, "payloads", "payloads as stored"}
