"""A question to a dialer: a task on queue ``control``, waited for by its result."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

from celery import states
from kombu.exceptions import OperationalError

from leadlane.reaching import reaching_redis
from leadlane.schemas.errors import Unreachable, WrongUse
from leadlane.workers.blocking import blocked_by

if TYPE_CHECKING:
    from celery import Celery

    from leadlane.workers.lanes import Lanes

TASK_OF: Final = {
    "status": "leadlane.campaigns.get",
    "campaigns": "leadlane.campaigns.list",
    "agents": "leadlane.agents.list",
}
LOOK_S = 0.1


def ask(
    app: Celery, lanes: Lanes, what: str, account: str, kwargs: Mapping[str, str], *, timeout: float
) -> Any:
    """What the task returns.

    Raises what it raised (DialerFailed, BadCampaign); TimeoutError, which says what blocks, after ``timeout``
    seconds, when the question is taken back; Unreachable.
    """
    if not timeout > 0:
        raise WrongUse("timeout: is not a number of seconds above 0; give one, such as 30")
    try:
        sent = app.send_task(TASK_OF[what], kwargs=dict(kwargs), queue="control", expires=timeout)
    except OperationalError:
        raise Unreachable(
            "the broker", "does not answer", "is it running, and is broker_url right?"
        ) from None
    # Read by itself: a result's own `get` waits for minutes, and in one thread, where Redis is away.
    backend = cast("Any", app.backend)
    key = backend.get_key_for_task(sent.id)
    deadline = time.monotonic() + timeout
    while True:
        raw = reaching_redis(lambda: backend.get(key))
        found = backend.decode_result(raw) if raw else {"status": states.PENDING}
        if found["status"] in (states.SUCCESS, states.FAILURE):
            reaching_redis(lambda: backend.delete(key))  # names of people are in it
            if found["status"] == states.FAILURE:
                raise cast("Exception", found["result"])
            return found["result"]
        if time.monotonic() >= deadline or found["status"] == states.REVOKED:
            why = reaching_redis(lambda: blocked_by(lanes, {"acct": account, "lane": "", "op": what}))
            about = kwargs.get("campaign", account)
            raise TimeoutError(
                f"{what} of {about}: no answer within {timeout:g} s" + (f"; blocked by: {why}" if why else "")
            )
        time.sleep(LOOK_S)
