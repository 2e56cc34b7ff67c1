"""The chaos suite's plan and memory."""

from collections import Counter
from pathlib import Path

from leadlane.ops.chaos.plan import EVERY_S, ROLES, Conditions, errand, faults, frozen, strikes
from leadlane.ops.chaos.producer import Journal, task_id

TEN = Conditions(minutes=10, seed=7)


def test_a_seed_has_one_schedule() -> None:
    assert strikes(TEN) == strikes(TEN)
    assert strikes(TEN) != strikes(Conditions(minutes=10, seed=8))


def test_ten_minutes_hold_a_hundred_kills_and_five_restarts() -> None:
    fallen = Counter(strike.blow for strike in strikes(TEN))
    assert fallen["kill"] >= 100
    assert fallen["restart"] + fallen["crash"] >= 5
    assert all(0 <= strike.at_s <= TEN.lasts_s for strike in strikes(TEN))


def test_of_each_kind_there_is_at_least_one_blow() -> None:
    assert {strike.blow for strike in strikes(Conditions(minutes=0.1, seed=1))} == set(EVERY_S)


def test_frozen_workers_stand_still_for_a_minute_each_and_nothing_else_happens() -> None:
    conditions = frozen(50, seed=3)
    assert [(strike.blow, strike.lasts_s) for strike in strikes(conditions)] == [("freeze", 60.0)] * 50
    assert conditions.lasts_s + 60 <= 8 * 60
    assert faults(conditions) == []


def test_slow_answers_come_before_a_lost_call_must_be_over() -> None:
    assert all(fault.get("delay_s", 0) < TEN.lost_call_s for fault in faults(TEN))


def test_no_number_is_in_two_errands() -> None:
    errands = [errand(role, n, 7) for role in ROLES for n in range(3)]
    numbers = [number for of in errands for number in of.numbers()]
    assert len(numbers) == len(set(numbers)) == sum(of.leads for of in errands)
    assert errands == [errand(role, n, 7) for role in ROLES for n in range(3)]
    assert len({task_id(of) for of in errands}) == len(errands)


def test_a_producer_remembers_over_its_death_what_it_began_and_what_has_ended(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "role.jsonl")
    journal.note(n=0)
    journal.note(n=0, job="j0", ended=True)
    journal.note(n=1)
    journal.note(n=1, again=1)
    after = Journal(tmp_path / "role.jsonl")
    assert (after.jobs, after.ended, after.again) == ({0: "j0", 1: ""}, {0}, 1)
