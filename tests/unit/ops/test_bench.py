import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from leadlane.ops.bench import cookbook, drain
from leadlane.ops.bench.__main__ import _races, main, median
from leadlane.ops.bench.clock import spent
from leadlane.ops.bench.figures import figures, idle_s, most_at_once, percentile
from leadlane.ops.bench.plots import bars
from leadlane.ops.bench.report import page, plots
from leadlane.ops.bench.rivals import NAMES, Site, rival
from leadlane.ops.bench.workloads import LEADS_PER_CALL, WORKLOADS, Workload, on_the_wire

SVG = "{http://www.w3.org/2000/svg}"
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
def test_a_rival_can_produce_work_and_count_results(name: str) -> None:
    runner = rival(name)
    assert all(callable(step) for step in (runner.producer, runner.work, runner.finished))


def test_two_apps_of_a_rival_in_one_process_are_strangers(recwarn: pytest.WarningsRecorder) -> None:
    site = Site("redis://127.0.0.1:1/0", "http://127.0.0.1:1", "key", 0.5, 20)
    for module in (cookbook, drain):
        tasks = [module.make_app(site).tasks for _ in range(2)]
        assert all(len([name for name in one if not name.startswith("celery.")]) == 1 for one in tasks)
    assert not recwarn.list


def test_a_slow_reference_runs_once_and_the_others_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def race(name: str, workload: Workload) -> dict[str, Any]:
        ran.append(name)
        return {"bench": workload.name, "rival": name, "ratio": float(len(ran))}

    monkeypatch.setattr("leadlane.ops.bench.__main__.race", race)
    lines = list(_races("bulk", ["leadlane", "cookbook", "drain"], runs=3))
    assert ran == ["leadlane", "cookbook", "drain", "leadlane", "drain", "leadlane", "drain"]
    assert [(line["rival"], line["ratio"], line["run"]) for line in lines[-3:]] == [
        ("leadlane", 4.0, "median of 3"), ("cookbook", 2.0, "median of 1"), ("drain", 5.0, "median of 3"),
    ]  # fmt: skip


def test_a_part_that_breaks_is_told_and_the_next_one_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> list[dict[str, Any]]:
        raise RuntimeError("no server")

    monkeypatch.setattr("leadlane.ops.bench.memory.measure", broken)
    monkeypatch.setattr("leadlane.ops.bench.intake.measure", lambda: [{"bench": "intake", "way": "w"}])
    assert main(["--only", "memory,intake", "--out", str(tmp_path / "lines")]) == 1
    lines = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert [line["bench"] for line in lines] == ["machine", "memory", "intake"]
    assert lines[1]["error"] == "RuntimeError: no server"
    assert capsys.readouterr().out == (tmp_path / "lines").read_text()


FOUND = [
    {"bench": "machine", "day": "2026-01-02", "cores": 2, "cpu": "x", "load_before": 0.1, "system": "Linux",
     "python": "3", "celery": "5", "redis_py": "6", "server": "valkey"},
    {"bench": "bulk", "rival": "leadlane", "ratio": 1.02, "worker_cpu_s": 2.5, "calls": 400, "idle_p50_ms": 9.0,
     "idle_p99_ms": 20.0, "batches": 400, "batches_with_result": 400, "redis_cpu_s": 0.5, "enqueue_s": 2.0,
     "breaches": 0, "run": "median of 3", "failed": 0},
    {"bench": "bulk", "rival": "cookbook", "error": "Failed: nothing for 60 s", "leads": 1000, "run": "median of 1"},
    {"bench": "urgent-full", "rival": "leadlane", "waiting": 1000, "urgent": 20, "in_the_next_call": 19,
     "most_calls_before": 1, "calls_between_bulk": 10},
    {"bench": "scripts", "script": "enter", "shape": "lanes", "size": 10, "us": 80.0},
    {"bench": "scripts", "script": "enter", "shape": "lanes", "size": 100_000, "us": 90.0},
    {"bench": "scripts", "script": "enter", "shape": "tickets", "size": 10, "us": 81.0},
    {"bench": "memory", "error": "RuntimeError: no server"},
]  # fmt: skip


def test_the_page_has_what_was_measured_and_says_what_failed() -> None:
    text = page(FOUND)
    assert "| leadlane | 3 | 1.02 | 2.5 | 400 | 9.0 / 20.0 | 400 of 400 | 0.5 | 2.0 | 0 |" in text
    assert "| cookbook | 1 | failed at 1,000 leads |" in text
    assert "19 of 20 urgent" in text
    assert "|  | 10 lanes | 100,000 lanes | 10 tickets |" in text
    assert "| enter | 80.0 | 90.0 | 81.0 |" in text
    assert "## Memory" not in text
    assert "## Intake" not in text


def test_plots_are_drawings_with_the_figures_in_them() -> None:
    made = plots(FOUND)
    assert sorted(made) == ["cpu", "scripts", "time"]
    texts = {name: "".join(ET.fromstring(svg).itertext()) for name, svg in made.items()}
    assert "1.02" in texts["time"]
    assert "cookbook" not in texts["time"]
    assert "100,000" in texts["scripts"]


def test_a_bar_that_is_too_long_is_cut_and_its_value_told() -> None:
    drawn = ET.fromstring(bars("Time", "s", {"small": {"we": 1.2, "they": 27.0}}, cut=2.0))
    lengths = [
        float(path.attrib["d"].split("h")[1].split("v")[0].split("l")[0]) for path in drawn.iter(f"{SVG}path")
    ]
    assert lengths == pytest.approx([324.0, 540.0])
    assert "27" in [text.text for text in drawn.iter(f"{SVG}text")]


def test_an_unknown_rival_is_refused_with_the_names_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as told:
        main(["--rivals", "drain,sidekiq"])
    assert told.value.code == 2
    assert "'sidekiq' is none of leadlane, cookbook, drain" in capsys.readouterr().err
