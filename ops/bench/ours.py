"""Leadlane, with the settings it has by itself."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from celery import Celery
from celery.result import AsyncResult

from leadlane import Fleet
from leadlane.ops.main import main
from leadlane.schemas.settings import load_settings
from leadlane.workers.celery_app import make_app
from leadlane.workers.jobs import Jobs
from leadlane.workers.lanes import Lanes

if TYPE_CHECKING:
    from .rivals import Site
    from .workloads import Workload

KEY_VARIABLE = "LEADLANE_BENCH_KEY"


def environment(site: Site) -> dict[str, str]:
    """Settings of producers and workers, as they are given to both."""
    account = "LEADLANE_ACCOUNTS__VOISO__"
    return {
        "LEADLANE_REDIS_URL": site.redis_url,
        f"{account}PROVIDER": "voiso",
        f"{account}BASE_URL": site.api_url,
        f"{account}API_KEY": f"env:{KEY_VARIABLE}",
        f"{account}IMPORT_GAP_S": str(site.gap_s),
        KEY_VARIABLE: site.api_key,
    }


def enqueue(site: Site, workload: Workload) -> list[str]:
    """Import each batch as a job of its own: ids of their tickets, which are those of their tasks."""
    given = load_settings(environ=environment(site))
    fleet = Fleet(settings=given)
    campaigns = {number: fleet.campaign(f"voiso/{number}") for number in range(1, workload.campaigns + 1)}
    jobs = [campaigns[campaign].import_leads(leads) for campaign, leads in workload.work()]
    stored = Jobs(Lanes.of(given))
    return [ticket for job in jobs for ticket in stored.batches(job.id)]


def work(site: Site, name: str) -> None:
    """Be a worker process of that name until told to stop."""
    os.environ.update(environment(site))
    sys.argv = ["leadlane", "worker", "--name", name, "--concurrency", str(site.threads)]
    main()


def finished(site: Site, tasks: list[str]) -> int:
    """How many of these tasks have their result."""
    app: Celery = make_app(load_settings(environ=environment(site)))
    return sum(AsyncResult(task, app=app).successful() for task in tasks)
