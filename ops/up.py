"""`leadlane up`: a whole fleet on this machine that stays, and keeps its data from one run to the next.

A server of our own unless one is named, a worker, a worker for control, beat, Flower, and the sandbox where no
account is configured. What ends by itself is started again; what keeps ending ends the whole, so that nobody takes
for running what is not. Ctrl-C or SIGTERM: workers end their calls, then the server goes. Once more: at once.
"""

from __future__ import annotations

import fcntl
import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, NoReturn

from leadlane.cli import output
from leadlane.ops.children import Child
from leadlane.ops.local import LocalFleet, sandbox_account, usual_port
from leadlane.ops.sandbox.process import SandboxProcess
from leadlane.schemas.errors import Unreachable, WrongUse
from leadlane.schemas.redis_urls import without_password
from leadlane.schemas.settings import load_settings, redis_is_given, resolve_key
from leadlane.workers.conduct import BUILDING_S

ACCOUNT: Final = "demo"
FOLDER: Final = ".leadlane"
LOOK_S: Final = 0.2
AT_ONCE_S: Final = 1.0
STEADY_S: Final = 60.0
"""What ran for so long has not kept ending."""
MOST_ENDS: Final = 5
"""After so many ends in a row nothing is started again."""


def run(
    folder: Path,
    *,
    workers: int = 1,
    concurrency: int = 20,
    redis_port: int | None = None,
    flower_port: int | None = None,
    sandbox_port: int | None = None,
    as_json: bool = False,
) -> int:
    """Run the fleet until it is told to stop: 0 if everything ended in peace, 1 if something had to be killed.

    Args:
        folder: for the server's data and the logs; made if it is not there, and only for us to read.
        workers: processes beside the one for control.
        concurrency: threads of each.
        redis_port: of our server; the usual one if that is free, else another.
        flower_port: likewise.
        sandbox_port: likewise.
        as_json: say the addresses as one JSON document.

    Raises SettingsError, WrongUse (the folder is in use), Unreachable (something does not start, or keeps ending).
    """
    settings = load_settings()
    for account in settings.accounts.values():
        resolve_key(account)
    longest_s = max((account.timeout_s for account in settings.accounts.values()), default=0.0) + BUILDING_S
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    with ExitStack() as stack:
        environ = {"LEADLANE_REDIS_URL": settings.redis_url} if redis_is_given() else {}
        stack.enter_context(_ours(folder))
        sandbox = None
        if not settings.accounts:
            sandbox = stack.enter_context(SandboxProcess(port=sandbox_port or usual_port(8400)))
            environ |= sandbox_account(ACCOUNT, sandbox.url)
        fleet = LocalFleet(
            environ,
            workers=workers,
            concurrency=concurrency,
            folder=folder,
            redis_port=redis_port or usual_port(6379),
            flower_port=flower_port or usual_port(5555),
            stop_s=longest_s,
        )
        killed: list[str] = []
        stack.enter_context(fleet)
        try:
            _say(fleet, sandbox, folder, as_json=as_json)
            _keep(fleet, sandbox)
        except SystemExit:
            _hurry_at_next_signal(fleet)
            output.note("leadlane: stopping, calls under way end first; once more ends them")
            killed = fleet.stop()
    if killed:
        output.note(f"leadlane: did not end in time and were killed: {', '.join(killed)}")
        return 1
    output.note("leadlane: stopped")
    return 0


def _end(_signal: int, _frame: object) -> NoReturn:
    sys.exit(0)


def _hurry_at_next_signal(fleet: LocalFleet) -> None:
    asked = time.monotonic()

    def hurry(_signal: int, _frame: object) -> None:
        # Whoever signals a process and its group, as timeout(1) does, has asked once.
        fleet.hurry = time.monotonic() - asked > AT_ONCE_S

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hurry)


@contextmanager
def _ours(folder: Path) -> Iterator[None]:
    """The folder, for this process alone as long as it lives."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as exc:
        raise WrongUse(
            f"--data {folder}: cannot be written ({(exc.strerror or '').lower()}); name another folder"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise WrongUse(
                f"--data {folder}: another `leadlane up` has it; end that one, or name another folder"
            ) from None
        (folder / ".gitignore").write_text("*\n")  # there are leads in it
        yield


def _say(fleet: LocalFleet, sandbox: SandboxProcess | None, folder: Path, *, as_json: bool) -> None:
    redis = without_password(fleet.redis_url)
    data = str(folder.absolute()) if fleet.server else None
    if as_json:
        addresses = {"redis": redis, "flower": fleet.flower_url, "sandbox": sandbox.url if sandbox else None}
        more = {"data": data, "logs": str(folder.absolute() / "logs")}
        output.line(json.dumps(addresses | more), now=True)
        return
    output.line(f"redis    {redis}" + (f"  (data is kept in {folder})" if data else ""))
    output.line(f"flower   {fleet.flower_url}")
    if sandbox:
        output.line(
            f"sandbox  {sandbox.url}  (no account is configured: `{ACCOUNT}` is one at the sandbox; "
            "`leadlane init` makes leadlane.toml for yours)"
        )
    output.line(f"logs     {folder / 'logs'}")
    if fleet.server and fleet.server.port != 6379:
        output.line(
            f"port 6379 is taken: say  export LEADLANE_REDIS_URL={redis}  where you run other commands"
        )
    campaign = f"{ACCOUNT}/3" if sandbox else "ACCOUNT/CAMPAIGN"
    output.line(f"ready: leadlane import FILE --campaign {campaign} --wait; Ctrl-C ends all of it", now=True)


def _keep(fleet: LocalFleet, sandbox: SandboxProcess | None) -> None:
    """Start again what ends, until somebody says to stop. Raises Unreachable for what keeps ending."""
    patience = {name: Patience(name) for name in (*fleet.children, "redis", "sandbox")}
    while True:
        for name, child in fleet.children.items():
            if not child.running and patience[name].may_start(f"has ended with {child.exit_code}", child):
                child.again()
        if fleet.server and not fleet.server.running and patience["redis"].may_start("has ended"):
            fleet.server.start()
        if sandbox and not sandbox.running and patience["sandbox"].may_start("has ended"):
            sandbox.start()
        time.sleep(LOOK_S)


class Patience:
    """When one process that has ended may be started again: after 1, 2, 4 ... s, but not for ever."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ends = 0
        self._began = time.monotonic()
        self._start_at: float | None = None

    def may_start(self, how: str, child: Child | None = None) -> bool:
        """Whether to start it now; to be asked again and again. Raises Unreachable when it has ended too often."""
        now = time.monotonic()
        if self._start_at is None:
            self._ends = 1 if now - self._began > STEADY_S else self._ends + 1
            if self._ends > MOST_ENDS:
                said = f":\n{child.last_words()}" if child else ""
                raise Unreachable(self._name, f"keeps ending, so all of it is ended{said}")
            wait_s = 2.0 ** (self._ends - 1)
            output.note(f"leadlane: {self._name} {how}; it is started again in {wait_s:.0f} s")
            self._start_at = now + wait_s
        if now < self._start_at:
            return False
        self._start_at, self._began = None, now
        return True
