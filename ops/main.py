"""The program `leadlane`: the commands of those who send leads, and those that run a fleet."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from leadlane.cli import output
from leadlane.cli.app import app
from leadlane.schemas.errors import BadFile, SettingsError, WrongUse, did_you_mean

if TYPE_CHECKING:
    from leadlane.schemas.settings import Settings

FLEET: Final = "Running a fleet"
"""Heading of these commands in the help."""

LogLevel = Annotated[str, typer.Option(metavar="LEVEL", help="DEBUG, INFO, WARNING or ERROR.")]


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane worker --concurrency 20 --name w1")
def worker(
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight at once (threads).")] = 20,
    queues: Annotated[
        str | None, typer.Option(metavar="A,B", help="Queues to serve; all of them without this.")
    ] = None,
    name: Annotated[
        str, typer.Option(help="First part of its node name, NAME@host; one for each worker.")
    ] = "worker",
    control: Annotated[
        bool,
        typer.Option("--control", help="Serve the queue control alone: stops never wait behind imports."),
    ] = False,
    heartbeat: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Touch this file while it works: one that gets old says it does not."
        ),
    ] = None,
    loglevel: LogLevel = "INFO",
) -> None:
    """Run a worker until it is told to stop; it then ends its calls first."""
    if control and queues is not None:
        raise WrongUse("--control and --queues: give one of them")
    level = _level(loglevel)
    settings = _reachable()
    from leadlane.ops import worker as workers
    from leadlane.reaching import reaching_redis
    from leadlane.schemas.settings import resolve_key
    from leadlane.workers.celery_app import QUEUES
    from leadlane.workers.hiding import checked_key
    from leadlane.workers.lanes import Lanes

    if not settings.accounts:
        raise SettingsError("accounts", "there is none", "write one in leadlane.toml: [accounts.NAME]")
    for account in settings.accounts.values():
        resolve_key(account)  # said here, by the key's path, rather than from within the worker
    lanes = Lanes.of(settings)
    reaching_redis(lambda: checked_key(settings, lanes))
    reaching_redis(lambda: lanes.vault.take_part(lanes.client, lanes.key("clock")))
    chosen = ("control",) if control else QUEUES if queues is None else _known(queues, QUEUES)
    workers.run(
        settings, concurrency=concurrency, queues=chosen, name=name, loglevel=level, heartbeat=heartbeat
    )


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane beat")
def beat(loglevel: LogLevel = "INFO") -> None:
    """Run beat, which sends the periodic tasks; any number may run, one of them works."""
    level = _level(loglevel)
    settings = _reachable()
    from leadlane.ops import beat as beats

    beats.run(settings, loglevel=level)


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane flower --port 5555")
def flower(
    address: Annotated[
        str, typer.Option(help="Interface to listen on; Flower has no login of its own.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 5555,
    read_only: Annotated[
        bool,
        typer.Option(
            "--read-only/--read-write", help="Whether the page may revoke tasks and change workers."
        ),
    ] = True,
) -> None:
    """Serve Flower: tasks, workers and queues in a browser."""
    settings = _reachable()
    from leadlane.ops import flower as flowers

    with _listening(address, port):
        flowers.run(
            settings,
            address,
            port,
            read_only=read_only,
            on_ready=lambda url: output.line(f"flower at {url}", now=True),
        )


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane sandbox --port 8400 --gap 2")
def sandbox(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8400,
    host: Annotated[str, typer.Option(help="Interface to listen on; it has no login.")] = "127.0.0.1",
    gap: Annotated[float, typer.Option(min=0, help="Rest of a campaign between two imports, seconds.")] = 2.0,
    call_time: Annotated[float, typer.Option(min=0, help="How long an import takes, seconds.")] = 0.3,
    rate: Annotated[
        list[str] | None, typer.Option(help='Requests per key, such as "10/s"; may be repeated.')
    ] = None,
    audit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write each request as a line of JSON.")
    ] = None,
) -> None:
    """Play the dialers, as strict as they are: a server to try things on, without calling anybody."""
    from leadlane.ops.sandbox.server import run

    def ready(url: str) -> None:
        output.line(
            f"sandbox at {url}, API key sandbox-key; what it holds is at {url}/_sandbox/verify", now=True
        )

    try:
        with _listening(host, port):
            run(
                host,
                port,
                audit_file=audit,
                on_ready=ready,
                gap_s=gap,
                call_time_s=call_time,
                rate=rate or [],
            )
    except ValueError as exc:
        raise WrongUse(f"sandbox: {exc}") from None


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane demo --leads 2000")
def demo(
    leads: Annotated[int, typer.Option(min=1, help="How many made-up leads.")] = 6000,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Import this CSV or JSONL instead.")
    ] = None,
) -> None:
    """Show everything at work on this machine: server, sandbox, workers, Flower, an import and its report."""
    from leadlane.ops.demo import run

    raise typer.Exit(run(leads, file))


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane up --data /var/lib/leadlane")
def up(
    data: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Keeps the server's data and the logs between runs.")
    ] = Path(".leadlane"),
    workers: Annotated[int, typer.Option(min=1, help="Worker processes, beside one for control.")] = 1,
    concurrency: Annotated[int, typer.Option(min=1, help="Calls in flight at once in each.")] = 20,
    redis_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of its own server; 6379 if that is free.")
    ] = None,
    flower_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of Flower; 5555 if that is free.")
    ] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Of the sandbox; 8400 if that is free.")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Say the addresses as one JSON document on stdout.")
    ] = False,
) -> None:
    """Run a whole fleet on this machine until Ctrl-C: server, workers, beat, Flower; a sandbox if there is no account.

    With LEADLANE_REDIS_URL or redis_url it uses that Redis, else a server of its own, which keeps its data.
    """
    from leadlane.ops.up import run

    raise typer.Exit(
        run(
            data,
            workers=workers,
            concurrency=concurrency,
            redis_port=redis_port,
            flower_port=flower_port,
            sandbox_port=sandbox_port,
            as_json=json,
        )
    )


@app.command(rich_help_panel=FLEET, epilog="Example: leadlane doctor --json")
def doctor(
    calls: Annotated[
        bool, typer.Option("--calls/--no-calls", help="Whether each account's key is tried with one GET.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Look for what is wrong and name the remedy: settings, Redis, workers, queues, accounts, keys, clocks.

    Ends with 0 if all is well, 1 with findings, 3 if something could not be reached.
    """
    from leadlane.ops.doctor import examine, exit_code

    checks = list(examine(calls=calls))
    code = exit_code(checks)
    if json:
        output.document({"ok": code == 0, "checks": [dataclasses.asdict(check) for check in checks]})
    else:
        marks = {"ok": "ok", "note": "note", "finding": "WRONG", "unreachable": "AWAY"}
        output.table(
            ("what", "", "found", "remedy"),
            [(check.check, marks[check.level], check.found, check.remedy) for check in checks],
        )
    raise typer.Exit(code)


