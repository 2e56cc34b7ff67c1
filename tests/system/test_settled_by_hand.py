"""What a person sends again rewrites the Celery result of its task; what is linked to the task runs once."""

import json

from celery import Celery

from tests.system.conftest import Town, until
from tests.system.judge import leads, nothing_left_over


def test_a_task_that_was_uncertain_or_dead_gets_its_new_result_and_tells_nobody_again(town: Town) -> None:
    town.env["LEADLANE_HASH_KEY"] = "k" * 32
    town.account("india", provider="dialnexa", import_gap_s="0")
    town.worker()
    with Celery(broker=town.redis.url, backend=town.redis.url, set_as_current=False) as app:

        def imported(number: int) -> tuple[str, str]:
            """Ids of an import, and of the import that is linked to it."""
            kwargs = {"campaign": "india/cmp_3"}
            name = "leadlane.leads.import"
            link = app.signature(
                name, kwargs=kwargs | {"leads": [*leads(1, number + 1, name="Ada")]}, immutable=True
            )
            told = link.freeze()
            sent = app.send_task(name, kwargs=kwargs | {"leads": [*leads(1, number, name="Ada")]}, link=link)
            return sent.id, told.id

        town.sandbox.fault("drop_before", match={"dialer": "dialnexa", "operation": "import"}, times=1)
        uncertain, linked = imported(1)
        assert app.AsyncResult(uncertain).get(timeout=60)["uncertain"] == 1
        assert app.AsyncResult(linked).get(timeout=60)["created"] == 1

        town.sandbox.fault("status", match={"dialer": "dialnexa"}, status=404, times=1)
        dead, not_linked = imported(11)
        until(lambda: app.AsyncResult(dead).state == "FAILURE")
        (listed,) = json.loads(town.run("dead", "list", "--json").stdout)
        assert listed["batch"] == dead

        before = len(town.sandbox.audit())
        assert town.run("uncertain", "resend", f"{uncertain}:0").returncode == 0
        assert town.run("dead", "retry", "--all").returncode == 0
        until(lambda: [_created(app, task) for task in (uncertain, dead)] == [1, 1])
        nothing_left_over(town)
        assert len(town.sandbox.audit()) == before + 2
        assert app.AsyncResult(not_linked).state == "PENDING"
    assert json.loads(town.run("uncertain", "list", "--json").stdout) == []


def _created(app: Celery, task: str) -> int:
    found = app.AsyncResult(task)
    return int(found.result.get("created", 0)) if found.state == "SUCCESS" else 0
