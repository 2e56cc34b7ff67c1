"""Beat, run as it is: housekeeping is sent, once in the fleet however many beats run."""

import json

import pytest

from tests.system.conftest import Program, Town, until

SWEEP = "leadlane.maintenance.sweep"
OFTEN = """
from leadlane.workers import celery_app
configured = celery_app.configuration
celery_app.SWEEP_EVERY_S = 0.5
celery_app.configuration = lambda settings: configured(settings) | {
    "redbeat_lock_timeout": 6, "beat_max_loop_interval": 1,
}
from leadlane.ops.main import main
main()
"""


@pytest.fixture
def beats(town: Town) -> list[Program]:
    """Two beats that sweep twice a second; the first has the lock."""
    started = [start(town, "beat1")]
    until(lambda: sent(town))
    return [*started, start(town, "beat2")]


def start(town: Town, name: str) -> Program:
    return town.start("beat", "--loglevel", "DEBUG", name=name, main=("-c", OFTEN))


def sent(town: Town) -> list[str]:
    """Who sent each sweep that lies in the queue, newest first."""
    found = [json.loads(raw)["headers"] for raw in town.client.lrange("control", 0, -1)]
    assert {headers["task"] for headers in found} <= {SWEEP}
    return [headers["origin"] for headers in found]


def by(beat: Program) -> str:
    return f"gen{beat.pid}@"


def test_of_two_beats_one_sends_and_the_other_stands_by(town: Town, beats: list[Program]) -> None:
    first, second = beats
    until(lambda: "acquiring lock" in second.logged().lower())
    there = len(sent(town))
    until(lambda: len(sent(town)) >= there + 4)
    assert all(origin.startswith(by(first)) for origin in sent(town))
    assert second.running


def test_a_worker_does_what_beat_sends(town: Town, beats: list[Program]) -> None:
    until(lambda: len(sent(town)) >= 2)
    worker = town.worker("w1")
    until(lambda: worker.logged().count(SWEEP) >= 2)
    assert '"task failed"' not in worker.logged()
    until(lambda: town.client.llen("control") == 0)


@pytest.mark.slow
def test_the_other_beat_takes_over_when_the_first_has_died(town: Town, beats: list[Program]) -> None:
    first, second = beats
    until(lambda: "acquiring lock" in second.logged().lower())
    first.kill()
    until(lambda: any(origin.startswith(by(second)) for origin in sent(town)))
