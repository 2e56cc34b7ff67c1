"""Which threads of a worker work from which queue."""

from collections.abc import Collection

import pytest

from leadlane.workers.celery_app import QUEUES
from leadlane.workers.queue_channels import added, bounds, but_for_commands, slots

CALLS = 20


def test_a_worker_of_all_queues_makes_as_many_calls_as_it_is_told_and_keeps_threads_for_the_rest() -> None:
    threads = CALLS + added(QUEUES)
    assert bounds(threads, QUEUES) == {
        "turns": CALLS,
        "intake": CALLS + 1,
        "celery": CALLS + 1,
        "control": CALLS + 3,
    }
    assert slots(threads, QUEUES) == {"turns": CALLS, "control": 2}
    assert but_for_commands(threads, QUEUES) == CALLS + 1


@pytest.mark.parametrize(
    ("queues", "turns", "control"),
    [
        (["turns"], CALLS, 0),
        (["turns", "control"], CALLS, 2),
        (["turns", "intake"], CALLS, 0),
        (["intake"], 0, 0),
        (["intake", "control"], 0, 2),
        (["control"], 0, CALLS),
    ],
)
def test_a_worker_of_some_queues_has_no_thread_for_others(
    queues: Collection[str], turns: int, control: int
) -> None:
    assert slots(CALLS + added(queues), queues) == {"turns": turns, "control": control}


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
def test_of_few_threads_each_queue_has_one_at_least(threads: int) -> None:
    most = bounds(threads, QUEUES)
    assert 1 <= most["turns"] <= most["intake"] <= most["control"] == threads
    assert min(slots(threads, QUEUES).values()) >= 1
