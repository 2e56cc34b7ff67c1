"""The demo: the main job, for real, on this machine, in about half a minute."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NoReturn

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from leadlane.cli.verify import sentence
from leadlane.files.columns import Dialer, Wishes
from leadlane.files.reading import read_leads
from leadlane.files.sources import find
from leadlane.fleet import Fleet
from leadlane.job import Job
from leadlane.ops.local import LocalFleet, sandbox_account
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.outcomes import DELIVERED, Outcome
from leadlane.schemas.settings import load_settings
from leadlane.workers.connection import connect
from leadlane.workers.lane_view import lanes_with_work
from leadlane.workers.lanes import Lanes
from leadlane.workers.verifying import verify

ACCOUNT = "demo"
CAMPAIGNS = 4
CALL_S = 0.3
LOST_CALL_S = 6.0
PATIENCE_S = 90.0
OUTCOMES = [outcome.value for outcome in Outcome]


def run(leads: int = 6000, file: Path | None = None, console: Console | None = None) -> int:
    """Start everything, import, show, report, end: 0 if every lead has its outcome and no rule was broken.

    Args:
        leads: of the sample.
        file: import this file instead, into one campaign.
        console: where to show it.
    """
    signal.signal(signal.SIGTERM, _end)
    say = console or Console()
    say.print(
        "[bold]Leadlane demo[/]: a Redis server, a sandbox as strict as the dialer, two workers, beat, Flower."
    )
    with SandboxProcess(call_time_s=CALL_S) as sandbox, LocalFleet(_environ(sandbox.url)) as local:
        say.print(
            f"redis   {local.redis_url}\nsandbox {sandbox.url}\nflower  {local.flower_url}\n", highlight=False
        )
        sandbox.fault("drop_after", match={"operation": "import", "campaign": "2"}, times=1)
        say.print("The first import of campaign 2 will be done, but its answer will be lost.\n")
        settings = load_settings(environ={**os.environ, **local.environ})
        fleet = Fleet(settings=settings)
        jobs = _from_file(fleet, file) if file else _sample(fleet, leads)
        with connect(settings) as client:
            lanes = Lanes(client, settings.key_prefix)
            _watch(say, lanes, jobs, local)
            verdict = verify(lanes, 3600)
        kept = sandbox.verify()
        say.print(_report(jobs))
        _details(say, jobs)
        say.print(_rules(kept))
        say.print(f"leadlane verify, by our own ledger: {sentence(verdict)}", highlight=False)
        fleet.close()
    over = all(job.progress_at_end["ended"] and not job.progress_at_end["dead"] for job in jobs.values())
    return 0 if over and not kept["breaches"] and not kept["doubled"] and not verdict.breaches else 1


class Watched:
    """A job of the demo with its last known progress."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.progress_at_end = job.progress()

    def look(self) -> None:
        """Ask again."""
        self.progress_at_end = self.job.progress()


def _environ(sandbox_url: str) -> dict[str, str]:
    environ = sandbox_account(ACCOUNT, sandbox_url, timeout_s="5", lost_call_s=str(LOST_CALL_S))
    given = os.environ.get("LEADLANE_REDIS_URL")
    if given:  # a server that others may use: keep out of their way
        environ |= {"LEADLANE_REDIS_URL": given, "LEADLANE_KEY_PREFIX": f"leadlane-demo-{os.getpid()}"}
    return environ


