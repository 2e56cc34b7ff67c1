"""Somebody asks not to be called: no call after that has the number, and whoever has it is told first."""

import json
from collections import Counter
from typing import Any

import pytest

from leadlane import Job
from tests.system.conftest import Town, until
from tests.system.judge import leads, nothing_left_over, number, producer, results, rules_kept

VICTIM = number(1)
CAMPAIGNS = {"voiso": "3", "voiceaiwrapper": "camp_3", "dialnexa": "cmp_3", "voicery": "3"}
BATCHES, EACH = 100, 5


@pytest.fixture
def town(town: Town) -> Town:
    """An account at each dialer, all of one mind about who may be called."""
    limited = {"sandbox-key": ["50/s"]}
    town.sandbox.change(
        dialnexa_keys=limited, voicery_keys=limited, voiceaiwrapper_keys=limited, keep_fields=True
    )
    town.env["LEADLANE_HASH_KEY"] = "k" * 32
    for name in CAMPAIGNS:
        gap = "0.3" if name == "voiso" else "0"
        more = {"timeout_s": "2", "lost_call_s": "12"} if name == "voiso" else {}
        town.account(name, provider=name, rate="50/s", import_gap_s=gap, suppress_scope="all", **more)
    return town


def at(town: Town, dialer: str, campaign: str = "") -> dict[str, Any]:
    """What a dialer has of the victim, and how often it came."""
    book = town.sandbox.leads(campaign or CAMPAIGNS[dialer], dialer)
    [found] = [of for key, of in book.items() if key.lstrip("+") == VICTIM.lstrip("+")]
    return found


def outcomes(job: Job) -> Counter[str]:
    return Counter(row["outcome"] for row in job.report())


def of_victim(job: Job) -> dict[str, Any]:
    [row] = [row for row in job.report() if row["phone_number"] == VICTIM]
    return row


def test_an_opt_out_while_a_hundred_batches_wait_and_one_is_ambiguous(town: Town) -> None:
    town.worker("w1")
    town.worker("w2")
    fleet = town.fleet()
    delivered = [
        fleet.campaign(f"{dialer}/{name}").import_leads(leads(3, name="Ada Low"))
        for dialer, name in CAMPAIGNS.items()
    ]
    for job in delivered:
        assert of_victim(job.wait(timeout=60) and job)["outcome"] in ("created", "accepted")
    town.sandbox.fault("drop_after", match={"campaign": "4", "operation": "import"}, times=1)
    fourth, lane = fleet.campaign("voiso/4"), f"voiso/{town.sandbox.url.removeprefix('http://')}/4"
    ambiguous = fourth.import_leads(leads(3))
    until(lambda: [record for record in town.sandbox.audit() if record["campaign"] == "4"])
    many = [
        fourth.import_leads([{"phone_number": VICTIM}, *leads(EACH, start=100 + EACH * i)])
        for i in range(BATCHES)
    ]
    until(lambda: int(town.client.zcard(f"leadlane:wait:leads/{lane}")) == BATCHES + 1)

    opted_out = fleet.campaign("voiceaiwrapper/camp_3").import_leads(
        [{"phone_number": VICTIM, "do_not_call": True}, *leads(1, start=90)]
    )
    mark = len(town.sandbox.audit())
    assert int(town.client.zcard(f"leadlane:wait:leads/{lane}")) >= BATCHES + 1
    later = fleet.campaign("voicery/3").import_leads(
        [
            {"phone_number": VICTIM},
            {"phone_number": number(91), "secondary_contacts": [{"phone_number": VICTIM}]},
        ]
    )

    for job in (ambiguous, *many, opted_out, later):
        job.wait(timeout=120)
    nothing_left_over(town)
    assert of_victim(ambiguous)["outcome"] == "uncertain"
    assert outcomes(ambiguous) == {"uncertain": 1, "created": 2}
    assert {of_victim(job)["outcome"] for job in (*many, opted_out, later)} == {"suppressed"}
    assert sum(map(outcomes, many), Counter()) == {"created": BATCHES * EACH, "suppressed": BATCHES}

    # No later call had the number: each campaign has seen it once, in the call before the opt-out.
    assert {dialer: at(town, dialer)["sent"] for dialer in CAMPAIGNS} == dict.fromkeys(CAMPAIGNS, 1)
    assert at(town, "voiso", "4")["sent"] == 1
    contacts = town.sandbox.leads("3", "voicery")[number(91)]["fields"]
    assert VICTIM.lstrip("+") not in json.dumps(contacts)
    # Whoever has it was told, and first.
    assert at(town, "voiso")["fields"]["active"] is False
    assert at(town, "voiso", "4")["fields"]["active"] is False
    assert at(town, "voiceaiwrapper")["do_not_call"] is True
    assert (at(town, "dialnexa")["stored"], at(town, "dialnexa")["removed"]) == (0, 1)
    since = [(record["campaign"], record["operation"]) for record in town.sandbox.audit(mark)]
    for campaign, told in (("4", "update"), ("camp_3", "update"), ("cmp_3", "remove")):
        assert next(operation for where, operation in since if where == campaign) == told
    assert {where for where, operation in since if operation == "update"} == {"3", "4", "camp_3"}
    rules_kept(town)


