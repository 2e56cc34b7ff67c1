import json
from collections.abc import Mapping
from typing import Any

import pytest

from leadlane.ops.bench.__main__ import main, median
from leadlane.ops.bench.clock import spent
from leadlane.ops.bench.figures import figures, idle_s, most_at_once, percentile
from leadlane.ops.bench.rivals import NAMES, rival
from leadlane.ops.bench.workloads import LEADS_PER_CALL, WORKLOADS, Workload, on_the_wire

PACE = {"call_s": 0.1, "gap_s": 0.5}


def call(campaign: str, started: float, ended: float | None, **more: Any) -> Mapping[str, Any]:
    """A record as the sandbox's audit has it, as far as the figures look at it."""
    record = {"operation": "import", "status": 200, "campaign": campaign, "started": started, "ended": ended}
    return {**record, "size": 1000, "stored": 1000, **more}


@pytest.mark.parametrize(
    ("name", "ideal_s", "calls"), [("bulk", 11.5, 400), ("real-gap", 16.4, 160), ("small", 2.5, 100)]
)
def test_the_ideal_time_is_that_of_a_campaign_whose_lane_is_never_idle(
    name: str, ideal_s: float, calls: int
) -> None:
    assert WORKLOADS[name].ideal_s == pytest.approx(ideal_s)
    assert WORKLOADS[name].fewest_calls == calls


def test_many_campaigns_are_bound_by_the_slots_of_the_workers() -> None:
    crowd = Workload("crowd", campaigns=400, batches=2, leads=1000, call_s=0.3, gap_s=0.5)
    assert crowd.ideal_s == pytest.approx(6.0)


def test_a_workload_has_every_batch_once_and_no_number_twice() -> None:
    workload = Workload("some", campaigns=3, batches=4, leads=50, **PACE)
    work = list(workload.work())
    assert [campaign for campaign, _ in work] == [1, 2, 3] * 4
    numbers = {lead["phone_number"] for _, leads in work for lead in leads}
    assert len(numbers) == workload.total == 600


def test_the_leads_have_the_size_that_speed_is_judged_by() -> None:
    _, leads = next(WORKLOADS["bulk"].work())
    texts = [json.dumps(lead, separators=(",", ":")) for lead in on_the_wire(leads)]
    assert len(texts) == LEADS_PER_CALL
    assert 195 < sum(map(len, texts)) / len(texts) < 225
    assert "context_headers" not in leads[0]


def test_idle_is_what_a_campaign_rests_beyond_its_gap() -> None:
    calls = [call("1", 0.0, 0.1), call("2", 0.0, 0.2), call("1", 0.62, 0.72), call("2", 0.75, 0.9)]
    assert idle_s(calls, 0.5) == pytest.approx([0.02, 0.05])


def test_the_figures_run_from_the_first_request_to_the_last_answer() -> None:
    workload = Workload("two", campaigns=2, batches=2, leads=1000, **PACE)
    found = figures(
        workload,
        [
            call("2", 10.0, 10.1),
            call("1", 9.9, 10.0),
            call("1", 10.51, 10.61),
            call("2", 10.62, 10.76),
            call("1", 11.0, None, status=None, stored=0),
            {"operation": "get_campaign", "started": 1.0, "ended": 99.0},
        ],
    )
    assert found == {
        "ideal_s": 0.7,
        "time_s": 0.86,
        "ratio": 1.229,
        "idle_p50_ms": 10.0,
        "idle_p99_ms": 20.0,
        "call_p50_ms": 100.0,
        "calls": 4,
        "fewest_calls": 4,
        "leads": 4000,
        "largest_call": 1000,
        "most_at_once": 1,
    }


def test_a_refused_call_counts_but_does_not_end_the_idleness() -> None:
    workload = Workload("one", campaigns=1, batches=2, leads=1000, **PACE)
    early = call("1", 0.3, 0.31, status=409, stored=0)
    found = figures(workload, [call("1", 0.0, 0.1), early, call("1", 0.7, 0.8)])
    assert (found["calls"], found["leads"], found["idle_p50_ms"]) == (3, 2000, 100.0)


def test_a_rival_that_never_called_has_no_times() -> None:
    found = figures(WORKLOADS["bulk"], [])
    assert (found["calls"], found["leads"], found["most_at_once"]) == (0, 0, 0)
    assert "time_s" not in found


def test_calls_at_once_are_counted_per_campaign() -> None:
    calls = [call("1", 0.0, 0.3), call("1", 0.1, 0.2), call("1", 0.3, 0.4), call("2", 0.0, 0.9)]
    assert most_at_once(calls) == 2


@pytest.mark.parametrize(("share", "expected"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0)])
def test_a_percentile_is_a_value_that_occurred(share: float, expected: float) -> None:
    assert percentile([float(n) for n in range(100, 0, -1)], share) == expected


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None


@pytest.mark.parametrize(("moment", "expected"), [(0.0, 2.0), (1.0, 2.0), (2.5, 4.5), (4.0, 6.0), (9.0, 6.0)])
def test_cpu_seconds_between_two_notes_lie_on_the_line(moment: float, expected: float) -> None:
    assert spent([(1.0, 2.0), (2.0, 4.0), (4.0, 6.0)], moment) == expected


def test_the_median_of_several_runs_is_taken_figure_by_figure() -> None:
    lines = [
        {"rival": "drain", "ratio": ratio, "cpu_s": cpu} for ratio, cpu in ((1.2, 3), (1.0, 9), (1.1, 4))
    ]
    assert median(lines) == {"rival": "drain", "ratio": 1.1, "cpu_s": 4, "run": "median of 3", "failed": 0}


def test_a_failed_run_is_counted_beside_the_median_of_the_others() -> None:
    lines = [{"ratio": 1.5, "error": "Failed"}, {"ratio": 1.0}, {"ratio": 1.2}]
    assert median(lines) == {"ratio": 1.1, "run": "median of 2", "failed": 1}


@pytest.mark.parametrize("name", NAMES)
def test_a_rival_can_enqueue_work_and_count_results(name: str) -> None:
    runner = rival(name)
    assert all(callable(step) for step in (runner.enqueue, runner.work, runner.finished))


def test_an_unknown_rival_is_refused_with_the_names_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as told:
        main(["--rivals", "drain,sidekiq"])
    assert told.value.code == 2
    assert "'sidekiq' is none of leadlane, cookbook, drain" in capsys.readouterr().err
