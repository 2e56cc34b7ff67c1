"""Where a benchmark is run: a Redis and a sandbox of its own, and workers of a rival."""

from __future__ import annotations

import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from redis import Redis

from leadlane.ops.embedded import EmbeddedRedis
from leadlane.ops.sandbox.process import SandboxProcess

from .launch import end, launch
from .rivals import Site
from .workloads import THREADS, WORKERS

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

API_KEY: Final = "sandbox-key"
LOOK_S: Final = 0.1
PATIENCE_S: Final = 60.0


class Failed(Exception):  # noqa: N818 - a result, told in the rival's line
    """The rival did not get there; the text says how far it came."""


@dataclass(slots=True)
class Ground:
    """What stands there while a benchmark runs."""

    site: Site
    sandbox: SandboxProcess
    server_pid: int
    folder: Path

    @contextmanager
    def at_work(self, rival: str, workers: int = WORKERS) -> Iterator[Crew]:
        """Workers of the rival, as long as the block."""
        crew = Crew([], [self.folder / f"{rival}{n}.log" for n in range(workers)])
        try:
            for n, log in enumerate(crew.logs):
                crew.processes.append(launch(rival, self.site, f"{rival}{n}", log))
            yield crew
        finally:
            end(crew.processes)

    def until_stored(self, leads: int, crew: Crew, *, look_s: float = LOOK_S) -> None:
        """Return when the dialer has that many. Reads the audit's file: asking the sandbox would slow it down.

        Raises Failed if a worker ends, or if no lead arrives for a minute.
        """
        stored, rest = 0, ""
        deadline = time.monotonic() + PATIENCE_S
        with (self.folder / "audit.jsonl").open() as file:
            while stored < leads:
                *lines, rest = (rest + file.read()).split("\n")
                arrived = sum(json.loads(line)["stored"] for line in lines)
                stored += arrived
                if arrived:
                    deadline = time.monotonic() + PATIENCE_S
                so_far = f"{stored} of {leads} leads have arrived"
                if any(process.poll() is not None for process in crew.processes):
                    raise Failed(f"a worker ended, {so_far}; {crew.last_words()}")
                if time.monotonic() > deadline:
                    raise Failed(f"nothing for {PATIENCE_S:.0f} s, {so_far}; {crew.last_words()}")
                time.sleep(look_s)


@dataclass(slots=True)
class Crew:
    """The worker processes of a rival and what they say."""

    processes: list[subprocess.Popen[str]]
    logs: list[Path]

    @property
    def pids(self) -> list[int]:
        """Of the processes."""
        return [process.pid for process in self.processes]

    def last_words(self) -> str:
        """The end of what each worker said."""
        return " | ".join(log.read_text(errors="replace").strip()[-300:] for log in self.logs if log.exists())


@contextmanager
def ground(
    *, gap_s: float, call_s: float, dialer: str = "voiso", rate: str = "", **sandbox: Any
) -> Iterator[Ground]:
    """A server and a dialer of that pace, as long as the block. ``sandbox`` are more settings of it."""
    with (
        tempfile.TemporaryDirectory(prefix="leadlane-bench-") as folder,
        EmbeddedRedis() as server,
        SandboxProcess(
            audit_file=Path(folder) / "audit.jsonl",
            call_time_s=call_s,
            gap_s=gap_s,
            rejected_suffix="",
            **sandbox,
        ) as dialer_,
    ):
        with Redis.from_url(server.url) as client:
            pid = int(client.info("server")["process_id"])
        site = Site(server.url, dialer_.url, API_KEY, gap_s, THREADS)
        yield Ground(replace(site, dialer=dialer, rate=rate), dialer_, pid, Path(folder))
