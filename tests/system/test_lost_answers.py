"""Calls whose answer never came: the lane waits until they are over; what they stored counts as created (3.3)."""

from collections import Counter

from tests.system.conftest import Town
from tests.system.judge import all_arrived, calls, leads

GAP_S, TIMEOUT_S, LOST_CALL_S = 0.3, 1.0, 2.0
CLOCKS_S = 0.1  # the sandbox sees a call begin when its head has arrived, the worker when it sends it


def test_lost_answers_are_reconciled_and_nothing_is_doubled(town: Town) -> None:
    town.account("voiso", timeout_s=str(TIMEOUT_S), lost_call_s=str(LOST_CALL_S), import_gap_s=str(GAP_S))
    town.sandbox.fault("drop_after", match={"campaign": "1"}, times=1)  # stored, and the line was cut
    town.sandbox.fault("drop_before", match={"campaign": "2"}, times=1)  # cut before anything was stored
    town.sandbox.fault(
        "latency", match={"campaign": "3"}, delay_s=1.7, times=1
    )  # stored, long after our deadline
    reconciled = {1: 1000, 2: 0, 3: 1000}
    town.worker()
    fleet = town.fleet()
    jobs = {
        campaign: fleet.campaign(f"voiso/{campaign}").import_leads(leads(1500)) for campaign in reconciled
    }

    all_arrived(town, *jobs.values())
    assert town.sandbox.verify()["doubled"] == 0
    for campaign, expected in reconciled.items():
        reasons = Counter(row["reason"].partition(":")[0] for row in jobs[campaign].report())
        assert reasons["reconciled"] == expected, campaign
        lost, again, *_ = calls(town, campaign)
        assert not lost["answered"]
        assert again["size"] == 1000
        assert again["started"] - lost["started"] >= LOST_CALL_S + GAP_S - CLOCKS_S
