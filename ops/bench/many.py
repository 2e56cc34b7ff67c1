"""Ten thousand lanes with work: what idle workers cost then, and how late turns are while others have them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, Literal

from redis import Redis

from . import ours
from .clock import CpuClock
from .figures import idle_s, imports, milliseconds, percentile, window
from .ground import Crew, Ground, ground
from .lanes import fill
from .workloads import WORKERS, leads_from

if TYPE_CHECKING:
    from collections.abc import Iterator

LANES: Final = 10_000
IDLE_S: Final = 8.0
BUSY: Final = 400
"""Lanes that have turns, each every two seconds."""
TURNS: Final = 6
"""Of each."""
CALL_S: Final = 0.05
GAP_S: Final = 1.95


def measure() -> Iterator[dict[str, Any]]:
    """Workers at rest without lanes and with ten thousand; then two hundred turns a second among those."""
    with ground(gap_s=GAP_S, call_s=CALL_S, campaigns=BUSY) as place, place.at_work("leadlane") as crew:
        time.sleep(4.0)
        yield {"bench": "idle", "lanes": 0, **_at_rest(place, crew)}
        with Redis.from_url(place.site.redis_url) as client:
            fill(client, LANES, 1)
        time.sleep(1.0)
        yield {"bench": "idle", "lanes": LANES, **_at_rest(place, crew)}
        _prepare(place)
        yield {"bench": "lateness", "lanes": LANES + BUSY, **_turns(place, crew)}


def _prepare(place: Ground) -> None:
    """Give the busy lanes their work, and let them begin one after another, so that their turns are spread evenly."""
    fleet, lanes = ours.fleet(place.site), ours.lanes(place.site)
    campaigns = [fleet.campaign(ours.address(place.site, n + 1)) for n in range(BUSY)]
    names = [campaign.facts.lane(str(n + 1)) for n, campaign in enumerate(campaigns)]
    for name in names:
        lanes.hold("lane", name, "not yet")
    for turn in range(TURNS):
        for n, campaign in enumerate(campaigns):
            # By turns of two kinds that do not share a call, so that each batch has a turn of its own.
            kind: Literal["keep", "update"] = "update" if turn % 2 else "keep"
            campaign.import_leads(leads_from(turn * BUSY + n, 1), on_duplicate=kind)
    seconds, _ = lanes.client.time()
    for n, name in enumerate(names):
        begin = (seconds + 2) * 1000 + int(n * (GAP_S + CALL_S) * 1000 / BUSY)
        lanes.client.hset(lanes.key("lane", name), "next", begin)
        lanes.hold("lane", name, "")


def _turns(place: Ground, crew: Crew) -> dict[str, Any]:
    """How late turns begin after their lane is due, as the dialer's log has it."""
    with CpuClock(crew.pids) as cpu, CpuClock([place.server_pid]) as server:
        place.until_stored(BUSY * TURNS, crew)
        time.sleep(0.2)
    calls = imports(place.sandbox.audit())
    began, ended = window(calls)
    late = idle_s(calls, GAP_S)
    spent, served = cpu.between(began, ended), server.between(began, ended)
    return {
        "turns_per_s": round(len(calls) / (ended - began), 1),
        "late_p50_ms": milliseconds(percentile(late, 0.5)),
        "late_p99_ms": milliseconds(percentile(late, 0.99)),
        "worker_cpu_ms_per_turn": None if spent is None else round(1000 * spent / len(calls), 2),
        "redis_cpu_ms_per_turn": None if served is None else round(1000 * served / len(calls), 2),
    }


def _at_rest(place: Ground, crew: Crew) -> dict[str, Any]:
    """CPU of a worker in percent of a core, and what it asks of Redis, while nothing is due."""
    with (
        Redis.from_url(place.site.redis_url) as client,
        CpuClock(crew.pids) as cpu,
        CpuClock([place.server_pid]) as server,
    ):
        time.sleep(0.2)
        before, began = _asked(client), time.monotonic()
        time.sleep(IDLE_S)
        after, ended = _asked(client), time.monotonic()
        time.sleep(0.2)
        spent, served = cpu.between(began, ended), server.between(began, ended)
    seconds = ended - began
    return {
        "worker_cpu_percent": None if spent is None else round(100 * spent / seconds / WORKERS, 2),
        "redis_cpu_percent": None if served is None else round(100 * served / seconds, 2),
        "commands_per_s": round((after["commands"] - before["commands"]) / seconds / WORKERS, 1),
        "scripts_per_s": round((after["scripts"] - before["scripts"]) / seconds / WORKERS, 1),
        "us_per_script": round(
            (after["us"] - before["us"]) / max(after["scripts"] - before["scripts"], 1), 1
        ),
    }


def _asked(client: Redis) -> dict[str, float]:
    """What has been asked of the server so far: commands that came from outside, and scripts with their time."""
    stats = client.info("commandstats")
    scripts = [stats[name] for name in ("cmdstat_eval", "cmdstat_evalsha") if name in stats]
    return {
        "commands": client.info("stats")["total_commands_processed"],
        "scripts": sum(one["calls"] for one in scripts),
        "us": sum(one["usec"] for one in scripts),
    }
