"""Our own processes beside us: each ends when we end, however that comes about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

STOP_S = 15.0
WATCHED = "leadlane.ops.children"


class Child:
    """A ``leadlane`` command, or another program of ours, in a process of its own, its output in a file.

    It lives while its standard input is open: when this process ends, also by kill -9, the kernel closes the
    pipe and the child ends itself.

    Args:
        command: as after ``leadlane`` on a command line.
        log: file for its output.
        environ: its environment.
        program: the module to run, if it is not the command line; it calls ``end_with_parent``.
    """

    def __init__(self, *command: str, log: Path, environ: Mapping[str, str], program: str = WATCHED) -> None:
        self.command = command
        self.program = program
        self.log = log
        self._environ = dict(environ)
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", self.program, *self.command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**self._environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # Ctrl-C reaches us, and we end it
            )

    def again(self) -> None:
        """Start it once more, after it has ended."""
        self.kill()
        self._process = self._started()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As it ended, minus the signal that killed it; None while it lives."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it lives."""
        return self._process.poll() is None

    def last_words(self, lines: int = 10) -> str:
        """The end of its output."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def ask(self) -> None:
        """Ask it to end what it does, and to end."""
        self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, and wait for that; kill it if it does not."""
        self.ask()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reap()

    def kill(self) -> None:
        """End it as a crash would."""
        self._process.kill()
        self._reap()

    def _reap(self) -> None:
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def end_with_parent() -> None:
    """End this process when the one that started it as a ``Child`` has ended."""
    threading.Thread(target=_end_with_parent, name="leadlane-parent-watch", daemon=True).start()


def _end_with_parent() -> None:
    while os.read(0, 1024):  # not sys.stdin: Python aborts if it ends while a thread waits in that
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(
        STOP_S
    )  # nobody is left who would see that it does not end, as when the server has gone as well
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from leadlane.ops.main import main

    end_with_parent()
    main()
