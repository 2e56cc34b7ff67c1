"""The sandbox in a process of its own, for tests, the demo and benchmarks."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any, Final, Self

from .settings import SandboxSettings

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

STARTS_WITHIN_S: Final = 30
ENDS_WITHIN_S: Final = 10

# No proxy for a server on loopback, whatever the environment says.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SandboxProcess:
    """A sandbox on a free loopback port; as a context manager it runs as long as the block.

        with SandboxProcess(gap_s=0.5, call_time_s=0.1) as sandbox:
            ...                     # accounts get sandbox.url and the key "sandbox-key"
            assert sandbox.verify()["breaches"] == 0

    It ends with its owner, also if that is killed: it lives while its standard input is open. `settings` are
    those of `SandboxSettings`; ValueError says which of them is wrong.
    """

    def __init__(self, *, port: int = 0, audit_file: str | Path | None = None, **settings: Any) -> None:
        SandboxSettings(**settings)  # a wrong one is told here, not by a child that cannot start
        self._options = {"port": port, "audit_file": str(audit_file) if audit_file else None, **settings}
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def start(self) -> Self:
        """Start it and wait until it answers; RuntimeError if it does not."""
        process = subprocess.Popen(
            [sys.executable, "-c", "from leadlane.ops.sandbox.process import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # so that Ctrl-C ends the owner, and the owner ends it
        )
        self._process = process
        assert process.stdin  # noqa: S101 - a pipe
        assert process.stdout  # noqa: S101 - a pipe
        process.stdin.write(json.dumps(self._options) + "\n")
        process.stdin.flush()
        readable, _, _ = select.select([process.stdout], [], [], STARTS_WITHIN_S)
        self.url = process.stdout.readline().strip() if readable else ""
        if not self.url:
            self.kill()
            raise RuntimeError("the sandbox did not start; what it said stands above")
        return self

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """End it and wait for its end."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.kill()
        self._reap()

    def _reap(self) -> None:
        if self._process:
            # communicate() would flush what is unsent into a broken pipe; closing and waiting is all we want.
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    pipe.close()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def audit(self, since: int = 0) -> list[dict[str, Any]]:
        """Every request after number `since`."""
        found: list[dict[str, Any]] = self.control("GET", f"audit?since={since}")["requests"]
        return found

    def verify(self) -> dict[str, Any]:
        """How the rules were kept."""
        return self.control("GET", "verify")

    def leads(self, campaign: str | int, dialer: str = "voiso") -> dict[str, dict[str, Any]]:
        """A campaign's numbers, with `sent` and `stored`, and `fields` if they are kept."""
        query = urllib.parse.urlencode({"campaign": campaign, "dialer": dialer})
        found: dict[str, dict[str, Any]] = self.control("GET", f"leads?{query}")["leads"]
        return found

    def fault(self, fault: str, *, match: dict[str, str] | None = None, **rule: Any) -> None:
        """Add a rule: `fault("drop_after", match={"operation": "import"}, times=1)`."""
        self.control("POST", "faults", {"fault": fault, "match": match or {}, **rule})

    def clear_faults(self) -> None:
        """Nothing goes wrong any more."""
        self.control("DELETE", "faults")

    def change(self, **settings: Any) -> None:
        """Change settings."""
        self.control("POST", "settings", settings)

    def alter(self, campaign: str | int, **wanted: Any) -> None:
        """Put a campaign into a state: `alter(3, status="completed")`."""
        self.control("POST", "campaign", {"campaign": str(campaign), **wanted})

    def reset(self) -> None:
        """Forget requests, leads and faults; settings as at the start."""
        self.control("POST", "reset")

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """One request to the control API; ValueError with its words where it refuses."""
        request = urllib.request.Request(  # noqa: S310 - our own http URL
            f"{self.url}/_sandbox/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"content-type": "application/json"},
        )
        try:
            with _OPENER.open(request, timeout=STARTS_WITHIN_S) as response:
                answer: dict[str, Any] = json.load(response)
                return answer
        except urllib.error.HTTPError as exc:
            with exc:
                raise ValueError(exc.read().decode()) from exc


def serve() -> None:
    """The child's side: options as a line of JSON on standard input, the URL as a line on standard output."""
    from .server import run

    options = json.loads(sys.stdin.readline())

    def end_with_owner() -> None:
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_owner, daemon=True).start()
    run(on_ready=lambda url: print(url, flush=True), **options)  # noqa: T201 - the owner reads it
