"""Flower's /metrics of a fleet at work: a hold is seen to begin and to end, and that no rule was broken."""

import re
import urllib.request
from collections.abc import Callable

from leadlane.ops.embedded import free_port
from tests.system.conftest import Town, until
from tests.system.judge import leads


def metrics(url: str) -> dict[str, float]:
    """The fleet's samples as Prometheus reads them."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {name: float(value) for name, value in re.findall(r"^(leadlane_\S+) (\S+)$", text, re.MULTILINE)}


def test_a_hold_is_seen_to_begin_and_to_end(town: Town) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    flower = town.start("flower", "--port", url.rpartition(":")[2])
    town.worker("w1")
    until(lambda: "flower at" in flower.logged())
    held = 'leadlane_account_state{account="voiso",state="held"}'

    def seen(right: Callable[[dict[str, float]], bool]) -> dict[str, float]:
        return until(lambda: (found := metrics(url)) and right(found) and found)

    seen(lambda now: now.get(held) == 0 and now["leadlane_workers"] == 1)
    assert town.run("account", "hold", "voiso", "--reason", "review").returncode == 0
    job = town.fleet().campaign("voiso/1").import_leads(leads(1500))
    now = seen(lambda now: now[held] == 1 and now['leadlane_waiting_leads{account="voiso"}'] == 1500)
    assert now['leadlane_lane_waiting_batches{campaign="voiso/1",kind="leads"}'] == 2
    assert town.run("account", "release", "voiso").returncode == 0
    job.wait(timeout=60)
    now = seen(lambda now: now[held] == 0 and now['leadlane_waiting_leads{account="voiso"}'] == 0)
    assert now['leadlane_transitions_total{account="voiso",how="ends",state="account"}'] == 1
    now = seen(lambda now: now.get('leadlane_rule_largest_call_leads{campaign="voiso/1"}') == 1000)
    assert now['leadlane_broken_rules{rule="simultaneous"}'] == 0
    assert now['leadlane_rule_breaches{campaign="voiso/1",rule="too_early"}'] == 0
    assert now['leadlane_rule_smallest_gap_seconds{campaign="voiso/1"}'] >= 0.298
    assert now['leadlane_called_leads_total{account="voiso",operation="import"}'] == 1500