def test_the_command_line_opts_out_tells_and_lets_call_again(town: Town) -> None:
    town.worker()
    fleet = town.fleet()
    fleet.campaign("voiso/3").import_leads(leads(2)).wait(timeout=60)
    added = town.run("suppress", "add", VICTIM, "--account", "voiso", "--wait", "--json")
    assert added.returncode == 0, added.stderr
    told = json.loads(added.stdout)
    assert (told["numbers"], told["new"], told["campaigns_told"]) == (1, 1, 1)
    until(lambda: at(town, "voiso")["fields"].get("active") is False)

    file = f"phone_number\n{number(7)}\ncall me\n"
    brought = town.run("suppress", "import", "-", "--all", "--wait", stdin=file)
    assert brought.returncode == 1
    assert "row 1: phone_number" in brought.stderr
    listed = town.run("suppress", "list", "--json")
    assert {row["scope"].split("/")[0]: row["numbers"] for row in json.loads(listed.stdout)["scopes"]} == {
        "account": 1,
        "all": 1,
    }
    assert VICTIM[1:] not in listed.stdout
    asked = town.run("suppress", "list", VICTIM, number(7), number(8), "--json")
    found = [row["opted_out"] for row in json.loads(asked.stdout)["numbers"]]
    assert [len(where) for where in found] == [1, 1, 0]
    of_one = json.loads(town.run("lead", VICTIM, "--json").stdout)
    assert of_one["campaigns"] == ["voiso/3"]
    assert [scope.split("/")[0] for scope in of_one["opted_out"]] == ["account"]
    refused = town.run("suppress", "add", VICTIM)
    assert refused.returncode == 2
    assert "name the one scope" in refused.stderr

    job = fleet.campaign("voiso/4").import_leads([{"phone_number": VICTIM}, {"phone_number": number(8)}])
    assert job.wait(timeout=60)["suppressed"] == 1
    removed = town.run("suppress", "remove", VICTIM, "--account", "voiso", "--wait")
    assert (removed.returncode, "1 removed" in removed.stdout) == (0, True)
    assert fleet.campaign("voiso/4").import_leads([{"phone_number": VICTIM}]).wait(timeout=60)["created"] == 1
    nothing_left_over(town)


def test_a_by_name_import_opts_out_as_well(town: Town) -> None:
    town.worker()
    app = producer(town)
    row = {"phone_number": VICTIM, "do_not_call": True}
    task = app.send_task(
        "leadlane.leads.import", kwargs={"campaign": "voiso/3", "leads": [row, *leads(2, 5)]}
    )
    returned = results(town, [task.id])[task.id]
    app.close()
    assert (returned["suppressed"], returned["created"]) == (1, 2)
    later = town.fleet().campaign("voiceaiwrapper/camp_3").import_leads(leads(3)).wait(timeout=60)
    assert (later["suppressed"], later["accepted"]) == (1, 2)
    nothing_left_over(town)


def test_a_worker_that_hides_numbers_with_another_key_does_not_start(town: Town) -> None:
    town.worker()
    town.env["LEADLANE_HASH_KEY"] = "another"
    other = town.run("worker", "--name", "other")
    assert other.returncode == 2
    assert "hash_key_ref: is another key" in other.stderr
    assert "Traceback" not in other.stderr
