"""Anybody may send anything under our task names: that task fails in clear words, and nothing else happens."""

import base64
import bz2
import json
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.result import AsyncResult
from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.commands import is_task_id
from leadlane.workers.lanes import Lanes
from tests.hostile import NUMBER, Imp, deep
from tests.system.conftest import Program, Town, until
from tests.system.judge import leads

QUEUES = ("control", "turns", "intake", "celery")
NAMES = tuple(
    f"leadlane.{name}"
    for name in (
        "leads.import", "leads.update", "leads.remove", "leads.upload", "campaigns.start", "campaigns.stop",
        "campaigns.get", "campaigns.list", "agents.add", "agents.sync", "agents.list", "suppress.add",
        "suppress.lookup",
    )
)  # fmt: skip
HEADERS = (
    "id", "task", "eta", "expires", "retries", "timelimit", "group", "group_index", "root_id", "parent_id", "shadow",
    "origin", "lang", "argsrepr", "kwargsrepr", "ignore_result", "replaced_task_nesting", "stamps", "stamped_headers",
    "compression", "leadlane_call", "leadlane_links", "redelivered", "hostname", "delivery_info", "is_eager", "args",
)  # fmt: skip
KWARGS = (
    "campaign", "leads", "batch", "job", "priority", "on_duplicate", "expires_in", "seq", "user_ids", "account", "self",
)  # fmt: skip
EMBED = ("callbacks", "errbacks", "chain", "chord", "task", "args", "kwargs", "options", "group_id")
GROWTH_MB = 400
"""What a worker of eight threads may grow by; a message of 32 MB is unpacked once for each at most."""
WITHIN_S = 90


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """One worker, the same for all that comes."""
    with EmbeddedRedis() as redis, SandboxProcess(gap_s=0.05) as sandbox:
        town = Town(redis, sandbox, tmp_path_factory.mktemp("town"))
        town.account("voiso", import_gap_s="0.05")
        try:
            yield town
        finally:
            town.close()


@pytest.fixture(scope="module")
def worker(town: Town) -> Program:
    return town.worker("w1", 4)


@pytest.fixture(scope="module")
def app(town: Town) -> Iterator[Celery]:
    with Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False) as app:
        yield app


_campaigns, _honest = cycle(range(1, 100)), count(1)


def honest(app: Celery) -> None:
    """An ordinary task is done."""
    kwargs = {"campaign": f"voiso/{next(_campaigns)}", "leads": list(leads(5, start=10 * next(_honest)))}
    assert app.send_task("leadlane.leads.import", kwargs=kwargs).get(timeout=WITHIN_S)["created"] == 5


@pytest.fixture(autouse=True)
def _unharmed(town: Town, worker: Program, app: Celery) -> Iterator[None]:
    """After each test the worker lives, has done honest work, has told nothing, and holds no message."""
    pid, before = worker.pid, memory_mb(worker, "VmRSS")
    yield
    honest(app)
    until(lambda: sum(town.client.llen(queue) for queue in QUEUES) + town.client.hlen("unacked") == 0)
    assert worker.running
    assert worker.pid == pid
    said = worker.logged()
    assert "Traceback" not in said
    assert NUMBER not in said
    assert not re.search(r"\w{5000}", said)
    assert memory_mb(worker, "VmHWM") < before + GROWTH_MB


def memory_mb(worker: Program, what: str) -> float:
    """A line of /proc/PID/status."""
    (line,) = (
        it for it in Path(f"/proc/{worker.pid}/status").read_text().splitlines() if it.startswith(what)
    )
    return int(line.split()[1]) / 1024


Message = dict[str, Any]
"""``headers``, ``properties`` and ``body``, which is [args, kwargs, embed] or text."""


def plain(name: str = "leadlane.leads.import", **kwargs: Any) -> Message:
    """A message as Celery writes it."""
    task = str(uuid4())
    given = kwargs or {
        "campaign": f"voiso/{next(_campaigns)}",
        "leads": [{"phone_number": f"+{NUMBER}", "name": "A"}],
    }
    return {
        "headers": {
            "lang": "py",
            "task": name,
            "id": task,
            "root_id": task,
            "retries": 0,
            "timelimit": [None, None],
        },
        "properties": {
            "correlation_id": task,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "celery"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid4()),
        },
        "body": [[], given, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}],
    }


def raw(message: Message, **more: Any) -> str:
    """As it lies in a queue."""
    body = message["body"]
    body = body if isinstance(body, (str, bytes)) else json.dumps(body)
    body = body.encode() if isinstance(body, str) else body
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": message["headers"],
        "properties": message["properties"],
    }
    return json.dumps(envelope | more)


