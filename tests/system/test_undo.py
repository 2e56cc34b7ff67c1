"""Undo over real sockets: what an import brought is gone from the dialer's book afterwards, and nothing else."""

import json
from collections import Counter
from typing import Any

import pytest

from leadlane.job import Job
from leadlane.workers.providers import PROVIDERS
from tests.system.conftest import Town, until
from tests.system.judge import leads, nothing_left_over, number, rules_kept, running

CAMPAIGNS = {"voiso": "3", "voiceaiwrapper": "camp_3", "dialnexa": "cmp_3", "voicery": "3"}
TELLS_NO_DUPLICATES = ("voiceaiwrapper", "dialnexa")


@pytest.fixture
def town(town: Town) -> Town:
    """An account at each dialer, named after it; the dialers keep what they are told of a lead."""
    town.env["LEADLANE_HASH_KEY"] = "k" * 32
    town.sandbox.change(keep_fields=True, voicery_siblings=True)
    for name in PROVIDERS:
        town.account(name, provider=name, rate="50/s", import_gap_s="0.3" if name == "voiso" else "0")
    return town


def campaign(town: Town, provider: str) -> Any:
    return town.fleet().campaign(f"{provider}/{CAMPAIGNS[provider]}")


def called(town: Town, provider: str) -> set[str]:
    """Whom the dialer would call, as digits."""
    found = town.sandbox.leads(CAMPAIGNS[provider], provider)
    return {
        phone.lstrip("+")
        for phone, lead in found.items()
        if lead["stored"] and lead["fields"].get("active") is not False
    }


def digits(*indexes: int) -> set[str]:
    return {number(i)[1:] for i in indexes}


def outcomes(job: Job) -> Counter[tuple[str, str]]:
    return Counter((row["outcome"], row["reason"]) for row in job.report())


def test_what_an_import_created_goes_and_what_was_there_before_stays(town: Town) -> None:
    """At every dialer; and it is asked for while no worker is there."""
    town.env["LEADLANE_ACCOUNTS__VOICERY__SIBLING_OPERATIONS"] = "true"
    worker = town.worker()
    targets = {name: campaign(town, name) for name in PROVIDERS}
    for job in [target.import_leads(leads(5, name="Ada Low")) for target in targets.values()]:
        job.wait(60)
    jobs = {
        name: target.import_leads(
            [*leads(20, 6 if name in TELLS_NO_DUPLICATES else 3, name="Bob High"), {"phone_number": "+1"}]
        )
        for name, target in targets.items()
    }
    brought = {name: job.wait(60) for name, job in jobs.items()}
    created = {
        name: progress.get("created", 0) + progress.get("accepted", 0) for name, progress in brought.items()
    }
    until(lambda: all(len(called(town, name)) == 5 + created[name] for name in PROVIDERS))
    assert worker.stop() == 0

    undoings = {name: job.undo() for name, job in jobs.items()}
    for name, undoing in undoings.items():
        assert jobs[name].undo().id == undoing.id
        waiting = undoing.progress()
        assert waiting["leads"] == waiting["waiting"] == created[name]
        assert waiting["blocked_by"] == "no worker is alive"
        assert len(called(town, name)) == 5 + created[name]

    town.worker("w2")
    for name, undoing in undoings.items():
        progress = undoing.wait(60)
        assert progress["updated" if name == "voiso" else "removed"] == progress["leads"] == created[name]
        assert called(town, name) == digits(*range(1, 6))
        assert jobs[name].undo().id == undoing.id
        assert undoing.progress() == progress
        assert jobs[name].progress() == brought[name] | {"undone_by": undoing.id}
    ((outcome, reason),) = outcomes(undoings["voiso"])
    assert outcome == "updated"
    assert "made inactive" in reason
    nothing_left_over(town)


def test_what_is_aboard_a_call_is_taken_back_after_it_and_what_waits_is_never_sent(town: Town) -> None:
    town.worker()
    target = campaign(town, "voiso")
    target.import_leads(leads(10)).wait(60)
    town.sandbox.fault("latency", match={"operation": "import"}, delay_s=2.0, times=1)
    job = target.import_leads(leads(3000, 6))
    until(lambda: running(town, 3))
    undoing = job.undo()
    told = job.wait(60)
    assert (told["created"], told["duplicate"], told["cancelled"]) == (995, 5, 2000)
    progress = undoing.wait(60)
    assert (progress["updated"], progress["leads"]) == (995, 995 + progress.get("duplicate", 0))
    assert called(town, "voiso") == digits(*range(1, 11))
    rules_kept(town)


def test_what_cannot_be_taken_back_is_told_with_its_reason(town: Town) -> None:
    worker = town.worker()
    voicery, dialnexa, voiso = (campaign(town, name) for name in ("voicery", "dialnexa", "voiso"))
    job = voicery.import_leads(leads(3))
    first, second = (dialnexa.import_leads(leads(3, start, name="Ada Low")) for start in (1, 3))
    voiso.import_leads(leads(2)).wait(60)
    mixed = voiso.import_leads(leads(4, name="New"), on_duplicate="update")
    for one in (job, first, second):
        assert one.wait(60)["created"] == 3
    assert mixed.wait(60)["updated"] == 2

    progress = job.undo().wait(60)  # no removal is switched on
    assert progress["failed"] == progress["leads"] == 3
    ((_, reason),) = outcomes(job.undo())
    assert "sibling_operations = true" in reason

    progress = first.undo().wait(60)  # a number that was imported twice is two leads there
    assert (progress["removed"], progress["rejected"]) == (2, 1)
    (reason,) = (why for how, why in outcomes(first.undo()) if how == "rejected")
    assert "the number was brought again since" in reason
    assert called(town, "dialnexa") == digits(3, 4, 5)

    ended = town.run("job", "undo", mixed.id, "--wait", "--json")
    assert ended.returncode == 1, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["job"], told["undoes"]) == (f"{mixed.id}-undo", mixed.id)
    assert (told["leads"], told["updated"], told["failed"]) == (4, 2, 2)
    reasons = {one["outcome"]: (one["leads"], one["reason"]) for one in told["reasons"]}
    assert reasons["failed"] == (2, "that job updated it, and what it was before is not known")
    assert called(town, "voiso") == digits(1, 2)

    ended = town.run("job", "undo", second.id, "--wait")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert f"undone by job {second.id}-undo" in town.run("job", "show", second.id).stdout
    assert called(town, "dialnexa") == digits(3)  # the lead of the first job, which nobody can name
    assert worker.running
