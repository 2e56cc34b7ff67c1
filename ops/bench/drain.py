"""The drain recipe: a Redis list of leads per campaign, emptied by one Celery task that is alone with it.

Fast and cheap, since whatever lies in the list travels together. What it knows no more is who sent what: no
batch has a result, none goes before another, and when a worker dies its lists stand still until the mark of
the task that emptied them expires.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx
from celery import Celery
from redis import Redis

from .workloads import LEADS_PER_CALL, on_the_wire

if TYPE_CHECKING:
    from celery import Task

    from .rivals import Send, Site

CALL_TIMEOUT_S = 30


def make_app(site: Site) -> Celery:
    """The Celery app of producers and workers."""
    app = Celery("drain", broker=site.redis_url, set_as_current=False)
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, task_ignore_result=True)
    redis = Redis.from_url(site.redis_url)
    dialer = httpx.Client(
        base_url=site.api_url,
        headers={"Authorization": f"Bearer {site.api_key}", "Content-Type": "application/json"},
        timeout=CALL_TIMEOUT_S,
    )

    @app.task(name="drain", bind=True, shared=False, max_retries=10)
    def drain(self: Task[Any, Any], campaign: int) -> None:
        """Bring what lies in the list to the campaign, until nothing does."""
        while leads := redis.lrange(f"leads:{campaign}", 0, LEADS_PER_CALL - 1):
            redis.expire(f"draining:{campaign}", 3 * CALL_TIMEOUT_S)
            try:
                answer = dialer.post(
                    f"/api/v4/campaigns/{campaign}/leads",
                    content=b"[%s]" % b",".join(leads),  # type: ignore[arg-type]  # bytes, not str
                )
                answer.raise_for_status()
            except httpx.HTTPError as exc:
                raise self.retry(exc=exc, countdown=2 * site.gap_s) from exc
            ended = time.monotonic()
            outcomes = answer.json()["leads_import"]
            with redis.pipeline() as both:
                both.ltrim(f"leads:{campaign}", len(leads), -1)
                for outcome, numbers in outcomes.items():
                    both.hincrby(f"counts:{campaign}", outcome, len(numbers))
                both.execute()
            time.sleep(max(ended + site.gap_s - time.monotonic(), 0))
        redis.delete(f"draining:{campaign}")
        if redis.exists(f"leads:{campaign}"):  # more came between the two lines above
            start(app, redis, campaign)

    return app


def start(app: Celery, redis: Redis, campaign: int) -> None:
    """Send the campaign's task, unless there is one."""
    if redis.set(f"draining:{campaign}", 1, nx=True, ex=3 * CALL_TIMEOUT_S):
        app.tasks["drain"].delay(campaign)


def producer(site: Site) -> Send:
    """Puts each batch into its campaign's list. No task stands for a batch."""
    app = make_app(site)
    redis = Redis.from_url(site.redis_url)

    def send(campaign: int, leads: list[dict[str, Any]]) -> list[str]:
        redis.rpush(
            f"leads:{campaign}", *(json.dumps(lead, separators=(",", ":")) for lead in on_the_wire(leads))
        )
        start(app, redis, campaign)
        return []

    return send


def work(site: Site, name: str) -> None:
    """Be a worker process of that name until told to stop."""
    options = ["--pool", "threads", "--concurrency", str(site.threads), "--hostname", f"{name}@%h"]
    make_app(site).worker_main(["worker", "--loglevel", "INFO", *options])


def finished(site: Site, tasks: list[str]) -> int:  # noqa: ARG001 - a rival's signature
    """None: no batch has a result."""
    return 0
