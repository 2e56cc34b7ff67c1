"""Agents of campaigns, and look-ups, over real sockets: exactly the net calls, whatever happens on the way."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from celery import chain

from leadlane import BadCampaign, DialerFailed, WrongUse
from leadlane.fleet import Campaign
from tests.system.conftest import Town, until
from tests.system.judge import nothing_left_over, producer, results

CHANGES = ("add_agents", "remove_agent")


@pytest.fixture
def town(town: Town) -> Town:
    town.sandbox.change(users=1000)
    return town


def spring(town: Town) -> Campaign:
    return town.fleet().campaign("voiso/3")


def ids(campaign: Campaign) -> list[int]:
    return sorted(int(agent["id"]) for agent in campaign.agents())


def staffed(town: Town, wanted: Sequence[int]) -> Campaign:
    """A worker runs, and the campaign has these agents."""
    town.worker()
    campaign = spring(town)
    assert campaign.sync_agents(wanted).wait(timeout=60)["outcome"] == "reached"
    return campaign


def changes(town: Town, since: int = 0) -> list[dict[str, Any]]:
    """The calls that changed something or tried to."""
    return [record for record in town.sandbox.audit(since) if record["operation"] in CHANGES]


def counted(town: Town, since: int = 0) -> Counter[str]:
    return Counter(record["operation"] for record in changes(town, since))


def test_a_sync_makes_exactly_the_net_calls_in_chunks_and_none_when_run_again(town: Town) -> None:
    campaign = staffed(town, range(1, 231))
    assert counted(town) == {"add_agents": 3}
    before = len(town.sandbox.audit())
    told = campaign.sync_agents(range(21, 271)).wait(timeout=60)
    assert (told["outcome"], told["members"], told["asked"]) == ("reached", 250, "sync_agents")
    assert counted(town, before) == {"add_agents": 1, "remove_agent": 20}
    assert all(record["status"] == 200 for record in town.sandbox.audit(before))
    assert told["calls"] == len(town.sandbox.audit(before))
    before = len(town.sandbox.audit())
    assert campaign.sync_agents(range(21, 271)).wait(timeout=60)["members"] == 250
    assert counted(town, before) == {}
    assert ids(campaign) == [*range(21, 271)]
    nothing_left_over(town)


def test_words_that_wait_leave_as_one_and_the_last_about_an_agent_wins(town: Town) -> None:
    campaign = spring(town)
    words = [
        campaign.add_agents([5, 6]),
        campaign.remove_agents([5]),
        campaign.add_agents(["7"]),
        campaign.remove_agents([7]),
        campaign.add_agents([8]),
    ]
    assert words[0].progress()["outcome"] == "waiting"
    town.worker()
    outcomes = [word.wait(timeout=60)["outcome"] for word in words]
    assert outcomes == ["reached", "reached", "superseded", "reached", "reached"]
    assert ids(campaign) == [6, 8]
    assert counted(town) == {"add_agents": 1}
    nothing_left_over(town)


def test_a_refused_agent_is_named_and_the_others_are_added(town: Town) -> None:
    campaign = spring(town)
    fine, wrong = campaign.add_agents(range(1, 91)), campaign.add_agents([91, 5000, 92])
    town.worker()
    assert fine.wait(timeout=60)["outcome"] == "reached"
    told = wrong.wait(timeout=60)
    assert told["outcome"] == "rejected"
    assert "5000" in told["reason"]
    assert "91" not in told["reason"]
    assert ids(campaign) == [*range(1, 93)]


def test_a_worker_killed_in_the_middle_costs_looks_and_changes_nobody_twice(town: Town) -> None:
    town.env |= {"LEADLANE_LEASE_S": "3", "LEADLANE_VISIBILITY_TIMEOUT_S": "5"}
    victim = town.worker("victim")
    campaign = spring(town)
    campaign.sync_agents(range(1, 61)).wait(timeout=60)
    town.sandbox.fault("latency", match={"operation": "remove_agent"}, delay_s=0.2)
    before = len(town.sandbox.audit())
    word = campaign.sync_agents(range(41, 161))
    until(lambda: counted(town, before)["remove_agent"] > 5)
    victim.kill()
    town.sandbox.clear_faults()
    town.worker("survivor")
    told = word.wait(timeout=90)
    assert (told["outcome"], told["members"]) == ("reached", 120)
    assert ids(campaign) == [*range(41, 161)]
    calls = Counter(record["path"] for record in changes(town, before) if record["method"] == "DELETE")
    assert len(calls) == 40
    assert sum(calls.values()) <= 41  # the one that was in the air may have to be made again
    assert counted(town, before)["add_agents"] == 1
    nothing_left_over(town)


def test_lost_answers_and_a_rate_limit_on_the_way_do_no_harm(town: Town) -> None:
    campaign = staffed(town, range(1, 11))
    town.sandbox.fault("drop_after", match={"operation": "add_agents"}, times=1)
    town.sandbox.fault("status", match={"operation": "remove_agent"}, times=1, status=429, retry_after=1)
    town.sandbox.fault("status", match={"operation": "list_agents"}, times=1, status=503)
    told = campaign.sync_agents(range(6, 16)).wait(timeout=90)
    assert (told["outcome"], told["members"]) == ("reached", 10)
    assert ids(campaign) == [*range(6, 16)]
    nothing_left_over(town)


def test_by_name_tasks_bring_agents_and_look_them_up_in_a_chain(town: Town) -> None:
    town.worker()
    app = producer(town)
    told = chain(
        app.signature("leadlane.agents.sync", kwargs={"campaign": "voiso/3", "user_ids": [1, "2", 3]}),
        app.signature("leadlane.agents.remove", kwargs={"campaign": "voiso/03", "user_ids": [2]}),
        app.signature("leadlane.agents.add", kwargs={"campaign": "voiso/3", "user_ids": [9]}),
        app.signature("leadlane.agents.list", kwargs={"campaign": "voiso/3"}),
    ).apply_async(queue="control")
    assert list(results(town, [told.id]).values()) == [
        [{"id": str(i), "name": f"Agent {i}"} for i in (1, 3, 9)]
    ]
    synced = results(town, [told.parent.parent.parent.id]).popitem()[1]
    assert (synced["outcome"], synced["members"]) == ("reached", 3)
    listed = app.send_task("leadlane.campaigns.list", kwargs={"account": "voiso"})
    got = app.send_task("leadlane.campaigns.get", kwargs={"campaign": "voiso/3"})
    found = results(town, [listed.id, got.id])
    assert len(found[listed.id]) == 502
    assert found[got.id]["status"] == "active"
    wrong = app.send_task("leadlane.agents.add", kwargs={"campaign": "voiso/3", "user_ids": [1, "bob"]})
    until(lambda: wrong.state == "FAILURE")
    assert "user_ids[1]" in str(wrong.result)
    app.close()
    nothing_left_over(town)


def test_look_ups_read_every_page_and_tell_no_more_than_they_should(town: Town) -> None:
    town.sandbox.change(campaigns=230)
    town.sandbox.alter(3, status="auto_paused")
    campaign = staffed(town, range(1, 251))
    before = len(town.sandbox.audit())
    agents, campaigns = campaign.agents(), town.fleet().campaigns("voiso")
    assert agents == [{"id": str(i), "name": f"Agent {i}"} for i in range(1, 251)]
    assert [one["id"] for one in campaigns] == [*map(str, range(1, 231)), "9001", "9002"]
    assert campaigns[2] == {"id": "3", "name": "Campaign 3", "status": "auto_paused"}
    looked = Counter(record["operation"] for record in town.sandbox.audit(before))
    assert looked == {"list_agents": 3, "list_campaigns": 3}
    assert campaign.status() == {
        "campaign": "voiso/3",
        "name": "Campaign 3",
        "status": "auto_paused",
        "phase": "paused",
    }
    # What was looked up is not kept where results lie.
    texts = [town.client.get(key) for key in town.client.keys("celery-task-meta-*")]  # type: ignore[union-attr]
    assert not any("Agent 1" in str(text) for text in texts)


def test_look_ups_obey_the_rate_and_the_holds_of_their_account(town: Town) -> None:
    town.sandbox.change(rate=["5/s"])
    town.account("voiso", rate="5/s")
    town.worker()
    fleet = town.fleet()
    assert len(fleet.campaigns("voiso")) == 502
    assert len(fleet.campaigns("voiso")) == 502
    assert {record["status"] for record in town.sandbox.audit()} == {200}
    town.client.hset("leadlane:acct:voiso", "hold", "401: somebody is at it")
    before = len(town.sandbox.audit())
    with pytest.raises(DialerFailed, match="on hold: 401: somebody is at it"):
        fleet.campaigns("voiso")
    assert town.sandbox.audit(before) == []


def test_a_look_up_without_a_worker_says_so(town: Town) -> None:
    with pytest.raises(
        TimeoutError, match=r"status of voiso/3: no answer within 0.5 s; blocked by: no worker"
    ):
        spring(town).status(timeout=0.5)
    ended = town.run("agents", "list", "-c", "voiso/3", "--timeout", "0.5")
    assert ended.returncode == 3
    assert "no worker is alive" in ended.stderr
    assert "Traceback" not in ended.stderr
    town.worker()
    assert spring(town).status()["status"] == "active"
    assert [record["operation"] for record in town.sandbox.audit()] == [
        "get_campaign"
    ]  # the first was taken back


def test_a_refused_look_up_is_told_and_a_wrong_key_holds_the_account(town: Town) -> None:
    town.worker()
    with pytest.raises(BadCampaign, match=r"'voiso/77777'.*no such campaign"):
        town.fleet().campaign("voiso/77777").agents()
    town.sandbox.fault("drop_after", match={"operation": "get_campaign"}, times=1)
    with pytest.raises(DialerFailed, match="gives no answer"):
        spring(town).status()
    town.sandbox.fault("html", match={"operation": "get_campaign"}, times=1)
    with pytest.raises(DialerFailed, match="cannot be read"):
        spring(town).status()
    town.sandbox.change(keys={"sandbox-key": ["campaigns.manage"]})
    with pytest.raises(DialerFailed, match=r"may not do this.*403"):
        spring(town).status()
    town.sandbox.change(keys={"another-key": []})
    with pytest.raises(DialerFailed, match=r"refuses the key.*401"):
        spring(town).status()
    assert town.client.hget("leadlane:acct:voiso", "hold") == "401: Unauthorized"
    assert "on hold" in spring(town).add_agents([1]).progress()["blocked_by"]


def test_ids_of_a_wrong_form_are_refused_at_once(town: Town) -> None:
    campaign = spring(town)
    for wrong, said in (
        ([1, "bob"], "user_ids[1]"),
        ([True], "user_ids"),
        ([0], "user_ids[0]"),
        ([1, 2, 1.5], "user_ids"),
    ):
        with pytest.raises(WrongUse) as refused:
            campaign.sync_agents(wrong)  # type: ignore[arg-type]
        assert said in str(refused.value)
    assert not town.client.keys("leadlane:t:*")


def test_agents_and_campaigns_from_the_command_line(town: Town) -> None:
    town.worker()
    added = town.run("agents", "add", "--campaign", "voiso/3", "42", "128")
    assert (added.returncode, added.stdout) == (0, "voiso/3: add agents reached; 2 agents\n")
    synced = town.run("agents", "sync", "-c", "voiso/3", "7", "42", "--json")
    assert (synced.returncode, json.loads(synced.stdout)["members"]) == (0, 2)
    removed = town.run("agents", "remove", "-c", "voiso/3", "7", "--no-wait")
    assert removed.returncode == 0
    refused = town.run("agents", "add", "-c", "voiso/3", "5000")
    assert refused.returncode == 1
    assert "refuses agents 5000" in refused.stdout
    listed = town.run("agents", "list", "-c", "voiso/3", "--json")
    assert json.loads(listed.stdout) == {"campaign": "voiso/3", "agents": [{"id": "42", "name": "Agent 42"}]}
    assert town.run("agents", "add", "-c", "voiso/3", "bob").returncode == 2
    shown = town.run("campaign", "show", "voiso/3")
    assert shown.stdout.splitlines()[1].split() == ["voiso/3", "Campaign", "3", "active", "started"]
    campaigns = json.loads(town.run("campaign", "list", "--account", "voiso", "--json").stdout)
    assert len(campaigns["campaigns"]) == 502
    unknown = town.run("campaign", "list", "--account", "voisa")
    assert unknown.returncode == 2
    assert "did you mean 'voiso'?" in unknown.stderr
