"""The benchmark's figures for people: ``python -m leadlane.ops.bench.report bench-results/bench.jsonl docs``.

Writes ``benchmarks.md`` and ``plots/*.svg`` into the folder, from one file of one run and nothing else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .plots import bars, lines
from .workloads import WORKLOADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

Line = dict[str, Any]

INTRO: Final = """# Benchmarks

All figures here are from one run of `make bench` on one machine, the references beside us in the same run;
`python -m leadlane.ops.bench.report bench-results/bench.jsonl docs` made this page of it. How the references work
stands in [`ops/bench/cookbook.py`](../ops/bench/cookbook.py) (a Redis lock and `retry(countdown)`) and
[`ops/bench/drain.py`](../ops/bench/drain.py) (a list of leads per
campaign, emptied by one task; no batch has a result).
"""
RACES: Final = """
## Races: time and CPU

*Ratio* is the time from the first request to the last answer in the dialer's own log, divided by the least time that
the dialer's rules allow. *CPU* counts both worker processes between those two moments, without their start; work is
enqueued before they start. *Idle* is how long a campaign stood still beyond its gap. *Enqueue* is the producer's time.
"""
URGENT: Final = """
## An urgent lead

From the call of `import_leads(..., priority="urgent")` to the head of the request at the dialer, one lead at a time,
each to a campaign at rest. The references have no word for urgent; on an idle lane they need none.
"""
SINGLE: Final = """
## Dialers that take one lead a call

The rate is kept with a margin of 6 %, so that machines and networks that shift calls against each other break no
rule. The ideal has none.
"""
MANY: Final = """
## Ten thousand lanes

Workers at rest: nothing is due. CPU is that of one whole worker process, in percent of a core, of which the dispatcher
is a part. Then 400 further lanes have a turn each two seconds.
"""
SCRIPTS: Final = """
## Lane scripts at scale

Microseconds of the server for one call (median of 100), by the server's own count, all commands inside included:
among so many lanes with a ticket each, and in one lane with so many tickets.
"""
INTAKE: Final = """
## Intake

Clean leads, in one thread. `import_leads` normalises, checks, deduplicates, encodes, compresses and stores; the plain
way checks and writes JSON, and stores nothing.
"""
MEMORY: Final = """
## Memory

