"""Cancel, expiry and undo step by step on the real scripts: they are kept with no worker there, and by one that is."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from leadlane.errors import UnknownJob, WrongUse
from leadlane.job import Job
from leadlane.workers.undoing import brought
from tests.integration.workers.test_unsettled import TERMS, Desk, desk

__all__ = ["desk"]


def told(job: Job) -> Counter[tuple[str, str]]:
    return Counter((row["outcome"], row["reason"]) for row in job.report())


def job_of(desk: Desk, job: str) -> Job:
    return desk.fleet.job(job)


def next_turn(desk: Desk, job: Job, codes: str) -> None:
    """The turn of the only batch of an undoing, whose leads end so."""
    (batch,) = desk.jobs.batches(job.id)
    desk.turn(batch, codes, "done")


def test_a_cancel_with_no_worker_there_is_kept_and_nothing_leaves_later(desk: Desk) -> None:
    job, batch = desk.job(3, "voiso/1")
    assert job_of(desk, job).cancel() == {"cancelled": 1}
    assert desk.counts(job) == {"cancelled": 3}
    assert desk.ended(job)
    desk.lanes.alive("w", for_ms=10_000, slots={"turns": 5})
    assert desk.lanes.dispatch().calls == ()
    assert desk.lanes.enter(batch, "k", **TERMS).verdict == "done"


def test_a_cancel_during_a_turn_keeps_the_outcomes_of_what_left(desk: Desk) -> None:
    job, batch = desk.job(3, "voiso/1")
    entry, token = desk.enter(batch)
    assert job_of(desk, job).cancel() == {"flagged": 1}
    desk.leave(entry, token, "cd.", "again")
    assert desk.counts(job) == {"created": 1, "duplicate": 1, "cancelled": 1}
    assert desk.ended(job)


def test_a_cancel_seals_an_open_job_and_what_its_producer_stores_later_is_cancelled(desk: Desk) -> None:
    def rows() -> Iterator[dict[str, str]]:
        for i in range(2500):
            yield {"phone_number": f"+1212{5550000 + i}"}
            if i == 1200:
                (open_job,) = desk.client.zrange("leadlane:jobs", 0, -1)
                assert job_of(desk, open_job).cancel() == {"cancelled": 1}

    job = desk.fleet.campaign("voiso/1").import_leads(rows(), idempotency_key="k")
    assert job.progress() | {"ended": True} == job.progress()
    assert desk.counts(job.id) == {"cancelled": 2500}
    assert desk.fleet.campaign("voiso/1").import_leads(rows(), idempotency_key="k").id == job.id


def test_leads_whose_time_is_over_expire_with_no_worker_there_as_soon_as_somebody_looks(desk: Desk) -> None:
    job, _ = desk.job(3, "voiso/1", expires_in=0.001)
    undone = job_of(desk, job)
    assert undone.wait(30)["expired"] == 3
    progress = undone.undo().wait(1)
    assert (progress["leads"], progress["ended"], progress["undoes"]) == (0, True, job)


def test_only_what_was_or_may_have_been_created_is_taken_back(desk: Desk) -> None:
    job, batch = desk.job(9, "voiso/1")
    desk.turn(batch, "cCa?drsef", "done")
    before = desk.counts(job)
    undoing = job_of(desk, job).undo()
    assert [row["phone_number"] for row in undoing.report()] == [f"+1212555000{i}" for i in range(4)]
    assert [row["index"] for row in undoing.report()] == [0, 1, 2, 3]
    next_turn(desk, undoing, "uuur")
    assert undoing.progress()["ended"]
    assert desk.counts(undoing.id) == {"updated": 3, "rejected": 1}
    assert desk.counts(job) == before


def test_a_dead_job_is_undone_as_far_as_it_came(desk: Desk) -> None:
    job, batch = desk.job(4, "india/cmp_1")
    desk.turn(batch, "cr~.", "dead", "404")
    undoing = job_of(desk, job).undo()
    assert desk.counts(job) == {"created": 1, "rejected": 1, "uncertain": 1, "cancelled": 1}
    assert desk.run("dead", "list").stdout == "no batch is dead\n"
    assert [row["phone_number"][-1] for row in undoing.report()] == ["0", "2"]


def test_an_open_job_is_closed_by_its_undoing(desk: Desk) -> None:
    def broken_off() -> Iterator[dict[str, str]]:
        yield {"phone_number": "+12125550000"}
        raise OSError

    with pytest.raises(Exception, match="stays open") as broken:
        desk.fleet.campaign("voiso/1").import_leads(broken_off(), idempotency_key="k")
    job = job_of(desk, broken.value.job_id)  # type: ignore[attr-defined]
    assert job.undo().progress()["ended"]
    assert (job.progress()["cancelled"], job.progress()["ended"]) == (1, True)


def test_an_undoing_has_its_turn_when_what_is_aboard_has_left(desk: Desk) -> None:
    job, batch = desk.job(4, "voiso/1")
    entry, token = desk.enter(batch)
    undoing = job_of(desk, job).undo()
    (taking,) = desk.jobs.batches(undoing.id)
    assert desk.counts(undoing.id) == {"waiting": 4}
    assert desk.lanes.enter(taking, "k", **TERMS).verdict == "parked"
    desk.leave(entry, token, "cd~r", "again")
    assert desk.counts(job) == {"created": 1, "duplicate": 1, "uncertain": 1, "rejected": 1}
    assert brought(desk.jobs, batch) == dict(zip((f"1212555000{i}" for i in range(4)), "cd?r", strict=True))
    (row,) = desk.enter(taking)[0].rows
    assert row.fields["undoes"] == batch


def test_what_cannot_be_undone_is_refused_with_the_reason(desk: Desk) -> None:
    spring = desk.fleet.campaign("voiso/1")
    update = spring.update_leads([{"phone_number": "+12125550000", "name": "Ada"}])
    with pytest.raises(WrongUse, match="is no import but an update"):
        update.undo()
    with pytest.raises(WrongUse, match="is no import but a removal"):
        desk.fleet.campaign("india/cmp_1").remove_leads(["+12125550000"]).undo()
    assert update.progress()["waiting"] == 1, "it was cancelled"
    job, _ = desk.job(1, "voiso/1")
    with pytest.raises(WrongUse, match=f"undoes job {job}"):
        job_of(desk, job).undo().undo()
    with pytest.raises(WrongUse, match="is the command stop"):
        spring.job(spring.stop().id).undo()
    with pytest.raises(UnknownJob):
        spring.job("nosuch").undo()


def test_undone_by_several_at_once_it_is_undone_once(desk: Desk) -> None:
    job, batch = desk.job(6, "voiso/1")
    desk.turn(batch, "cccccc", "done")
    gate, ids = threading.Barrier(6), set[str]()

    def undo() -> None:
        gate.wait()
        ids.add(desk.fleet.campaign("voiso/1").job(job).undo().id)

    threads = [threading.Thread(target=undo) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (undoing,) = ids
    assert desk.counts(undoing) == {"waiting": 6}
    assert len(desk.jobs.batches(undoing)) == 1


def test_an_undoing_that_broke_off_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"phone_number": f"+1212{5550000 + i}"} for i in range(2500)]
    job = desk.fleet.campaign("voiso/1").import_leads(rows)
    for batch in desk.jobs.batches(job.id):
        desk.turn(batch, "c" * int(desk.jobs.ticket(batch)["n"]), "done")
    submit, times = type(desk.lanes).submit, iter((False, True))

    def dies(*args: object, **more: object) -> object:
        if next(times, False):
            raise KeyboardInterrupt
        return submit(*args, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as dying:
        dying.setattr(type(desk.lanes), "submit", dies)
        with pytest.raises(KeyboardInterrupt):
            job.undo()
    assert not desk.ended(f"{job.id}-undo")
    undoing = job.undo()
    assert desk.counts(undoing.id) == {"waiting": 2500}
    assert [row["index"] for row in undoing.report()] == list(range(2500))


def test_the_words_of_what_was_taken_back_are_in_the_report(desk: Desk) -> None:
    job, batch = desk.job(2, "voiso/1")
    desk.turn(batch, "cc", "done")
    undoing = job_of(desk, job).undo()
    next_turn(desk, undoing, "uu")
    (((outcome, reason), n),) = told(undoing).items()
    assert (outcome, n) == ("updated", 2)
    assert reason.startswith("made inactive: Voiso has no removal")


def test_an_undoing_lives_as_long_as_its_own_end_says(desk: Desk) -> None:
    job, batch = desk.job(1, "voiso/1")
    desk.turn(batch, "c", "done")
    undoing = job_of(desk, job).undo()
    (taking,) = desk.jobs.batches(undoing.id)
    names = (f"job:{undoing.id}", f"t:{taking}", f"pay:{taking}")
    assert desk.clock(*names) == {False}
    next_turn(desk, undoing, "u")
    assert desk.clock(*names) == {True}
