"""A fleet on a Redis that speaks TLS only, each program with the user and the rights of the ACL file."""

import json
from collections.abc import Iterator

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.settings import load_settings
from leadlane.workers.celery_app import make_app
from tests.guarded import ROLES, GuardedRedis, certificates, login, password_of
from tests.system.conftest import Town, until
from tests.system.judge import batches, leads
from tests.system.test_flower import IMPORT, Page

OPERATE = ("doctor", "job list", "lane list", "verify", "agents list --campaign voiso/3")


@pytest.fixture(scope="module")
def server() -> Iterator[GuardedRedis]:
    with GuardedRedis() as server:
        yield server


@pytest.fixture(scope="module")
def town(server: GuardedRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with SandboxProcess(gap_s=0.3) as sandbox:
        town = Town(server, sandbox, tmp_path_factory.mktemp("guarded"))
        town.env["FLOWER_UNAUTHENTICATED_API"] = "true"
        try:
            yield town
        finally:
            town.close()


def test_every_program_does_its_work_with_the_rights_of_its_own_user(
    town: Town, server: GuardedRedis
) -> None:
    page = Page(town)
    town.worker()
    until(lambda: page.get("workers?refresh=1"))
    beat = town.start("beat")
    fleet = town.fleet()
    campaign = fleet.campaign("voiso/3")
    job = campaign.import_leads(leads(1500))
    assert job.wait(timeout=60)["created"] == 1500
    assert [row["outcome"] for row in job.report()] == ["created"] * 1500
    assert campaign.stop().wait(timeout=60)["outcome"] == "reached"
    assert campaign.status()["status"] == "stopped"
    assert fleet.suppress(["+4930123456"], account="voiso").wait(timeout=60)["numbers"] == 1
    with make_app(load_settings(environ=town.env | login(server, "producer"))) as app:
        sent = [
            app.send_task(IMPORT, kwargs={"campaign": "voiso/4", "leads": list(leads(3, 2000 + 10 * i))})
            for i in range(4)
        ]
        assert [one.get(timeout=60)["created"] for one in sent] == [
            3
        ] * 4  # riders of one call have theirs, too
    until(lambda: {one.id for one in sent} <= page.get("tasks?limit=1000").keys())
    until(lambda: set(batches(town, job.id)) <= page.tasks().keys())
    assert {queue["name"] for queue in page.get("queues/length")["active_queues"]} >= {"control", "turns"}
    for line in OPERATE:
        ran = town.run(*line.split(), "--json")
        assert ran.returncode in (0, 1), ran.stdout + ran.stderr
        json.loads(ran.stdout)
    until(lambda: "Acquired lock" in beat.logged())
    assert server.refusals() == []


NEVER = ("FLUSHALL", "FLUSHDB", "CONFIG GET *", "KEYS *", "SCAN 0", "GET somebody:else's", "SHUTDOWN", "ACL LIST",
         "CLIENT LIST", "SCRIPT FLUSH", "SWAPDB 0 1", "MONITOR")  # fmt: skip
REFUSED = {
    "worker": ("SET somebody:else's x", "PUBLISH somebody:else's x"),
    "producer": ("RPOP intake", "LRANGE intake 0 -1", "HGETALL unacked", "BRPOP leadlane:x 1",
                 "PUBLISH /0.celery.pidbox x", "SUBSCRIBE /0.celeryev/x"),
    "operator": ("RPOP intake", "LRANGE intake 0 -1", "HGETALL unacked"),
    "beat": ("GET leadlane:pay:x", "HGETALL leadlane:clock", "RPOP control", "GET celery-task-meta-x"),
    "flower": ("GET leadlane:pay:x", "HGETALL leadlane:optout:all", "RPOP intake", "LPUSH intake x", "HGETALL unacked",
               "SET celery-task-meta-x y"),
}  # fmt: skip


@pytest.mark.parametrize("role", ROLES)
def test_what_a_user_need_not_do_is_refused(server: GuardedRedis, role: str) -> None:
    with as_user(server, role) as client:
        assert client.ping()
        for command in (*NEVER, *REFUSED[role]):
            with pytest.raises(NoPermissionError):
                client.execute_command(*command.split())
        with pytest.raises(ResponseError, match=r"permission|user executing the script"):
            client.eval("return redis.call('FLUSHALL')", 0)


def test_what_was_written_together_is_there_after_a_restart() -> None:
    """Redis 7 replays transactions with the rights of its default user, though nobody may log in as that."""
    with GuardedRedis() as server:
        with as_user(server, "worker") as client:
            client.eval("redis.call('SET', 'leadlane:a', 1) redis.call('SET', 'leadlane:b', 2)", 0)
            client.pipeline(transaction=True).set("leadlane:c", 3).set("leadlane:d", 4).execute()
        server.stop()
        server.start()
        with as_user(server, "worker") as client:
            assert client.mget("leadlane:a", "leadlane:b", "leadlane:c", "leadlane:d") == [
                b"1",
                b"2",
                b"3",
                b"4",
            ]


def test_who_names_no_user_is_not_let_in(server: GuardedRedis) -> None:
    anonymous = Redis(port=server.tls_port, ssl=True, ssl_ca_certs=str(certificates()[0]))
    with anonymous as client, pytest.raises(AuthenticationError):
        client.ping()


def as_user(server: GuardedRedis, role: str) -> Redis:
    return Redis(
        port=server.tls_port,
        ssl=True,
        ssl_ca_certs=str(certificates()[0]),
        username=f"leadlane-{role}",
        password=password_of(role),
    )


UNTRUSTED = "shows a certificate that is not trusted"


@pytest.mark.parametrize(
    ("command", "setting", "value", "told"),
    [
        ("job list", "CA", "", UNTRUSTED),
        ("worker", "CA", "", UNTRUSTED),
        ("doctor", "CA", "", UNTRUSTED),
        ("flower", "URL", "rediss://leadlane-flower@127.0.0.1.nip.invalid:{port}/0", "does not answer"),
        ("job list", "URL", "rediss://leadlane-operator@127.0.0.1:{port}/0", UNTRUSTED),
        ("beat", "PASSWORD", "env:WRONG", "refuses user or password"),
        ("doctor", "PASSWORD", "env:WRONG", "refuses user or password"),
        ("job list", "URL", "rediss://leadlane-flower@localhost:{port}/0", "gives this user too few rights"),
    ],
)
def test_what_is_wrong_with_tls_or_user_is_told_in_one_line(
    town: Town, server: GuardedRedis, command: str, setting: str, value: str, told: str
) -> None:
    role = "flower" if "flower" in value else "operator"
    wrong = {f"LEADLANE_REDIS_{setting}": value.format(port=server.tls_port)}
    before = dict(town.env)
    town.env |= login(server, role) | wrong | {"WRONG": "wrong-p@ss"}
    try:
        ran = town.run(*command.split())
    finally:
        town.env = before
    said = ran.stdout + ran.stderr
    assert ran.returncode == 3, said
    assert told in " ".join(said.split())
    assert "Traceback" not in said
    assert not any(secret in said for secret in ("wrong-p@ss", "wrong-p%40ss", password_of(role)))
