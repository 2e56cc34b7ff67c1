"""The command line, but the worker comes to a standstill in a way that leaves its process alive.

    python wedged_worker.py consumer|threads|nothing worker --name w1 ...

"consumer": Celery's loop stands still at SIGUSR2, all other threads go on. "threads": no call to a dialer ever ends.
What counts as too long is seconds.
"""

import signal
import sys
import threading
from typing import Any

from leadlane.ops.main import main
from leadlane.workers import pulse, runtime
from leadlane.workers.transport import Transport


def for_ever(*_: Any, **__: Any) -> None:
    threading.Event().wait()


if __name__ == "__main__":
    _, how, *words = sys.argv
    pulse.ROUND_S = runtime.ROUND_S = 0.5  # type: ignore[misc]
    pulse.STALE_S = pulse.STUCK_S = 3.0  # type: ignore[misc]
    if how == "consumer":
        signal.signal(signal.SIGUSR2, for_ever)
    if how == "threads":
        Transport.send = for_ever  # type: ignore[assignment]
    sys.argv[1:] = words
    main()
