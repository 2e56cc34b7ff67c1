"""Many jobs of one lead each for dialers that take one lead a call: at the rate, none twice, each answered for."""

import json
from collections import Counter
from typing import Any

import pytest

from leadlane.workers.providers import PROVIDERS
from tests.system.conftest import Town, until
from tests.system.judge import leads, nothing_left_over

CAMPAIGNS = {"dialnexa": "cmp_3", "voicery": "3"}
RATE = 50
CASES = [
    *((name, 300, 0.03) for name in CAMPAIGNS),
    *(
        pytest.param(name, 10_000, 0.005, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])
        for name in CAMPAIGNS
    ),
]


@pytest.mark.parametrize(("provider", "size", "share"), CASES)
def test_single_imports_with_lost_answers_and_a_killed_worker(
    town: Town, provider: str, size: int, share: float
) -> None:
    """Of the answers that are lost, half belong to leads that the dialer has, half to leads it never got."""
    town.env |= {
        "LEADLANE_HASH_KEY": "k" * 32, "LEADLANE_LEASE_S": "3", "LEADLANE_VISIBILITY_TIMEOUT_S": "5",
    }  # fmt: skip
    town.sandbox.change(**{f"{provider}_keys": {"sandbox-key": [f"{RATE}/s"]}})
    town.account(provider, provider=provider, rate=f"{RATE}/s", import_gap_s="0")
    for fault in ("drop_after", "drop_before"):
        town.sandbox.fault(fault, match={"dialer": provider, "operation": "import"}, probability=share)
    campaign = town.fleet().campaign(f"{provider}/{CAMPAIGNS[provider]}")
    jobs = [campaign.import_leads([lead]) for lead in leads(size, name="Ada")]
    victim = town.worker("victim", concurrency=6)
    until(lambda: len(held(town, provider)) > size // 3, within_s=600, every_s=0.5)
    town.worker("survivor", concurrency=6)  # not before: the one that dies has the turn
    victim.kill()

    told: Counter[str] = Counter()
    for job in jobs:
        progress = job.wait(timeout=900)
        told.update({name: progress.get(name, 0) for name in ("created", "uncertain", "leads")})
    assert told["created"] + told["uncertain"] == told["leads"] == size, told
    figures = town.sandbox.verify()["dialers"][provider]
    assert figures["over_rate"] == figures["breaches"] == 0, figures
    assert figures["stored_twice"] == figures["resent_after_silence"] == 0, figures
    # An answer that came to the worker as it died is known to nobody: asked again, where that is harmless.
    harmless = PROVIDERS[provider].parallel if provider == "voicery" else 0
    assert figures["resent_after_answer"] <= harmless, figures
    nothing_left_over(town)

    listed = uncertain(town)
    assert len(listed) == told["uncertain"]
    if provider == "voicery":
        assert not listed  # it names duplicates: what was lost was sent again
    else:
        unanswered = sum(not record["answered"] for record in town.sandbox.audit())
        assert 0 < unanswered <= len(listed) <= unanswered + PROVIDERS[provider].parallel
        settle(town, provider, listed)
    assert uncertain(town) == []
    assert all(job.wait(timeout=60)["created"] == 1 for job in jobs)
    at_the_dialer = held(town, provider)
    assert len(at_the_dialer) == size
    assert {of["stored"] for of in at_the_dialer.values()} == {1}
    assert town.sandbox.verify()["dialers"][provider]["over_rate"] == 0
    nothing_left_over(town)


def settle(town: Town, provider: str, listed: list[dict[str, Any]]) -> None:
    """What a person does: looks at the dialer, sends again what it has not, says of the rest that it arrived."""
    town.sandbox.clear_faults()
    there = {digits(number) for number in held(town, provider)}
    missing = [lead for lead in listed if digits(lead["phone_number"]) not in there]
    assert missing
    assert len(missing) < len(listed)
    resent = town.run(
        "uncertain", "resend", *(f"{lead['job']}:{lead['index']}" for lead in missing), "--json"
    )
    assert json.loads(resent.stdout) == {"act": "resend", "leads": len(missing), "not_done": {}}
    delivered = town.run("uncertain", "delivered", "--all", "--json")
    assert json.loads(delivered.stdout)["leads"] >= len(listed) - len(missing)


def uncertain(town: Town) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(town.run("uncertain", "list", "--json").stdout)
    return found


def held(town: Town, provider: str) -> dict[str, dict[str, Any]]:
    """The numbers that the dialer has."""
    found = town.sandbox.leads(CAMPAIGNS[provider], provider)
    return {number: of for number, of in found.items() if of["stored"]}


def digits(number: str) -> str:
    return number.lstrip("+")
