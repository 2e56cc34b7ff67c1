"""The benchmark's command: the suite, or parts of it, as JSON lines on standard output and in a file."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Self

from . import intake, lanes, many, memory, single, urgent
from .machine import machine
from .race import race
from .rivals import NAMES
from .workloads import WORKLOADS

SUITE = (*WORKLOADS, "urgent", "single", "many", "scripts", "intake", "memory")
RUNS = 3
ONCE = ("cookbook",)
"""Rivals that run a workload once only: they are far from the others and take long."""


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for: 0, or 1 if a rival did not get there."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else nothing that was started would be ended
    with Output(asked.out) as output:
        output.say({"bench": "machine", "runs": asked.runs, **machine()})
        for name in asked.only:
            sys.stderr.write(f"{name} ...\n")
            try:
                for line in _lines(name, asked.rivals, asked.runs):
                    output.say(line)
            except Exception as exc:  # noqa: BLE001 - the other parts are still worth their time
                output.say({"bench": name, "error": f"{type(exc).__name__}: {exc}"})
    return int(output.errors > 0)


def _lines(name: str, rivals: list[str], runs: int) -> Iterable[dict[str, Any]]:
    if name in WORKLOADS:
        return _races(name, rivals, runs)
    parts = {
        "urgent": lambda: urgent.measure(rivals),
        "single": single.measure,
        "many": many.measure,
        "scripts": lanes.script_costs,
        "intake": intake.measure,
        "memory": memory.measure,
    }
    return parts[name]()


def _races(workload: str, rivals: list[str], runs: int) -> Iterator[dict[str, Any]]:
    """A line for each run, the rivals by turns, and then one of the medians for each rival that ran more than once."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in rivals}
    for run in range(1, runs + 1):
        for name in rivals:
            if run > 1 and name in ONCE:
                continue
            sys.stderr.write(f"{workload}: {name} ...\n")
            line = race(name, WORKLOADS[workload]) | {"run": run}
            found[name].append(line)
            yield line
    for lines in found.values():
        yield median(lines)


def median(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """One line with the middle of each figure; runs that ``failed`` are counted and, if others did not, left out."""
    good = [line for line in lines if "error" not in line] or lines
    found: dict[str, Any] = {}
    for field, first in good[0].items():
        numbers = [line[field] for line in good if isinstance(line.get(field), int | float)]
        found[field] = statistics.median(numbers) if len(numbers) == len(good) else first
    failed = sum("error" in line for line in lines)
    return found | {"run": f"median of {len(good)}", "failed": failed}


class Output:
    """Lines to standard output and to a file."""

    def __init__(self, path: Path) -> None:
        self.errors = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._files: list[IO[str]] = [sys.stdout, path.open("w")]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files[1].close()

    def say(self, line: dict[str, Any]) -> None:
        """Write one line, at once."""
        self.errors += "error" in line
        for file in self._files:
            file.write(json.dumps(line) + "\n")
            file.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leadlane.ops.bench",
        description="How fast, beside the references; JSON lines.",
    )
    parser.add_argument("--only", type=_names(SUITE), default=list(SUITE), metavar="A,B",
                        help=f"of {', '.join(SUITE)}; all by default")  # fmt: skip
    parser.add_argument("--rivals", type=_names(NAMES), default=list(NAMES), metavar="A,B",
                        help=f"of {', '.join(NAMES)}; all by default")  # fmt: skip
    parser.add_argument("--runs", type=int, default=RUNS,
                        help=f"of each race, {RUNS} by default; {', '.join(ONCE)} runs once in any case")  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("bench-results/bench.jsonl"), metavar="FILE",
                        help="the lines; bench-results/bench.jsonl by default")  # fmt: skip
    return parser


def _names(known: Any) -> Any:
    def names(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return names


if __name__ == "__main__":
    sys.exit(main())