def send(town: Town, *given: str, queue: str = "celery") -> None:
    with town.client.pipeline(transaction=False) as pipe:
        for one in given:
            pipe.lpush(queue, one)
        pipe.execute()


def header(name: str, value: Any) -> Callable[[], Message]:
    def made() -> Message:
        message = plain()
        message["headers"][name] = value
        return message

    return made


def kwarg(name: str, value: Any, task: str = "leadlane.leads.import") -> Callable[[], Message]:
    def made() -> Message:
        message = plain(task)
        message["body"][1][name] = value
        return message

    return made


def embed(name: str, value: Any) -> Callable[[], Message]:
    def made() -> Message:
        message = plain()
        message["body"][2][name] = value
        return message

    return made


def body(value: Any) -> Callable[[], Message]:
    return lambda: {**plain(), "body": value}


def of_property(name: str, value: Any) -> Callable[[], Message]:
    def made() -> Message:
        message = plain()
        message["properties"][name] = value
        return message

    return made


def packed(method: str, pack: Callable[[bytes], bytes], size: int) -> Callable[[], Message]:
    def made() -> Message:
        message = plain()
        message["headers"]["compression"] = method
        message["body"] = pack(b" " * size)
        return message

    return made


CORPUS: dict[str, tuple[Callable[[], Message], str]] = {
    "an ETA of tomorrow": (header("eta", "2999-01-01T00:00:00+00:00"), "eta: a task of Leadlane has none"),
    "an ETA of no sense": (header("eta", "soon"), "eta: "),
    "an expiry of no sense": (header("expires", "soon"), "expires: is no moment"),
    "an expiry that is a number": (header("expires", 10**400), "expires: is no moment"),
    "retries without end": (header("retries", 10**18), "retries: is no count"),
    "retries that are a list": (header("retries", []), "retries: "),
    "limits of time that are a text": (header("timelimit", "x"), "timelimit: is not two numbers"),
    "limits of time that are three": (header("timelimit", [1, 2, 3]), "timelimit: "),
    "a limit of time beyond a float": (header("timelimit", [10**400, None]), "timelimit: "),
    "our call header as a text": (header("leadlane_call", "x"), "leadlane_call: is no number of a call"),
    "our call header below nothing": (header("leadlane_call", -1), "leadlane_call: "),
    "our links header as an object": (header("leadlane_links", {"a": 1}), "leadlane_links: "),
    "a name in the log that is an object": (header("shadow", {"a": NUMBER}), "shadow: "),
    "a group that is a list": (header("group", [NUMBER]), "group: "),
    "a header of ten megabytes": (header("origin", "x" * 10_000_000), "origin: is too large"),
    "stamps of ten megabytes": (header("stamps", {"a": ["x" * 10_000_000]}), "stamps: is too large"),
    "names of stamps that are a number": (
        header("stamped_headers", 2**31),
        "stamped_headers: is not a list of names",
    ),
    "names of stamps that are numbers": (header("stamped_headers", [1]), "stamped_headers: "),
    "a thousand headers": (
        lambda: {**plain(), "headers": plain()["headers"] | {f"h{i}": i for i in range(1000)}},
        "headers: are more than 100",
    ),
    "a priority of a million": (of_property("priority", 10**6), "priority: "),
    "a priority that is a text": (of_property("priority", "high"), "priority: "),
    "a place to reply that is a list": (of_property("reply_to", [1]), "reply_to: "),
    "a body that is a number": (body(5), r"body: is not \[args, kwargs, embed\]"),
    "a body of two": (body([[], {}]), "body: is not"),
    "args that are a text": (body(["x" * 1000, {}, {}]), "args: is not a list"),
    "kwargs that are a list": (body([[], [NUMBER], {}]), "kwargs: is not an object"),
    "embed that is a list": (body([[], {}, [1]]), "embed: is not an object"),
    "a body nested too deep": (body(deep(200_000)), "body: cannot be decoded"),
    "an object nested too deep": (body(f"[[], {deep(100_000, '{}')}, {{}}]"), "body: cannot be decoded"),
    "a body that is no text": (body(b"\xff\xfe"), "body: "),
    "a zlib bomb": (packed("application/x-gzip", zlib.compress, 64 << 20), "larger than 32 MB"),
    "a bzip2 bomb": (packed("bzip2", bz2.compress, 64 << 20), "larger than 32 MB"),
    "a compression that nobody has": (packed("rot13", bytes, 10), "body: "),
    "forty megabytes": (body(" " * (40 << 20)), "larger than 32 MB"),
    "a chain of numbers": (embed("chain", [1, 2]), "chain: is not a list of tasks"),
    "a chain that is a text": (embed("chain", "leadlane.leads.import"), "chain: "),
    "links that are a number": (embed("callbacks", 5), "callbacks: "),
    "an errback without a name": (embed("errbacks", [{"args": [1]}]), "errbacks: "),
    "a chord that is a list": (embed("chord", [1]), "chord: is not a task"),
    "more leads than a task may have": (kwarg("leads", [1] * 200_000), "leads: are more than 100,000"),
    "a thousand kwargs": (body([[], {f"k{i}": i for i in range(1000)}, {}]), "kwargs: are more than 20"),
    "an expiry beyond a float": (kwarg("expires_in", 10**400), "expires_in: is not in the coming year"),
    "a sequence beyond Lua": (kwarg("seq", 2**60, "leadlane.campaigns.start"), "seq|leads"),
    "a campaign with half a character": (kwarg("campaign", "voiso/\ud800"), "campaign: "),
    "a campaign of five thousand digits": (kwarg("campaign", "voiso/" + "9" * 5000), "campaign: .*too long"),
    "a batch of another shape": (kwarg("batch", "a/b\n", "leadlane.campaigns.start"), "batch|leads"),
    "a job that is a number": (kwarg("job", 5), "job: is not an id"),
}


