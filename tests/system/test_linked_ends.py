"""A worker dies while it tells the end of a task to those that wait for it: another tells it."""

from uuid import uuid4

import pytest
from celery import Celery, chain, chord

from tests.system.conftest import Town, until
from tests.system.judge import calls, leads, rules_kept

DYING = """
import os, signal
from leadlane.ops.main import main
from leadlane.workers.results import Results

store = Results._store_result

def die(self, task_id, result, state, *args, **kwargs):
    if state == "SUCCESS":
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()
    return store(self, task_id, result, state, *args, **kwargs)

Results._store_result = die
main()
"""


@pytest.mark.slow
def test_what_is_linked_goes_on_once_though_its_worker_died_before_the_result_was_stored(town: Town) -> None:
    """The next of the chain has been published by then, and is again: it is one task, since it has an id."""
    victim = town.worker("victim", main=("-c", DYING))
    with Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False) as app:
        steps = [
            app.signature(
                "leadlane.leads.import",
                kwargs={"campaign": "voiso/1", "leads": list(leads(n, 100 * n))},
                task_id=str(uuid4()),
            )
            for n in range(1, 7)
        ]
        last = chain(*steps[:3]).apply_async()
        victim.wait()
        body = chord(steps[3:5], steps[5]).apply_async()
        town.worker("heir")
        assert last.get(timeout=100)["created"] == 3
        assert body.get(timeout=100)["created"] == 6
        assert [app.AsyncResult(step.options["task_id"]).get(timeout=60)["leads"] for step in steps] == [
            1, 2, 3, 4, 5, 6,
        ]  # fmt: skip
    until(lambda: town.client.hlen("unacked") == 0)
    assert sum(call["stored"] for call in calls(town, 1)) == 21
    rules_kept(town)
