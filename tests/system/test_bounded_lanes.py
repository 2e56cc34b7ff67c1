"""More leads than may wait: a producer and a by-name task beside real workers."""

from leadlane.errors import LaneFull
from tests.system.conftest import Town
from tests.system.judge import leads, nothing_left_over, producer

MOST = 3000


def test_a_producer_fills_the_lane_as_fast_as_it_drains_and_by_name_tasks_are_never_refused(
    town: Town,
) -> None:
    town.account("voiso", max_waiting_per_campaign=str(MOST))
    town.worker()
    seen: list[int] = []

    def look(full: LaneFull) -> None:
        seen.append(full.waiting)

    rows = list(leads(9000, name="Ada"))
    job = town.fleet().campaign("voiso/3").import_leads(rows[:8000], on_full=look)
    kwargs = {"campaign": "voiso/3", "leads": rows[8000:]}
    by_name = producer(town).send_task("leadlane.leads.import", kwargs=kwargs, queue="intake")

    assert job.wait(timeout=60)["created"] == 8000
    assert by_name.get(timeout=60)["created"] == 1000
    assert seen
    assert max(seen) <= MOST
    assert town.client.hgetall("leadlane:load:voiso") == {}
    assert int(town.client.hget("leadlane:acct:voiso", "call_ms") or 0) > 0
    nothing_left_over(town)