def test_a_hostile_task_fails_alone_and_says_what_would_be_right(town: Town, app: Celery) -> None:
    """All of them at once, and each in its own words."""
    sent = {case: make() for case, (make, _) in CORPUS.items()}
    for message in sent.values():
        send(town, raw(message))
    told: dict[str, str] = {}
    for case, message in sent.items():
        result = AsyncResult(message["headers"]["id"], app=app)
        until(lambda result=result: result.state == "FAILURE", within_s=WITHIN_S)  # type: ignore[misc]
        told[case] = f"{type(result.result).__name__}: {result.result}"
    assert {case: said for case, said in told.items() if not re.search(CORPUS[case][1], said)} == {}
    assert [
        said for said in told.values() if "InternalError" in said or NUMBER in said or len(said) > 700
    ] == []


JUNK: dict[str, Callable[[], str]] = {
    "nested deeper than a stack": lambda: deep(200_000),
    "an object nested deeper than a stack": lambda: deep(200_000, "{}"),
    "no properties": lambda: json.dumps({"body": "", "headers": {"task": NAMES[0]}}),
    "properties that are a list": lambda: raw({**plain(), "properties": [1]}),
    "no delivery tag": lambda: raw({**plain(), "properties": {}}),
    "a delivery tag that is a list": lambda: raw(of_property("delivery_tag", [1])()),
    "delivery info of numbers": lambda: raw(
        of_property("delivery_info", {"exchange": 5, "routing_key": [1]})()
    ),
    "delivery info that is a text": lambda: raw(of_property("delivery_info", "x")()),
    "an encoding of the body that is a list": lambda: raw(of_property("body_encoding", ["base64"])()),
    "headers that are a list": lambda: raw({**plain(), "headers": [1, 2]}),
    "headers that are a text": lambda: raw({**plain(), "headers": "x" * 10_000}),
    "a task whose name is a list": lambda: raw(header("task", ["leadlane.leads.import"])()),
    "a task whose name is half a character": lambda: raw(header("task", "\ud800")()),
    "a task of nobody's": lambda: raw(header("task", "tasks.add")()),
    "a task of nobody's, with half a character as its id": lambda: raw(
        {**plain(), "headers": {"task": "tasks.add", "id": "\ud800"}}
    ),
    "no body": lambda: raw(plain(), body=None),
    "a body that is an object": lambda: raw(plain(), body={"a": 1}),
    "a pickle": lambda: raw(plain(), **{"content-type": "application/x-python-serialize"}),
    "a content type that is a number": lambda: raw(plain(), **{"content-type": 5}),
    "an encoding that nobody has": lambda: raw(plain(), **{"content-encoding": "rot13"}),
    "an encoding that is a list": lambda: raw(plain(), **{"content-encoding": [1]}),
    "an id of a megabyte": lambda: raw(header("id", "x" * 1_000_000)()),
    "an id with a line end": lambda: raw(header("id", "a\nb")()),
    "an id that is a path": lambda: raw(header("id", "../../a/b:c")()),
    "an id of half a character": lambda: raw(header("id", "\ud800")()),
    "an id of a zero byte": lambda: raw(header("id", "\x00")()),
    "an id that is a number": lambda: raw(header("id", 10**30)()),
    "an id that is a list": lambda: raw(header("id", [NUMBER])()),
    "no id": lambda: raw(header("id", None)()),
    "the first protocol, with an id that is an object": lambda: raw(
        {
            **plain(),
            "headers": {},
            "body": {"task": NAMES[0], "id": {}, "args": [], "kwargs": {"campaign": NUMBER}},
        }
    ),
    "the first protocol, with an ETA": lambda: raw(
        {
            **plain(),
            "headers": {},
            "body": {
                "task": NAMES[0],
                "id": str(uuid4()),
                "args": [],
                "kwargs": {},
                "eta": "2999-01-01T00:00:00",
            },
        }
    ),
}


