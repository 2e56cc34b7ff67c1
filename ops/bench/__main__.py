"""The benchmark's command: one JSON line per workload and rival on standard output."""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from pathlib import Path
from typing import IO, Any, Self

from .race import race
from .rivals import NAMES
from .workloads import WORKLOADS


def main(arguments: list[str] | None = None) -> int:
    """Run the races asked for: 0, or 1 if a rival did not get there."""
    asked = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # else nothing that was started would be ended
    with Output(asked.out) as output:
        for workload in asked.workloads:
            lines: dict[str, list[dict[str, Any]]] = {name: [] for name in asked.rivals}
            for run in range(1, asked.runs + 1):
                for name in asked.rivals:
                    sys.stderr.write(f"{workload}: {name} ...\n")
                    line = race(name, WORKLOADS[workload]) | ({"run": run} if asked.runs > 1 else {})
                    lines[name].append(line)
                    output.say(line)
            if asked.runs > 1:
                for found in lines.values():
                    output.say(median(found))
    return int(output.errors > 0)


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
    """Lines to standard output and, if asked for, to a file as well."""

    def __init__(self, path: Path | None) -> None:
        self.errors = 0
        self._files: list[IO[str]] = [sys.stdout]
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files.append(path.open("w"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files[1:]:
            file.close()

    def say(self, line: dict[str, Any]) -> None:
        """Write one line, at once."""
        self.errors += "error" in line
        for file in self._files:
            file.write(json.dumps(line) + "\n")
            file.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m leadlane.ops.bench",
        description="How fast, beside the references; one JSON line each.",
    )
    parser.add_argument("--workloads", type=_names(WORKLOADS), default=["bulk"], metavar="A,B",
                        help=f"of {', '.join(WORKLOADS)}; bulk by default")  # fmt: skip
    parser.add_argument("--rivals", type=_names(NAMES), default=list(NAMES), metavar="A,B",
                        help=f"of {', '.join(NAMES)}; all by default")  # fmt: skip
    parser.add_argument("--runs", type=int, default=1, help="of each; with more than one, medians as well")
    parser.add_argument("--out", type=Path, help="file for the lines, beside standard output")
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
