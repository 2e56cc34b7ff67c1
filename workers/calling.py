"""Publishing the Celery task of a ticket whose turn has come.

The only place that publishes; no message has an ETA or countdown (a test looks at the broker).
"""

from __future__ import annotations

import json
from typing import Any

from celery import Celery, Signature

from leadlane.workers.lanes import Call

CALL_HEADER = "leadlane_call"
"""Message header with the number of the call, so that a lost one is told from a slow one."""
TASK_OF = {"import": "leadlane.leads.import", "update": "leadlane.leads.update"}


def publish(app: Celery, call: Call) -> None:
    """Publish the ticket's task under the ticket's id, to the queue of its kind."""
    headers: dict[str, Any] = {CALL_HEADER: call.number}
    if call.signature:
        Signature.from_dict(json.loads(call.signature), app=app).apply_async(
            queue=call.queue, headers=headers
        )
        return
    app.send_task(
        TASK_OF[call.operation],
        kwargs=safe_kwargs(call.account, call.campaign, call.ticket, call.job),
        task_id=call.ticket,
        queue=call.queue,
        headers=headers,
    )


def safe_kwargs(account: str, campaign: str, ticket: str, job: str) -> dict[str, Any]:
    """The arguments of a called task: ids only, the leads lie in the payload store."""
    return {"campaign": f"{account}/{campaign}", "batch": ticket, "job": job}
