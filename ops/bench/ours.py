"""Leadlane, with the settings it has by itself."""

from __future__ import annotations

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.result import AsyncResult

from leadlane import Fleet
from leadlane.ops.main import main
from leadlane.schemas.settings import Settings, load_settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes

if TYPE_CHECKING:
    from .rivals import Send, Site

KEY_VARIABLE = "LEADLANE_BENCH_KEY"
CAMPAIGN_IDS = {"voiso": "{}", "dialnexa": "cmp_{}", "voicery": "{}"}


def environment(site: Site) -> dict[str, str]:
    """Settings of producers and workers, as they are given to both."""
    account = f"LEADLANE_ACCOUNTS__{site.dialer.upper()}__"
    rate = {f"{account}RATE": site.rate} if site.rate else {}
    return rate | {
        "LEADLANE_REDIS_URL": site.redis_url,
        f"{account}PROVIDER": site.dialer,
        f"{account}BASE_URL": site.api_url,
        f"{account}API_KEY": f"env:{KEY_VARIABLE}",
        f"{account}IMPORT_GAP_S": str(site.gap_s),
        KEY_VARIABLE: site.api_key,
    }


def settings(site: Site) -> Settings:
    """The same, read."""
    return load_settings(environ=environment(site))


def fleet(site: Site) -> Fleet:
    """The face that producers have."""
    return Fleet(settings=settings(site))


def lanes(site: Site) -> Lanes:
    """The lanes of the place, to look at."""
    return Lanes.of(settings(site))


def address(site: Site, campaign: int) -> str:
    """A campaign as our producers name it."""
    return f"{site.dialer}/{CAMPAIGN_IDS[site.dialer].format(campaign)}"


def producer(site: Site) -> Send:
    """Imports each batch as a job of its own, whose tickets have the ids of their tasks."""
    campaign_at = cache(fleet(site).campaign)
    jobs = Jobs(lanes(site))

    def send(campaign: int, leads: list[dict[str, Any]]) -> list[str]:
        return jobs.batches(campaign_at(address(site, campaign)).import_leads(leads).id)

    return send


def work(site: Site, name: str) -> None:
    """Be a worker process of that name until told to stop."""
    os.environ.update(environment(site))
    sys.argv = ["leadlane", "worker", "--name", name, "--concurrency", str(site.threads)]
    main()


def finished(site: Site, tasks: list[str]) -> int:
    """How many of these tasks have their result."""
    app: Celery = make_app(settings(site))
    return sum(AsyncResult(task, app=app).successful() for task in tasks)
