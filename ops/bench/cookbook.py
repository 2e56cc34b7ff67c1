"""The cookbook way: a Celery task per batch, a Redis lock per campaign, ``retry(countdown)`` while it is taken.

What the documents of Celery and redis-py lead to. The task carries its leads; it is acknowledged when it has
ended, so that a dying worker gives it back. Whoever has called leaves the lock behind for the rest of the gap.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import httpx
from celery import Celery
from celery.result import AsyncResult
from redis import Redis

from .workloads import on_the_wire

if TYPE_CHECKING:
    from celery import Task

    from .rivals import Send, Site

CALL_TIMEOUT_S = 30


def make_app(site: Site) -> Celery:
    """The Celery app of producers and workers."""
    app = Celery("cookbook", broker=site.redis_url, backend=site.redis_url, set_as_current=False)
    app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1)
    redis = Redis.from_url(site.redis_url)
    dialer = httpx.Client(
        base_url=site.api_url, headers={"Authorization": f"Bearer {site.api_key}"}, timeout=CALL_TIMEOUT_S
    )

    @app.task(name="import_leads", bind=True, shared=False, max_retries=None)
    def import_leads(self: Task[Any, Any], campaign: int, leads: list[dict[str, Any]]) -> dict[str, int]:
        """Import one batch: leads per outcome."""
        lock = redis.lock(f"campaign:{campaign}", timeout=2 * CALL_TIMEOUT_S)
        if not lock.acquire(blocking=False):
            raise self.retry(countdown=random.uniform(0.5, 1.5) * site.gap_s)  # noqa: S311 - no secret
        try:
            answer = dialer.post(f"/api/v4/campaigns/{campaign}/leads", json=leads)
            answer.raise_for_status()
        except httpx.HTTPError as exc:
            raise self.retry(exc=exc, countdown=2 * site.gap_s, max_retries=10) from exc
        finally:
            lock.extend(site.gap_s, replace_ttl=True)
        return {outcome: len(numbers) for outcome, numbers in answer.json()["leads_import"].items()}

    return app


def producer(site: Site) -> Send:
    """Sends a task for each batch."""
    task = make_app(site).tasks["import_leads"]

    def send(campaign: int, leads: list[dict[str, Any]]) -> list[str]:
        return [task.delay(campaign, on_the_wire(leads)).id]

    return send


def work(site: Site, name: str) -> None:
    """Be a worker process of that name until told to stop."""
    options = ["--pool", "threads", "--concurrency", str(site.threads), "--hostname", f"{name}@%h"]
    make_app(site).worker_main(["worker", "--loglevel", "INFO", *options])


def finished(site: Site, tasks: list[str]) -> int:
    """How many of these tasks have their result."""
    app = make_app(site)
    return sum(AsyncResult(task, app=app).successful() for task in tasks)
