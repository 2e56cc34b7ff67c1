"""Redis is full, paused, mute, loading or a replica for longer than a lease: time is lost, nothing else."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from leadlane import Fleet
from leadlane.errors import Unreachable
from leadlane.job import Job
from leadlane.ops.embedded import EmbeddedRedis, find_server, free_port
from leadlane.ops.sandbox.process import SandboxProcess
from tests.proxy import Proxy
from tests.system.conftest import Program, Town, until
from tests.system.judge import all_arrived, calls, leads, nothing_left_over, producer, results, running

GAP_S, LOST_CALL_S, LEASE_S = 0.3, 2.0, 3.0


class Behind:
    """A server as those see it who reach it through a proxy."""

    def __init__(self, server: EmbeddedRedis, proxy: Proxy) -> None:
        self.server, self.proxy = server, proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A town with a server of its own, which workers and producers reach through `proxy`."""
    binary = find_server(bundled=os.environ.get("LEADLANE_TEST_SERVER") == "embedded")
    with (
        EmbeddedRedis(binary=binary) as redis,
        SandboxProcess(gap_s=GAP_S, call_time_s=0.2) as sandbox,
        Proxy(redis.port) as proxy,
    ):
        town = Town(Behind(redis, proxy), sandbox, tmp_path)  # type: ignore[arg-type]
        town.client = Redis.from_url(redis.url, decode_responses=True)
        town.account("voiso", timeout_s="2", lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
        town.env |= {
            "LEADLANE_VISIBILITY_TIMEOUT_S": "5",
            "LEADLANE_LEASE_S": str(int(LEASE_S)),
        }
        try:
            yield town
        finally:
            town.close()


@pytest.fixture
def under_load(town: Town) -> tuple[Fleet, list[Program], list[Job], Any]:
    """Two workers at work on three campaigns, and a by-name import of a fourth, which is known to its lane."""
    workers = [town.worker("w1"), town.worker("w2")]
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(5000)) for campaign in (1, 2, 3)]
    by_name = producer(town).send_task(
        "leadlane.leads.import", kwargs={"campaign": "voiso/5", "leads": list(leads(2500))}
    )
    until(lambda: town.client.exists(f"leadlane:t:{by_name.id}") and running(town))
    return fleet, workers, jobs, by_name


def for_longer_than_a_lease(town: Town, fault: Callable[[], object], mend: Callable[[], object]) -> int:
    """Lets the fault be there until the leases are over; how many calls there had been before."""
    fault()
    known = len(calls(town))
    time.sleep(LEASE_S + LOST_CALL_S + 1)
    mend()
    return known


def ends_well(town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any]) -> None:
    fleet, workers, jobs, by_name = under_load
    returned = results(town, [by_name.id])
    jobs.append(fleet.job(returned[by_name.id]["job"]))
    all_arrived(town, *jobs)
    assert all(worker.running for worker in workers)
    assert town.sandbox.verify()["doubled"] == 0
    nothing_left_over(town)


@pytest.mark.slow
def test_a_full_redis_is_said_to_producers_and_workers_go_on_when_there_is_room(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any]
) -> None:
    fleet = under_load[0]
    spring = fleet.campaign("voiso/1")

    def while_full() -> None:
        town.client.config_set("maxmemory", 1)
        with pytest.raises(Unreachable, match="Redis: is out of memory"):
            spring.import_leads(leads(10))
        ended = town.run("import", "-", "--campaign", "voiso/1", stdin="phone\n+12125550001\n")
        assert ended.returncode == 3, ended
        assert "out of memory" in ended.stderr
        until(lambda: not running(town))
        answered = sum(call["size"] for call in calls(town) if call["answered"])
        until(lambda: told(town) >= answered)  # what was answered is told, full or not

    for_longer_than_a_lease(town, while_full, lambda: town.client.config_set("maxmemory", 0))
    ends_well(town, under_load)


def told(town: Town) -> int:
    """Leads that are created, as all jobs say."""
    return sum(int(town.client.hget(name, "n:c") or 0) for name in town.client.keys("leadlane:job:*"))  # type: ignore[union-attr,arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["WRITE", "ALL"])
def test_a_pause_longer_than_the_lease(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any], what: str
) -> None:
    pause_ms = int((LEASE_S + LOST_CALL_S + 1) * 1000)
    town.client.execute_command("CLIENT", "PAUSE", pause_ms, what)
    ends_well(town, under_load)


@pytest.mark.slow
@pytest.mark.parametrize("then", ["passes", "is cut"])
def test_connections_that_are_half_open(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any], then: str
) -> None:
    """Longer than all socket time-outs, once: commands that were given up may arrive after all."""
    proxy: Proxy = town.redis.proxy  # type: ignore[union-attr]
    proxy.stall()
    time.sleep(17)
    if then == "is cut":
        proxy.cut()
    proxy.go_on()
    ends_well(town, under_load)


@pytest.mark.slow
def test_a_redis_that_is_loading_is_away(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any]
) -> None:
    server: EmbeddedRedis = town.redis.server  # type: ignore[union-attr]
    town.client.bgrewriteaof()  # what is loaded slowly is its snapshot
    until(lambda: not town.client.info("persistence")["aof_rewrite_in_progress"])
    server.kill()
    server._more = ["key-load-delay 100000", "loading-process-events-interval-bytes 1024"]
    starting = threading.Thread(target=server.start, kwargs={"within_s": 60})
    starting.start()
    with Redis.from_url(server.url) as client:
        until(lambda: "LOADING" in refusal(client))
        with pytest.raises(Unreachable):
            under_load[0].campaign("voiso/1")
    assert starting.is_alive()
    starting.join()
    ends_well(town, under_load)


def refusal(client: Redis) -> str:
    try:
        client.get("x")
    except Exception as exc:  # noqa: BLE001
        return f"{type(exc).__name__} {exc}".replace("BusyLoadingError", "LOADING")
    return ""


@pytest.mark.slow
def test_a_server_that_has_become_a_replica_is_waited_for(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any]
) -> None:
    """Its connections stay open: as after a failover by a name or an address that moves."""
    fleet = under_load[0]

    def demote() -> None:
        town.client.replicaof("127.0.0.1", free_port())
        with pytest.raises(Unreachable):
            fleet.campaign("voiso/1").import_leads(leads(10))

    for_longer_than_a_lease(town, demote, lambda: town.client.replicaof("NO", "ONE"))
    ends_well(town, under_load)


@pytest.mark.slow
@pytest.mark.parametrize("by_s", [-3600, 3600])
def test_a_clock_that_jumps_with_the_server(
    town: Town, under_load: tuple[Fleet, list[Program], list[Job], Any], by_s: int
) -> None:
    proxy: Proxy = town.redis.proxy  # type: ignore[union-attr]
    server: EmbeddedRedis = town.redis.server  # type: ignore[union-attr]
    proxy.cut()
    server.kill()
    server.start()
    town.client.hincrby("leadlane:clock", "offset", by_s * 1000)
    proxy.go_on()
    ends_well(town, under_load)


@pytest.mark.slow
def test_a_worker_told_to_stop_while_redis_is_mute_ends_by_itself(town: Town) -> None:
    worker = town.worker("w1")
    job = town.fleet().campaign("voiso/1").import_leads(leads(3000))
    until(lambda: running(town))
    proxy: Proxy = town.redis.proxy  # type: ignore[union-attr]
    proxy.stall()
    worker.process.terminate()
    assert worker.wait() == 3
    assert "it leaves" in worker.logged()
    proxy.cut()
    proxy.go_on()
    town.worker("w2")
    all_arrived(town, job)
