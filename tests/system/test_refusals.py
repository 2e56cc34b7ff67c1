"""What the dialer refuses, and what it costs: waits, holds, dead letters, and a search for the leads to blame (3.4)."""

import pytest
from celery.result import AsyncResult

from leadlane.schemas.errors import DeadLetter
from leadlane.workers.lanes import Lanes
from tests.system.conftest import KEY, Town, until
from tests.system.judge import all_arrived, batches, calls, leads, number, producer, results, rules_kept

SCOPES = ["campaigns.manage", "campaigns.read"]


def test_429_cools_the_account_down_as_long_as_the_dialer_asks_and_costs_no_attempt(town: Town) -> None:
    town.sandbox.change(call_time_s=0.2)
    town.sandbox.fault("status", status=429, retry_after=2, match={"operation": "import"}, times=1)
    town.worker()
    fleet = town.fleet()
    jobs = [fleet.campaign("voiso/1").import_leads(leads(1500))]
    throttled = until(lambda: [call for call in calls(town) if call["status"] == 429])[0]
    jobs += [fleet.campaign(f"voiso/{campaign}").import_leads(leads(1500)) for campaign in (2, 3)]
    all_arrived(town, *jobs)

    probe, *others = sorted(calls(town, since=throttled["n"]), key=lambda call: call["started"])
    assert probe["started"] >= throttled["ended"] + 2
    assert all(call["started"] > probe["ended"] for call in others)  # one goes first, to see whether it may
    returned = results(town, [ticket for job in jobs for ticket in batches(town, job.id)])
    assert {result["attempts"] for result in returned.values()} == {1}
    assert sum(result["calls"] for result in returned.values()) == 3 * 2 + 1


@pytest.mark.slow  # backoff upon backoff
def test_a_storm_of_503_opens_the_breaker_and_loses_nothing(town: Town) -> None:
    failures = 6
    town.sandbox.fault("status", status=503, match={"operation": "import"}, times=failures)
    town.worker()
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(1200)) for campaign in (1, 2, 3)]
    all_arrived(town, *jobs)
    assert town.sandbox.verify()["doubled"] == 0
    failed = [call for call in calls(town) if call["status"] == 503]
    assert len(failed) == failures
    # Open after five failures in a row; then one call at a time asks whether the dialer is back.
    opened = sorted(call["ended"] for call in failed)[4]
    for probe in [call for call in failed if call["started"] > opened]:
        assert not [call for call in calls(town) if probe["started"] < call["started"] < probe["ended"]]


@pytest.mark.slow  # five conflicts, each with its backoff
def test_a_lane_is_held_when_the_campaign_says_that_it_takes_no_leads(town: Town, lanes: Lanes) -> None:
    town.worker()
    fleet = town.fleet()
    stopped = fleet.campaign("voiso/9001").import_leads(leads(1500))
    other = fleet.campaign("voiso/1").import_leads(leads(1500))
    assert (
        until(lambda: stopped.progress()["blocked_by"], within_s=100)
        == "the lane is on hold: the campaign is stopped"
    )
    all_arrived(town, other)
    asked = [record["operation"] for record in town.sandbox.audit() if record["campaign"] == "9001"]
    assert asked == ["import"] * 5 + ["get_campaign"]

    town.sandbox.alter(9001, status="active")
    lanes.hold("lane", next(lane for lane in lane_names(town) if lane.endswith("/9001")), "")
    all_arrived(town, stopped)


def test_409_without_reason_is_waited_out(town: Town) -> None:
    town.sandbox.fault("status", status=409, match={"operation": "import"}, times=2)
    town.worker()
    job = town.fleet().campaign("voiso/1").import_leads(leads(1500))
    all_arrived(town, job)
    returned = results(town, batches(town, job.id))
    assert {result["attempts"] for result in returned.values()} == {1}


def test_a_wrong_key_holds_the_account_and_burns_nothing(town: Town, lanes: Lanes) -> None:
    town.sandbox.change(keys={"another-key": SCOPES})
    town.worker()
    fleet = town.fleet()
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(1500)) for campaign in (1, 2, 3)]
    until(lambda: "is on hold: 401" in (jobs[0].progress()["blocked_by"] or ""))
    until(
        lambda: town.client.scard("leadlane:flight:voiso") == 0
    )  # those that had begun have had their answer
    asked = len(calls(town))
    assert asked <= 3

    town.sandbox.change(keys={KEY: SCOPES})
    assert lanes.hold("account", "voiso", "")
    all_arrived(town, *jobs)
    returned = results(town, [ticket for job in jobs for ticket in batches(town, job.id)])
    assert {result["attempts"] for result in returned.values()} == {1}
    assert len(calls(town)) == asked + 3 * 2


