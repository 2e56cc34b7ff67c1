"""How long a job takes, how many workers and how much of Redis."""

import pytest

from leadlane.ops.bench.workloads import THREADS, WORKERS, WORKLOADS, Workload
from leadlane.schemas.rates import Rate
from leadlane.workers.pace import BYTES_PER_LEAD, Pace, plan, spacing_s


@pytest.mark.parametrize("workload", WORKLOADS.values(), ids=WORKLOADS.keys())
def test_a_plan_is_the_ideal_time_of_the_benchmarks(workload: Workload) -> None:
    """Their arithmetic is another's."""
    pace = Pace(call_s=workload.call_s, gap_s=workload.gap_s)
    found = plan(
        pace, leads=workload.total, campaigns=workload.campaigns, workers=WORKERS, concurrency=THREADS
    )
    assert found.seconds == pytest.approx(workload.ideal_s)
    assert found.calls == workload.fewest_calls


def test_workers_are_as_many_as_leave_the_rest_to_campaigns_and_rate() -> None:
    pace = Pace(call_s=1.0, gap_s=1.0)
    found = plan(pace, leads=400_000, campaigns=100)
    assert (found.bound_by, found.seconds, found.slots, found.workers) == ("campaign", 7.0, 58, 3)
    enough = plan(pace, leads=400_000, campaigns=100, workers=3)
    assert (enough.bound_by, enough.seconds) == ("campaign", 7.0)
    few = plan(pace, leads=400_000, campaigns=100, workers=2)
    assert (few.bound_by, few.seconds) == ("workers", 10.0)


def test_a_rate_bounds_what_all_campaigns_share() -> None:
    pace = Pace(call_s=0.2, gap_s=0.0, leads_per_call=1, lines=5, spacing_s=spacing_s(Rate(5, 1.0)))
    found = plan(pace, leads=3000, campaigns=3)
    assert (found.bound_by, found.calls, found.workers) == ("rate", 3000, 1)
    assert found.seconds == pytest.approx(2999 * 1.06 / 5 + 0.2)


def test_leads_that_do_not_come_out_even_make_the_longest_campaign() -> None:
    found = plan(Pace(call_s=1.0, gap_s=2.0), leads=3001, campaigns=3)
    assert (found.calls, found.seconds) == (4, 2 * 1.0 + 2.0)


def test_more_campaigns_than_leads_are_as_many_as_leads() -> None:
    assert plan(Pace(), leads=2, campaigns=10).calls == 2


def test_memory_is_that_of_the_leads_that_wait() -> None:
    assert plan(Pace(), leads=1_000_000, campaigns=1).redis_bytes == 1_000_000 * BYTES_PER_LEAD
