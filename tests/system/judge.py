"""How the system tests judge: by the sandbox's audit, by the jobs' reports and by the Celery results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from celery.result import AsyncResult

from leadlane.workers.celery_app import make_app
from tests.system.conftest import Town, until

if TYPE_CHECKING:
    from celery import Celery

    from leadlane.job import Job


def leads(n: int, start: int = 1, **fields: object) -> Iterator[dict[str, object]]:
    """``n`` leads; the same ``start`` gives the same numbers."""
    return ({"phone_number": f"+1212{2_000_000 + i}", **fields} for i in range(start, start + n))


def producer(town: Town) -> Celery:
    """The Celery app of a producer without this package's face."""
    return make_app(town.settings())


def batches(town: Town, job: str) -> list[str]:
    """Ids of a job's batches, which are the ids of their tasks."""
    return town.client.lrange(f"leadlane:batches:{job}", 0, -1)  # type: ignore[return-value]


def results(town: Town, tickets: Iterable[str], *, within_s: float = 60) -> dict[str, dict[str, Any]]:
    """What each of these tasks returned; AssertionError if one has not succeeded in time."""
    app = producer(town)
    waiting = {ticket: AsyncResult(ticket, app=app) for ticket in tickets}
    returned: dict[str, dict[str, Any]] = {}

    def all_have_theirs() -> bool:
        for ticket, result in list(waiting.items()):
            if result.state == "SUCCESS":
                returned[ticket] = result.result
                del waiting[ticket]
        return not waiting

    try:
        until(all_have_theirs, within_s=within_s, every_s=0.1)
    except AssertionError:
        told = {ticket: (result.state, town.client.hgetall(f"leadlane:t:{ticket}")) for ticket, result in waiting.items()}
        raise AssertionError(f"without result: {told}") from None
    finally:
        app.close()
    return returned


def all_arrived(town: Town, *jobs: Job, within_s: float = 60) -> None:
    """Every lead of these jobs is created, in progress, report and Celery results alike; no rule was broken."""
    for job in jobs:
        progress = job.wait(timeout=within_s)
        assert progress["created"] == progress["leads"], progress
        assert progress["waiting"] == progress["dead"] == 0, progress
        assert Counter(row["outcome"] for row in job.report()) == {"created": progress["leads"]}
        returned = results(town, batches(town, job.id), within_s=within_s)
        assert sum(result["created"] for result in returned.values()) == progress["leads"]
    rules_kept(town)


def rules_kept(town: Town) -> dict[str, Any]:
    """The sandbox's verdict, once it has been found to be without breach."""
    verdict = town.sandbox.verify()
    assert verdict["breaches"] == 0, verdict
    assert all(campaign["stored_twice"] == 0 for campaign in verdict["campaigns"].values()), verdict
    return verdict


def calls(town: Town, campaign: int | str | None = None, *, since: int = 0) -> list[dict[str, Any]]:
    """The leads calls that reached the sandbox, of one campaign or of all, in the order of their arrival."""
    return [
        record
        for record in town.sandbox.audit(since)
        if record["operation"] in ("import", "update") and campaign in (None, int(record["campaign"] or 0), record["campaign"])
    ]


def running(town: Town, campaign: int | str | None = None) -> list[dict[str, Any]]:
    """The leads calls on which the sandbox is working now."""
    return [record for record in calls(town, campaign) if record["ended"] is None]
