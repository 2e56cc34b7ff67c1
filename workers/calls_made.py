"""Every call to a dialer, as the call ledger of the fleet gets it: a bounded stream in Redis (``note`` in lane.lua).

No entry holds a number, a name or a key. Calls of turns are written by ``leave.lua`` and ``slice.lua``, on round trips
that are made anyway; ``workers/verifying.py`` reads them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from leadlane.workers.transport import Answer, CallHandle, NoAnswer, Request, Transport

SILENT: Final = "none"
"""Class of the answer of a call that had none."""
LOOK: Final = "look"
"""Operation of a call that changes nothing."""


@dataclass(slots=True)
class Made:
    """A call of which at least one byte left. Times are of ``time.monotonic``; ``size`` is in leads, or in agents.

    ``ended`` is the latest at which the dialer may have been at work on it.
    """

    operation: str
    size: int
    began: float
    ended: float
    answer: str

    def document(self, n: int, now: float) -> dict[str, Any]:
        """As ``note`` in lane.lua takes it: the ``n``-th call of its turn, its times as ms before ``now``."""
        return {
            "n": n,
            "op": self.operation,
            "size": self.size,
            "began": round((now - self.began) * 1000),
            "ended": round((now - self.ended) * 1000),
            "answer": self.answer,
            "wall": round(time.time() * 1000),
        }


def call(
    transport: Transport,
    request: Request,
    note: Callable[[Made], object],
    *,
    operation: str,
    size: int,
    timeout_s: float,
    may_send: Callable[[], bool] = lambda: True,
    handle: CallHandle | None = None,
) -> Answer:
    """The answer to a request, as from ``Transport.send``; ``note`` gets the call if any of it left.

    Raises NoAnswer.
    """
    began = 0.0

    def may_leave() -> bool:
        nonlocal began
        began = began or time.monotonic()
        return may_send()

    try:
        answer = transport.send(request, timeout_s=timeout_s, may_send=may_leave, handle=handle)
    except NoAnswer as silent:
        if silent.may_have_left:
            note(Made(operation, size, began, time.monotonic(), SILENT))
        raise
    note(Made(operation, size, began, time.monotonic(), str(answer.status)))
    return answer