def _sample(fleet: Fleet, leads: int) -> dict[str, Watched]:
    """Four campaigns: bulk first, then normal batches and a few urgent leads, and updates of the first ones."""
    share = max(leads // CAMPAIGNS, 1)
    jobs = {}
    for campaign in range(1, CAMPAIGNS + 1):
        spring = fleet.campaign(f"{ACCOUNT}/{campaign}")
        rows = _people(campaign)
        half = share // 2
        jobs[f"{campaign} bulk"] = spring.import_leads(islice(rows, half), priority="bulk")
        jobs[f"{campaign} normal"] = spring.import_leads(islice(rows, share - half))
        if campaign == 1:
            jobs["1 urgent"] = spring.import_leads(islice(rows, 5), priority="urgent")
            jobs["1 update"] = spring.update_leads(islice(_people(1, updated=True), 50))
    return {name: Watched(job) for name, job in jobs.items()}


def _people(campaign: int, *, updated: bool = False) -> Iterator[dict[str, object]]:
    """Made-up people. Every 97th number is none, every 89th comes twice, the dialer refuses those ending in 0000."""
    i = 0
    while True:
        number = f"+1212{campaign}{i:06d}"
        name = f"Lead {i}" + (" (updated)" if updated else "")
        if not updated and i % 97 == 96:
            yield {"phone_number": "call me", "name": name}
        elif not updated and i % 89 == 88:
            yield {"phone_number": f"+1212{campaign}{i - 1:06d}", "name": name}
        else:
            yield {"phone_number": number, "name": name, "priority": i % 1000 + 1}
        i += 1


def _from_file(fleet: Fleet, file: Path) -> dict[str, Watched]:
    campaign = fleet.campaign(f"{ACCOUNT}/2")
    leads = read_leads(find(str(file)), Wishes(), Dialer.of(campaign.facts, "import"))
    return {f"2 {file.name}": Watched(campaign.import_leads(leads.rows()))}


def _watch(say: Console, lanes: Lanes, jobs: dict[str, Watched], local: LocalFleet) -> None:
    """Show the lanes until all jobs have ended; on a pipe a line now and then."""
    deadline = time.monotonic() + PATIENCE_S
    told = 0.0
    with Live(console=say, auto_refresh=False, transient=True) as live:
        while True:
            for watched in jobs.values():
                watched.look()
            local.check()
            if all(watched.progress_at_end["ended"] for watched in jobs.values()):
                return
            if say.is_terminal:
                live.update(_lanes(lanes, jobs), refresh=True)
            elif time.monotonic() - told > 2:
                told = time.monotonic()
                waiting = sum(watched.progress_at_end["waiting"] for watched in jobs.values())
                say.print(f"{waiting} leads are waiting")
            if time.monotonic() > deadline:
                say.print("[red]not over in time[/]")
                return
            time.sleep(0.1)


def _lanes(lanes: Lanes, jobs: dict[str, Watched]) -> Group:
    table = Table(title="lanes at work", title_justify="left")
    for column in ("campaign", "lane", "batches waiting"):
        table.add_column(column, min_width=14)
    for lane in sorted(lanes_with_work(lanes), key=lambda lane: lane.lane):
        at_work = f"call of {lane.aboard} batches" if lane.aboard else lane.state
        resting = f"rests {lane.next_s:.1f} s" if lane.state == "free" and lane.next_s else at_work
        style = "green" if lane.aboard else "dim"
        table.add_row(
            lane.campaign, Text(lane.reason or resting, style=style), "▇" * min(lane.waiting, 40) or "-"
        )
    total = sum(watched.progress_at_end["leads"] for watched in jobs.values())
    waiting = sum(watched.progress_at_end["waiting"] for watched in jobs.values())
    return Group(table, Text(f"{total - waiting} of {total} leads have their outcome"))


def _report(jobs: dict[str, Watched]) -> Table:
    shown = [name for name in OUTCOMES if any(watched.progress_at_end.get(name) for watched in jobs.values())]
    table = Table(title="what became of every lead", title_justify="left")
    table.add_column("campaign, job")
    for name in ("leads", *shown, "waiting", "dead"):
        table.add_column(name, justify="right")
    for title, watched in jobs.items():
        progress = watched.progress_at_end
        cells = [str(progress.get(name, 0)) for name in ("leads", *shown, "waiting", "dead")]
        table.add_row(title, *cells)
    return table


def _details(say: Console, jobs: dict[str, Watched], most: int = 5) -> None:
    """A few rows that were not delivered, and those that were reconciled."""
    odd = (
        row for watched in jobs.values() for row in watched.job.report() if row["outcome"] not in DELIVERED
    )
    for row in islice(odd, most):
        say.print(f"  row {row['index']}: {row['outcome']}: {row['reason']}", highlight=False)
    again = sum("reconciled" in row["reason"] for watched in jobs.values() for row in watched.job.report())
    say.print(
        f"  {again} leads were reconciled after the lost answer: sent again, stored once\n", highlight=False
    )


def _rules(kept: dict[str, object]) -> Text:
    broken = int(str(kept["breaches"]))
    gap = kept["smallest_gap_s"]
    shown = f"{float(str(gap)):.3f} s" if gap is not None else "-"
    text = (
        f"rules, by the dialer's own log: {kept['calls']} calls, at most {kept['most_at_once']} at once per campaign, "
        f"smallest gap {shown}, largest call {kept['largest_call']}, {kept['doubled']} doubled: "
        f"{broken} rules broken"
    )
    return Text(text, style="bold red" if broken else "bold green")


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(143)