Bytes of Redis per lead, everything of a job included (one job a batch): while it waits; and when it is done, with its
report, Celery result and payload, which are kept for `retention_s`. Beside it the same leads as JSON, and as JSON that
zlib has compressed, 1000 (or 50) at a time.
"""


def page(found: Sequence[Line]) -> str:
    """The page of a run."""
    parts = [INTRO, *_machine(_of(found, "machine"))]
    if races := _medians(found):
        parts += [RACES, "\n![time](plots/time.svg)\n\n![CPU](plots/cpu.svg)\n", *_races(races)]
    if urgent := _of(found, "urgent"):
        parts += [URGENT, _table(("", "tries", "p50 ms", "p99 ms", "of it the producer's call, p50 ms"),
            [(o["rival"], o["tries"], o["p50_ms"], o["p99_ms"], o["producer_p50_ms"]) for o in urgent])]  # fmt: skip
    for one in _of(found, "urgent-full"):
        parts.append(
            f"\nOn a lane in which {one['waiting']:,} batches wait, {one['in_the_next_call']} of {one['urgent']} "
            f"urgent leads were in the next call. Bulk batches that waited with them had a turn every "
            f"{one['calls_between_bulk']} calls.\n"
        )
    if single := _of(found, "single"):
        parts += [SINGLE, _table(("", "leads", "rate a second", "reached", "ideal s", "s", "429", "CPU s"),
            [(o["dialer"], o["leads"], o["rate_per_s"], o["leads_per_s"], o["ideal_s"], o["time_s"], o["refused"],
              o["worker_cpu_s"]) for o in single])]  # fmt: skip
    if idle := _of(found, "idle"):
        parts += [MANY, _table(
            ("lanes", "worker CPU %", "Redis CPU %", "commands a second and worker", "of them scripts", "µs a script"),
            [(f"{o['lanes']:,}", o["worker_cpu_percent"], o["redis_cpu_percent"], o["commands_per_s"],
              o["scripts_per_s"], o["us_per_script"]) for o in idle])]  # fmt: skip
    for one in _of(found, "lateness"):
        parts.append(
            f"\nAt {one['turns_per_s']} turns a second among {one['lanes']:,} lanes a turn began "
            f"{one['late_p50_ms']} ms (p50) and {one['late_p99_ms']} ms (p99) after its lane was due, for "
            f"{one['worker_cpu_ms_per_turn']} ms of worker CPU and {one['redis_cpu_ms_per_turn']} ms of Redis.\n"
        )
    if scripts := _of(found, "scripts"):
        parts += [SCRIPTS, "\n![scripts](plots/scripts.svg)\n", _scripts(scripts)]
    if intake := _of(found, "intake"):
        parts += [INTAKE, _table(("", "leads a second", "µs a lead"),
            [(o["way"], f"{o['leads_per_s']:,}", o["us_per_lead"]) for o in intake])]  # fmt: skip
    if memory := _of(found, "memory"):
        parts += [MEMORY, _table(("batches", "waiting", "done", "JSON", "zlib"),
            [(o["batches"], o["waiting_bytes"], o["done_bytes"], o["json_bytes"], o["zlib_bytes"])
             for o in memory])]  # fmt: skip
    return "".join(parts)


def plots(found: Sequence[Line]) -> dict[str, str]:
    """SVG texts of a run, by name."""
    made: dict[str, str] = {}
    if races := _medians(found):
        made["time"] = bars("Time", "divided by the ideal time", _by_race(races, "ratio"), cut=2.0)
        made["cpu"] = bars("CPU of both workers", "seconds", _by_race(races, "worker_cpu_s"), cut=15.0)
    if scripts := [one for one in _of(found, "scripts") if one["shape"] == "lanes"]:
        series: dict[str, dict[float, float]] = {}
        for one in scripts:
            series.setdefault(one["script"], {})[one["size"]] = one["us"]
        made["scripts"] = lines(
            "Lane scripts", "µs of the server a call, by number of lanes with work", series
        )
    return made


def _of(found: Iterable[Line], bench: str) -> list[Line]:
    return [line for line in found if line["bench"] == bench and "error" not in line]


def _medians(found: Iterable[Line]) -> list[Line]:
    return [
        line for line in found if line["bench"] in WORKLOADS and str(line.get("run")).startswith("median")
    ]


def _machine(lines_: Sequence[Line]) -> list[str]:
    return [
        f"\n{one['day']}; {one['cores']} cores ({one['cpu']}, {one['system']}), on which dialer, Redis, workers "
        f"and producers run together; load before the run {one['load_before']}. Python {one['python']}, "
        f"Celery {one['celery']}, redis-py {one['redis_py']}, {one['server']}.\n"
        for one in lines_
    ]


def _races(races: Sequence[Line]) -> list[str]:
    head = (
        "",
        "runs",
        "ratio",
        "CPU s",
        "calls",
        "idle p50/p99 ms",
        "results",
        "Redis CPU s",
        "enqueue s",
        "breaches",
    )
    parts = []
    for name, load in WORKLOADS.items():
        rows = [_race(one) for one in races if one["bench"] == name]
        if rows:
            about = (
                f"\n**{name}**: {load.campaigns} campaigns x {load.batches} batches x {load.leads} leads, "
                f"call {load.call_s} s, gap {load.gap_s} s; ideal {load.ideal_s:.1f} s, {load.fewest_calls} calls.\n"
            )
            parts += [about, _table(head, rows)]
    return parts


def _race(one: Line) -> tuple[object, ...]:
    runs = str(one["run"]).removeprefix("median of ") + (
        f", {one['failed']} failed" if one.get("failed") else ""
    )
    if "error" in one:
        return one["rival"], runs, f"failed at {one.get('leads', 0):,} leads", *[""] * 7
    idle = f"{one['idle_p50_ms']} / {one['idle_p99_ms']}"
    results = f"{one['batches_with_result']:.0f} of {one['batches']:.0f}"
    return (
        one["rival"], runs, one["ratio"], one["worker_cpu_s"], f"{one['calls']:.0f}", idle, results, one["redis_cpu_s"],
        one["enqueue_s"], f"{one['breaches']:.0f}",
    )  # fmt: skip


def _by_race(races: Sequence[Line], figure: str) -> dict[str, dict[str, float]]:
    groups: dict[str, dict[str, float]] = {}
    for one in races:
        if one.get(figure) is not None:
            groups.setdefault(one["bench"], {})[one["rival"]] = one[figure]
    return groups


def _scripts(scripts: Sequence[Line]) -> str:
    columns = list(dict.fromkeys((one["shape"], one["size"]) for one in scripts))
    cells: Mapping[tuple[str, str, int], float] = {
        (o["script"], o["shape"], o["size"]): o["us"] for o in scripts
    }
    rows = [
        (script, *(cells.get((script, *column), "") for column in columns))
        for script in dict.fromkeys(one["script"] for one in scripts)
    ]
    return _table(("", *(f"{size:,} {shape}" for shape, size in columns)), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines_ = [head, ["---"] * len(head), *rows]
    return "\n" + "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines_)


def main(arguments: Sequence[str]) -> int:
    """Read the lines of one or more files, write page and plots into the folder."""
    *files, folder = map(Path, arguments)
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(page(found))
    for name, text in plots(found).items():
        (folder / "plots" / f"{name}.svg").write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
