"""`leadlane verify` beside the sandbox's own log: honest work breaks no rule, whatever happens; cheating is found."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from leadlane.workers.calls_made import Made, call
from leadlane.workers.lanes import Lanes
from leadlane.workers.providers import PROVIDERS
from leadlane.workers.transport import Request, Transport
from tests.system.conftest import KEY, Town, until
from tests.system.judge import all_arrived, calls, leads, number, running
from tests.system.test_states import startable


def verified(town: Town, *, code: int) -> dict[str, dict[str, Any]]:
    """What the command says per campaign; AssertionError if it ends otherwise."""
    ended = town.run("verify", "--since", "10m", "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return {one["campaign"]: one for one in json.loads(ended.stdout)["campaigns"]}


def test_honest_work_is_without_breach_and_every_call_is_in_the_ledger(town: Town) -> None:
    """Riders, lost answers, a worker that dies in the middle of its calls, and stops right after starts."""
    town.account("voiso", timeout_s="2", lost_call_s="2.5", import_gap_s="0.3")
    town.account("voicery", provider="voicery", rate="20/s", import_gap_s="0")
    town.sandbox.change(voicery_keys={KEY: ["20/s"]})
    town.env |= {"LEADLANE_VISIBILITY_TIMEOUT_S": "5", "LEADLANE_LEASE_S": "3", "LEADLANE_HASH_KEY": "k" * 32}
    fleet = town.fleet()
    victim = town.worker("victim", concurrency=6)
    town.sandbox.fault("drop_after", match={"campaign": "1"}, times=1)
    town.sandbox.fault("latency", delay_s=1.5, match={"campaign": "2"}, times=1)
    jobs = [fleet.campaign(f"voiso/{campaign}").import_leads(leads(2500)) for campaign in (1, 2, 3)]
    jobs += [fleet.campaign("voiso/3").import_leads(leads(30, 5001 + 30 * i)) for i in range(20)]
    until(lambda: running(town, 2))
    victim.kill()
    town.worker("survivor", concurrency=6)
    single = fleet.campaign("voicery/3").import_leads(leads(30, name="Ada"))
    all_arrived(town, *jobs)
    assert single.wait(timeout=60)["created"] == 30
    spring = fleet.campaign("voiso/1")
    startable(town, spring, 1)
    assert spring.start().wait(timeout=60)["outcome"] == "reached"
    words = [spring.stop(), spring.start(), spring.stop()]  # the newest word is what is wanted
    assert words[-1].wait(timeout=60)["outcome"] == "reached"

    said = verified(town, code=0)
    assert {campaign: one["breaches"] for campaign, one in said.items()} == dict.fromkeys(
        ("voicery/3", "voiso/1", "voiso/2", "voiso/3"), 0
    )
    for campaign in (1, 2, 3):
        one = said[f"voiso/{campaign}"]
        assert one["most_at_once"] == 1
        assert one["smallest_gap_s"] >= 0.298
        assert one["largest_call"] == 1000
        made = [record for record in calls(town, campaign) if record["path"].startswith("/api/v4/")]
        assert one["calls"] >= len(made)
    assert said["voiso/1"]["without_answer"] >= 1
    assert said["voiso/2"]["without_answer"] >= 1
    assert said["voicery/3"]["calls"] == 30
    shown = town.run("verify", "--since", "10m")
    assert shown.returncode == 0
    assert "0 rules broken" in shown.stdout


def test_calls_that_bypass_the_lane_are_found(town: Town, lanes: Lanes) -> None:
    """Once at the same time, once too early after the other: the dialer says so too."""
    town.sandbox.change(call_time_s=0.5)
    town.worker("w1")
    all_arrived(town, town.fleet().campaign("voiso/1").import_leads(leads(1500)))
    assert verified(town, code=0)["voiso/1"]["breaches"] == 0
    operation, transport = PROVIDERS["voiso"].operations["import"], Transport()

    def bypass(i: int) -> None:
        wire = json.dumps(operation.wire({"phone_number": number(i)}))
        request = Request(
            operation.method,
            town.sandbox.url + operation.path.format(campaign=2),
            PROVIDERS["voiso"].headers(KEY) | {"Content-Type": "application/json"},
            operation.body(wire.encode(), "2"),
        )

        def note(made: Made) -> None:
            document = made.document(1, time.monotonic())
            lane = f"leads/voiso/{urlsplit(town.sandbox.url).netloc}/2"
            token = uuid4().hex
            lanes.note({"lane": lane, "acct": "voiso", "token": token, "worker": "thief", "call": document})

        call(transport, request, note, operation="import", size=1, timeout_s=5)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(bypass, (1, 2)))
    bypass(3)
    transport.close()
    said = verified(town, code=1)
    assert said["voiso/1"]["breaches"] == 0
    found = said["voiso/2"]
    assert (found["calls"], found["most_at_once"]) == (3, 2)
    assert (found["simultaneous"], found["too_early"], found["breaches"]) == (1, 1, 2)
    assert town.sandbox.verify()["breaches"] > 0