def test_a_key_without_the_scope_holds_the_operation_alone(town: Town, lanes: Lanes) -> None:
    town.sandbox.fault("status", status=403, match={"operation": "import"}, times=3)
    town.worker()
    campaign = town.fleet().campaign("voiso/1")
    job = campaign.import_leads(leads(500))
    until(lambda: "operation import of account voiso is on hold: 403" in (job.progress()["blocked_by"] or ""))
    assert len(calls(town)) == 1

    town.sandbox.clear_faults()
    assert lanes.hold("operation", "voiso", "", "import")
    all_arrived(town, job)


def test_what_cannot_go_on_by_itself_is_dead_with_its_reason(town: Town) -> None:
    reasons = {
        501: "404: ",  # no such campaign
        1: "405: ",
        2: "418: ",
        3: "302: ",
        4: "200: the dialer's answer cannot be read",
        5: "200: the dialer's answer cannot be read",
    }
    town.sandbox.fault("status", match={"campaign": "1"}, status=405)
    town.sandbox.fault("status", match={"campaign": "2"}, status=418)
    town.sandbox.fault("redirect", match={"campaign": "3"})
    town.sandbox.fault("html", match={"campaign": "4"})
    town.sandbox.fault("truncated_json", match={"campaign": "5"})
    town.worker()
    fleet, app = town.fleet(), producer(town)
    jobs = {campaign: fleet.campaign(f"voiso/{campaign}").import_leads(leads(1200)) for campaign in reasons}
    for campaign, job in jobs.items():
        progress = job.wait(30)
        assert progress["dead"] == progress["leads"] == 1200, (campaign, progress)
        rows = list(job.report())
        assert {row["outcome"] for row in rows} == {"dead"}
        assert all(row["reason"].startswith(reasons[campaign]) for row in rows), rows[0]
        for ticket in batches(town, job.id):
            result = AsyncResult(ticket, app=app)
            until(lambda result=result: result.state == "FAILURE")
            assert isinstance(result.result, DeadLetter)
            assert str(result.result).startswith(reasons[campaign])
    rules_kept(town)


@pytest.fixture
def brisk(town: Town) -> Town:
    """Searches take many calls, one a turn: a town with a short gap."""
    town.account("voiso", import_gap_s="0.02")
    town.sandbox.change(gap_s=0.02)
    return town


def test_three_bad_leads_among_a_thousand_are_found_and_named(brisk: Town) -> None:
    town, bad = brisk, (17, 500, 981)
    town.sandbox.change(poison=[number(1 + i).lstrip("+") for i in bad])
    town.worker()
    job = town.fleet().campaign("voiso/1").import_leads(leads(1000))
    progress = job.wait(60)
    assert (progress["created"], progress["rejected"], progress["dead"]) == (997, 3, 0), progress
    named = {row["index"]: row["reason"] for row in job.report() if row["outcome"] == "rejected"}
    assert tuple(named) == bad
    assert all("is not acceptable" in reason for reason in named.values())
    assert len(calls(town)) <= 37
    assert results(town, batches(town, job.id)).popitem()[1]["rejected"] == 3
    assert rules_kept(town)["doubled"] == 0


def test_riders_of_a_poisonous_batch_come_through(brisk: Town) -> None:
    town, poisonous = brisk, 2
    town.sandbox.change(poison=[number(1 + 50 * poisonous + 7).lstrip("+")])
    fleet = town.fleet()
    jobs = [fleet.campaign("voiso/1").import_leads(leads(50, start=1 + 50 * i)) for i in range(5)]
    town.worker()  # only now, so that they travel together
    ended = [job.wait(60) for job in jobs]
    assert [one["created"] for one in ended] == [49 if i == poisonous else 50 for i in range(5)]
    assert ended[poisonous]["rejected"] == 1
    assert max(call["size"] for call in calls(town)) == 250
    returned = results(town, [ticket for job in jobs for ticket in batches(town, job.id)])
    assert sum(result["created"] for result in returned.values()) == 249
    assert rules_kept(town)["doubled"] == 0


def test_when_every_lead_is_refused_with_the_same_words_no_lead_is_blamed(brisk: Town) -> None:
    town = brisk
    town.sandbox.fault("status", status=422)
    town.worker()
    job = town.fleet().campaign("voiso/1").import_leads(leads(1000))
    progress = job.wait(60)
    assert progress["dead"] == 1000, progress
    assert len(calls(town)) <= 37
    assert {row["reason"].partition(":")[0] for row in job.report()} == {"refused_alike"}


def lane_names(town: Town) -> list[str]:
    return [key.removeprefix("leadlane:lane:") for key in town.client.keys("leadlane:lane:*")]  # type: ignore[union-attr]
