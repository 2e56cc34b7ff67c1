"""What a lead takes in Redis: while it waits, and once its job is done."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any, Final

import orjson
from redis import Redis

from . import ours
from .ground import ground
from .workloads import Workload, leads_from, on_the_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

SHAPES: Final = (
    Workload("of 1000", campaigns=20, batches=10, leads=1000, call_s=0.0, gap_s=0.0),
    Workload("of 50", campaigns=20, batches=20, leads=50, call_s=0.0, gap_s=0.0),
)


def measure() -> Iterator[dict[str, Any]]:
    """Bytes of the server per lead, everything of its job included, for large and small batches."""
    for shape in SHAPES:
        with ground(gap_s=shape.gap_s, call_s=shape.call_s, campaigns=shape.campaigns + 1) as place:
            send = ours.producer(place.site)
            with Redis.from_url(place.site.redis_url) as client:
                with place.at_work("leadlane") as crew:  # what there is once, whatever waits
                    send(shape.campaigns + 1, leads_from(10**6, 1))
                    place.until_stored(1, crew)
                time.sleep(1.0)
                before = _used(client)
                tasks = [task for campaign, leads in shape.work() for task in send(campaign, leads)]
                waiting = _used(client) - before
                with place.at_work("leadlane") as crew:
                    place.until_stored(1 + shape.total, crew)
                    while ours.finished(place.site, tasks) < len(tasks):
                        time.sleep(0.1)
                time.sleep(1.0)
                done = _used(client) - before
        yield {
            "bench": "memory",
            "batches": shape.name,
            "leads": shape.total,
            "waiting_bytes": round(waiting / shape.total, 1),
            "done_bytes": round(done / shape.total, 1),
            **_plain(shape),
        }


def _used(client: Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _plain(shape: Workload) -> dict[str, float]:
    """The same batch as JSON, and as JSON that zlib has compressed."""
    text = orjson.dumps(on_the_wire(leads_from(0, shape.leads)))
    return {
        "json_bytes": round(len(text) / shape.leads, 1),
        "zlib_bytes": round(len(zlib.compress(text)) / shape.leads, 1),
    }
