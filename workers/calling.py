"""Publishing the Celery task of a ticket whose turn has come.

The only place that publishes; no message has an ETA or countdown (a test looks at the broker). What is linked
to a task (link, chain, chord) stays in the lane with its payload, for it may hold the leads of later tasks;
a header says that it is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery, Signature, current_task
from kombu.utils.json import loads

from leadlane.workers import optouts
from leadlane.workers.lanes import Call
from leadlane.workers.providers.contract import AGENT_WORDS, STATE_WORDS

CALL_HEADER = "leadlane_call"
"""Message header with the number of the call, so that a lost one is told from a slow one."""
LINKS_HEADER = "leadlane_links"
"""Message header of a task whose links lie with its payload."""
TASK_OF = {
    **{name: f"leadlane.leads.{name}" for name in ("import", "update", "remove")},
    **{name: f"leadlane.campaigns.{name}" for name in STATE_WORDS},
    **dict(
        zip(optouts.WORDS, (f"leadlane.suppress.{it}" for it in ("add", "remove", "lookup")), strict=True)
    ),
    **{name: f"leadlane.agents.{name.removesuffix('_agents')}" for name in AGENT_WORDS},
}


def publish(app: Celery, call: Call) -> None:
    """Publish the ticket's task under the ticket's id, to the queue of its kind."""
    headers: dict[str, Any] = {CALL_HEADER: call.number}
    with _outside_of_tasks():
        if call.signature:
            signature: Signature[Any] = Signature.from_dict(loads(call.signature), app=app)
            headers = {**(signature.options.get("headers") or {}), **headers}
            signature.apply_async(queue=call.queue, headers=headers, add_to_parent=False)
            return
        _publish(app, call, headers)


def _publish(app: Celery, call: Call, headers: dict[str, Any]) -> None:
    """What `send_task` publishes, without its search for a route: the call names its queue."""
    kwargs = safe_kwargs(call.account, call.campaign, call.ticket, call.job)
    name = TASK_OF[call.operation]
    message = app.amqp.as_task_v2(call.ticket, name, (), kwargs, root_id=call.ticket)
    with app.producer_or_acquire() as producer:
        app.amqp.send_task_message(producer, name, message, queue=call.queue, headers=headers)


def safe_kwargs(account: str, campaign: str, ticket: str, job: str) -> dict[str, Any]:
    """The arguments of a called task: ids only, the leads lie in the payload store."""
    return {"campaign": f"{account}/{campaign}", "batch": ticket, "job": job}


@contextmanager
def _outside_of_tasks() -> Iterator[None]:
    """Within, Celery knows of no task that runs: whoever leaves a lane is not the parent of the next in it."""
    if not current_task:
        yield
        return
    task: Any = current_task
    task.push_request(called_directly=True)
    try:
        yield
    finally:
        task.pop_request()
