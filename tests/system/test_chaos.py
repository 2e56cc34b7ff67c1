"""Everything at once, by seed: workers and Redis die while the dialer throttles, fails, conflicts and loses answers."""

import random
import time

import pytest
from celery import chain

from tests.system.conftest import Town
from tests.system.judge import all_arrived, leads, nothing_left_over, producer, results, rules_kept

CAMPAIGNS = (1, 2, 3, 4)
FAULTS = [
    ("drop_after", {"probability": 0.06}),
    ("drop_before", {"probability": 0.03}),
    ("latency", {"probability": 0.04, "delay_s": 1.4}),
    ("status", {"probability": 0.03, "status": 503}),
    ("status", {"probability": 0.03, "status": 500}),
    ("status", {"probability": 0.03, "status": 409}),
    ("status", {"probability": 0.02, "status": 429, "retry_after": 1}),
    ("status", {"probability": 0.02, "status": 422}),
]


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", range(1, 4))
def test_whatever_dies_or_fails_every_lead_arrives_once(town: Town, seed: int) -> None:
    dice = random.Random(seed)
    town.account("voiso", timeout_s="1", lost_call_s="2")
    town.env |= {
        "LEADLANE_VISIBILITY_TIMEOUT_S": "5",
        "LEADLANE_LEASE_S": "3",
        "LEADLANE_MAX_ATTEMPTS": "200",  # that attempts run out is another test's matter
    }
    town.sandbox.change(call_time_s=0.1, keep_fields=True)
    workers = [town.worker(f"w{i}") for i in range(2)]
    for fault, rule in FAULTS:
        town.sandbox.fault(fault, match={"operation": "import"}, **rule)
    fleet, app = town.fleet(), producer(town)
    jobs = [
        fleet.campaign(f"voiso/{campaign}").import_leads(leads(9000, name="old")) for campaign in CAMPAIGNS
    ]
    changed = [
        fleet.campaign(f"voiso/{campaign}").update_leads(leads(9000, name="new")) for campaign in CAMPAIGNS
    ]
    jobs += [fleet.campaign("voiso/5").import_leads(leads(40, start=1 + 40 * i)) for i in range(200)]
    signatures = [
        app.signature(
            "leadlane.leads.import", kwargs={"campaign": "voiso/6", "leads": list(leads(1200, 1 + 1200 * i))}
        )
        for i in range(3)
    ]
    links = [chain(*signatures, app=app).apply_async()]
    while links[-1].parent:
        links.append(links[-1].parent)
    for i in range(8):
        time.sleep(dice.uniform(0.2, 2))  # a moment nobody chose
        if dice.random() < 0.25:
            town.redis.kill()
            time.sleep(dice.uniform(0, 2))
            town.redis.start()
        else:
            workers.pop(0).kill()
            workers.append(town.worker(f"again{i}"))

    returned = results(town, [link.id for link in links], within_s=180)
    jobs += [fleet.job(result["job"]) for result in returned.values()]
    all_arrived(town, *jobs, within_s=180)
    for job in changed:
        progress = job.wait(180)
        assert progress["updated"] == progress["leads"], progress
    for campaign in CAMPAIGNS:
        assert {row["fields"]["name"] for row in town.sandbox.leads(campaign).values()} == {"new"}
    assert all(worker.running for worker in workers)
    rules_kept(town)
    nothing_left_over(town)
