"""How the system tests judge: by the sandbox's audit, by the jobs' reports and by the Celery results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from celery.result import AsyncResult

from leadlane.workers.celery_app import QUEUES, make_app
from tests.system.conftest import Town, until

if TYPE_CHECKING:
    from celery import Celery

    from leadlane.job import Job


def number(i: int) -> str:
    """The i-th number; none ends in 0000, which the sandbox refuses."""
    block, rest = divmod(i, 9999)
    return f"+1212{200 + block}{rest + 1:04d}"


def leads(n: int, start: int = 1, **fields: object) -> Iterator[dict[str, object]]:
    """``n`` leads; the same ``start`` gives the same numbers."""
    return ({"phone_number": number(i), **fields} for i in range(start, start + n))


def producer(town: Town) -> Celery:
    """The Celery app of a producer without this package's face."""
    return make_app(town.settings())


def batches(town: Town, job: str) -> list[str]:
    """Ids of a job's tasks; the pieces of a task that was cut are not among them, its result is their sum."""
    tickets: list[str] = town.client.lrange(f"leadlane:batches:{job}", 0, -1)  # type: ignore[assignment]
    return [ticket for ticket in tickets if ticket.rpartition(".")[0] not in tickets]


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
        told = {
            ticket: (result.state, town.client.hgetall(f"leadlane:t:{ticket}"))
            for ticket, result in waiting.items()
        }
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
        assert sum(result["created"] for result in returned.values()) == progress["leads"], returned
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
        if record["operation"] in ("import", "update")
        and campaign in (None, int(record["campaign"] or 0), record["campaign"])
    ]


def running(town: Town, campaign: int | str | None = None) -> list[dict[str, Any]]:
    """The leads calls on which the sandbox is working now."""
    return [record for record in calls(town, campaign) if record["ended"] is None]


def nothing_left_over(town: Town, *, within_s: float = 60) -> None:
    """In time, no message is on the broker, nobody waits, is called, rides or is to be finished."""
    lanes = (
        "wait:*",
        "called:*",
        "calls:*",
        "flight:*",
        "aboard:*",
        "finish",
        "dead",
        "due:*",
        "accounts",
        "pieces:*",
    )

    def left() -> dict[str, Any]:
        names = [name for pattern in lanes for name in town.client.keys(f"leadlane:{pattern}")]  # type: ignore[union-attr]
        names += [name for name in ("unacked", "unacked_index", *QUEUES) if town.client.exists(name)]
        return {name: town.client.type(name) for name in names if not _is_spent(town, name)}

    try:
        until(lambda: not left(), within_s=within_s, every_s=0.2)
    except AssertionError:
        raise AssertionError(f"left over: {left()}") from None


def _is_spent(town: Town, name: str) -> bool:
    return ":pieces:" in name and int(town.client.get(name) or 0) == 0  # type: ignore[arg-type]
