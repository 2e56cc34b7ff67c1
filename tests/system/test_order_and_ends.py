"""What a producer may ask of a job: its class, its order, its end before time, what becomes of duplicates (rule 6)."""

import time
from typing import Any

from celery.result import AsyncResult

from leadlane.job import Job
from tests.system.conftest import Town, until
from tests.system.judge import all_arrived, batches, calls, leads, producer, results, rules_kept, running


def stored_names(town: Town, campaign: int) -> set[str]:
    return {row["fields"]["name"] for row in town.sandbox.leads(campaign).values()}


def test_urgent_goes_before_normal_and_normal_before_bulk(town: Town) -> None:
    campaign = town.fleet().campaign("voiso/1")
    # Sizes tell the classes apart in the audit; no two fit into one call.
    jobs = [
        campaign.import_leads(leads(size, start=10_000 * i), priority=priority)
        for i, (size, priority) in enumerate(
            [(901, "bulk"), (801, "normal"), (902, "bulk"), (701, "urgent"), (802, "normal"), (702, "urgent")]
        )
    ]
    town.worker()
    all_arrived(town, *jobs)
    assert [call["size"] for call in calls(town)] == [701, 702, 801, 802, 901, 902]


def test_bulk_is_not_starved_by_urgent_work(town: Town) -> None:
    campaign = town.fleet().campaign("voiso/1")
    bulk = campaign.import_leads(leads(999), priority="bulk")
    urgent = campaign.import_leads(leads(12_000, start=10_000), priority="urgent")
    town.account("voiso", import_gap_s="0.02")
    town.sandbox.change(gap_s=0.02)
    town.worker()
    all_arrived(town, bulk, urgent)
    sizes = [call["size"] for call in calls(town)]
    assert sizes.index(999) == 9


def test_updates_keep_their_place_between_imports_of_the_same_leads(town: Town) -> None:
    town.sandbox.change(keep_fields=True)
    campaign = town.fleet().campaign("voiso/1")
    jobs = [
        campaign.import_leads(leads(1500, name="first")),
        campaign.update_leads(leads(1500, name="second")),
        campaign.import_leads(leads(1500, name="third"), priority="urgent"),
        campaign.update_leads(leads(1500, name="fourth")),
    ]
    town.worker()
    ended = [job.wait(60) for job in jobs]
    assert [one.get("created", 0) for one in ended] == [1500, 0, 0, 0]
    assert [one.get("updated", 0) for one in ended] == [0, 1500, 0, 1500]
    assert ended[2]["duplicate"] == 1500
    assert stored_names(town, 1) == {"fourth"}
    order = [call["operation"] for call in calls(town)]
    assert order == ["import"] * 2 + ["update"] * 2 + ["import"] * 2 + ["update"] * 2
    rules_kept(town)


def test_duplicates_are_updated_where_the_producer_asks_for_it(town: Town) -> None:
    town.sandbox.change(keep_fields=True)
    town.worker()
    campaign = town.fleet().campaign("voiso/1")
    campaign.import_leads(leads(700, name="old")).wait(30)
    job = campaign.import_leads(leads(1500, name="new"), on_duplicate="update")
    progress = job.wait(30)
    assert (progress["created"], progress["updated"]) == (800, 700), progress
    assert stored_names(town, 1) == {"new"}
    returned = results(town, batches(town, job.id))
    assert sum(result.get("updated", 0) for result in returned.values()) == 700
    rules_kept(town)


def test_what_did_not_leave_in_time_expires_and_what_did_stays_delivered(town: Town) -> None:
    campaign = town.fleet().campaign("voiso/1")
    expiring = campaign.import_leads(leads(2500), expires_in=0.2)
    staying = campaign.import_leads(leads(1500, start=5000), expires_in=600)
    time.sleep(0.3)  # nobody can look before
    town.worker()
    all_arrived(town, staying)
    progress = expiring.wait(30)
    assert progress["expired"] == 2500, progress
    assert sum(call["size"] for call in calls(town)) == 1500
    revoked(town, expiring)


def test_a_job_expires_without_workers_too(town: Town) -> None:
    job = town.fleet().campaign("voiso/1").import_leads(leads(2500), expires_in=0.2)
    assert job.wait(10)["expired"] == 2500


def test_a_job_cancelled_without_workers_has_ended_and_is_never_sent(town: Town) -> None:
    campaign = town.fleet().campaign("voiso/1")
    job, other = campaign.import_leads(leads(2500)), campaign.import_leads(leads(1500, start=5000))
    assert job.cancel() == {"cancelled": 3}
    progress = job.progress()
    assert progress["ended"]
    assert progress["cancelled"] == 2500
    assert {row["outcome"] for row in job.report()} == {"cancelled"}
    town.worker()
    all_arrived(town, other)
    assert sum(call["size"] for call in calls(town)) == 1500
    revoked(town, job)
    assert job.cancel() == {"done": 3}


def test_a_job_cancelled_on_its_way_keeps_the_outcomes_of_what_has_left(town: Town) -> None:
    town.sandbox.change(call_time_s=0.5)
    town.worker()
    job = town.fleet().campaign("voiso/1").import_leads(leads(6000))
    until(lambda: running(town))
    answers = job.cancel()
    progress = job.wait(30)
    assert sum(answers.values()) == 6
    assert answers["cancelled"] >= 4
    assert progress["created"] + progress["cancelled"] == progress["leads"] == 6000, progress
    assert progress["created"] == sum(call["size"] for call in calls(town)) == len(town.sandbox.leads(1))
    outcomes = [row["outcome"] for row in job.report()]
    assert outcomes == ["created"] * progress["created"] + ["cancelled"] * progress["cancelled"]
    rules_kept(town)


def test_leads_of_a_call_that_never_got_its_answer_are_uncertain_when_their_job_is_cancelled(
    town: Town,
) -> None:
    """Whether they arrived nobody knows: to call them cancelled would be a lie."""
    town.account("voiso", timeout_s="1", lost_call_s="1")
    town.env["LEADLANE_LEASE_S"] = "2"
    town.sandbox.fault("latency", delay_s=0.9, times=1)
    worker = town.worker()
    job = town.fleet().campaign("voiso/1").import_leads(leads(2500))
    until(lambda: running(town))
    worker.kill()
    assert job.cancel() == {"flagged": 1, "cancelled": 2}
    town.worker()  # ends the turn of the dead one
    progress = job.wait(30)
    assert (progress["uncertain"], progress["cancelled"]) == (1000, 1500), progress
    assert [row["outcome"] for row in job.report()] == ["uncertain"] * 1000 + ["cancelled"] * 1500
    assert len(calls(town)) == 1
    revoked(town, job)


def revoked(town: Town, job: Job) -> None:
    app: Any = producer(town)
    for ticket in batches(town, job.id):
        until(lambda ticket=ticket: AsyncResult(ticket, app=app).state == "REVOKED")
