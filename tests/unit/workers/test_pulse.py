from pathlib import Path
from types import SimpleNamespace

import pytest

from leadlane.workers.pulse import STALE_S, STUCK_S, Pulse, all_stuck


class World:
    """A clock, a broker and a pulse; `touched` says whether a beat touched the file."""

    def __init__(self, folder: Path) -> None:
        self.now, self.broker_answers, self.keeper_lives = 0.0, True, True
        self.file = folder / "pulse"
        self.pulse = Pulse(
            self.file,
            keeps=lambda: self.keeper_lives,
            broker_answers=lambda: self.broker_answers,
            clock=lambda: self.now,
        )

    def touched(self) -> bool:
        self.file.unlink(missing_ok=True)
        self.pulse.beat()
        return self.file.exists()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_worker_whose_consumer_comes_round_is_well(world: World) -> None:
    for _ in range(5):
        world.now += STALE_S
        world.pulse.came_round()
        assert world.touched()


def test_a_worker_that_lives_but_does_not_consume_is_not(world: World) -> None:
    world.now = STALE_S + 1
    assert not world.touched()
    world.pulse.came_round()
    assert world.touched()


def test_a_broker_that_is_away_is_no_reason_to_restart_the_fleet(world: World) -> None:
    world.broker_answers = False
    world.now = 10 * STALE_S
    assert world.touched()
    world.broker_answers = True
    assert world.touched()  # the consumer is given its time to connect again
    world.now += STALE_S + 1
    assert not world.touched()


def test_a_worker_that_renews_no_leases_is_not_well(world: World) -> None:
    world.keeper_lives = False
    assert not world.touched()


def test_a_file_that_cannot_be_touched_ends_nothing(tmp_path: Path) -> None:
    Pulse(tmp_path / "nowhere" / "pulse", keeps=lambda: True, broker_answers=lambda: True).beat()


def test_threads_are_stuck_when_all_of_them_have_been_at_their_tasks_for_too_long() -> None:
    now = 10_000.0
    began = [now - STUCK_S - 1, now - STUCK_S - 1, now - 1, None]  # the last is not begun yet
    requests = [SimpleNamespace(time_start=start) for start in began]
    assert all_stuck(requests, 2, now)
    assert not all_stuck(requests, 3, now)