@pytest.mark.parametrize("queue", ["celery", "control"])
def test_what_cannot_even_fail_is_dropped(town: Town, queue: str) -> None:
    send(town, *(make() for make in JUNK.values()), queue=queue)


def test_a_forged_number_of_a_call_makes_no_other_call_overdue(town: Town, app: Celery) -> None:
    send(town, raw(header("leadlane_call", 2**53)()), queue="turns")
    honest(app)
    assert int(town.client.get("leadlane:came:turns") or 0) <= int(
        town.client.get("leadlane:callno:turns") or 0
    )


@pytest.mark.parametrize(
    "of", ["leadlane.leads.update", "leadlane.campaigns.stop", "leadlane.suppress.lookup"]
)
def test_a_copy_of_a_ticket_under_another_name_does_nothing_to_it(town: Town, app: Celery, of: str) -> None:
    """Twins that say another task and campaign while the ticket waits: what it is about is in its lane."""
    account = Lanes(Redis.from_url(town.redis.url), "leadlane")
    account.hold("account", "voiso", "test")
    campaign, seen = next(_campaigns), len(town.sandbox.audit(0))
    message = plain(campaign=f"voiso/{campaign}", leads=list(leads(3, start=10 * next(_honest))))
    task = message["headers"]["id"]
    send(town, raw(message))
    until(lambda: town.client.hget(ticket(message), "state") == "waiting")
    for said in ({"batch": task}, {"batch": task, "leads": None}, {"leads": []}, {"user_ids": [1]}):
        twin = plain(of, campaign="voiso/100", **said)
        twin["headers"]["id"] = task
        send(town, raw(twin), raw(twin))
    until(lambda: sum(town.client.llen(queue) for queue in QUEUES) + town.client.hlen("unacked") == 0)
    account.hold("account", "voiso", "")
    until(lambda: town.client.hget(ticket(message), "state") == "done")
    assert town.client.get(f"leadlane:out:{task}") == "ccc"
    made = [call for call in town.sandbox.audit(seen) if call["operation"] != "look"]
    assert [(call["operation"], int(call["campaign"] or 0)) for call in made] == [("import", campaign)]


def mutated(imp: Imp) -> Message:
    """A message in which something is not as it should be, anywhere."""
    message = plain(imp.dice.choice(NAMES))
    args, kwargs, inside = message["body"]
    where = imp.dice.random()
    if where < 0.35:
        imp.names = KWARGS
        kwargs = imp.but(kwargs, imp.dice.randint(1, 3))
    elif where < 0.5:
        imp.names = (
            "phone_number",
            "name",
            "email",
            "priority",
            "active",
            "source",
            "variables",
            "do_not_call",
        )
        kwargs["leads"] = [imp.but({"phone_number": f"+{NUMBER}"}, 2) for _ in range(imp.dice.randint(1, 30))]
    elif where < 0.65:
        imp.names = EMBED
        inside = imp.but(inside, 2)
    elif where < 0.9:
        imp.names = HEADERS
        message["headers"] = imp.but(message["headers"], imp.dice.randint(1, 3))
    else:
        args = imp.value()
    message["body"] = [args, kwargs, inside]
    return message


@pytest.mark.parametrize("n", [300, pytest.param(20_000, marks=pytest.mark.slow)])
def test_a_storm_of_generated_messages_ends_with_every_task_ended(
    town: Town, app: Celery, n: int, inputs: Callable[[int], None]
) -> None:
    imp = Imp(n, KWARGS)
    sent = [mutated(imp) for _ in range(n)]
    for i in range(0, n, 500):
        send(town, *map(raw, sent[i : i + 500]))
        until(lambda: sum(town.client.llen(queue) for queue in QUEUES) < 500, within_s=WITHIN_S)
    tasks = {
        task
        for message in sent
        if is_task_id(task := message["headers"].get("id")) and message["headers"].get("task") in NAMES
    }
    ended = ("SUCCESS", "FAILURE", "REVOKED")

    def all_ended() -> bool:
        tasks.difference_update([task for task in tasks if AsyncResult(task, app=app).state in ended])
        return not tasks

    try:
        until(all_ended, within_s=WITHIN_S, every_s=0.5)
    except AssertionError:
        left = [message for message in sent if str(message["headers"].get("id")) in tasks]
        raise AssertionError(
            f"without end: {[(one, town.client.hgetall(ticket(one))) for one in left]}"
        ) from None
    inputs(n)


def ticket(message: Message) -> str:
    """The key of what its task is to the lanes."""
    return f"leadlane:t:{message['headers']['id']}"