def _reachable() -> Settings:
    """The settings, once their Redis has answered. Raises SettingsError, Unreachable."""
    from leadlane.reaching import reaching_redis
    from leadlane.schemas.settings import load_settings
    from leadlane.workers.connection import reach_at_once

    settings = load_settings()
    with reach_at_once(
        settings, settings.redis_url
    ) as client:  # no greeting: beat and Flower may not see the lanes
        reaching_redis(client.ping)
    return settings


def _known(queues: str, names: tuple[str, ...]) -> tuple[str, ...]:
    chosen = [word.strip() for word in queues.split(",") if word.strip()]
    for word in chosen:
        if word not in names:
            raise WrongUse(f"--queues: there is no queue '{word}'; {did_you_mean(word, names)}")
    if not chosen:
        raise WrongUse(f"--queues: names none; there are {', '.join(names)}")
    return tuple(name for name in names if name in chosen)


def _level(text: str) -> str:
    levels = ("DEBUG", "INFO", "WARNING", "ERROR")
    if text.upper() not in levels:
        raise WrongUse(f"--loglevel: '{text}' is none; {did_you_mean(text, levels)}")
    return text.upper()


@contextmanager
def _listening(address: str, port: int) -> Iterator[None]:
    """A port that cannot be had is one line."""
    try:
        yield
    except OSError as exc:
        if exc.filename:
            raise BadFile(str(exc.filename), f"cannot be written ({(exc.strerror or '').lower()})") from None
        raise WrongUse(
            f"cannot listen on {address} port {port} ({(exc.strerror or 'no reason given').lower()}); "
            "take another with --port"
        ) from None


def main() -> None:
    """Run the command line; never returns."""
    app()


if __name__ == "__main__":
    main()
