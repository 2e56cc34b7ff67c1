from collections.abc import Mapping
from typing import Any

import pytest

from leadlane.cli.watching import LINE_EVERY_S, LOOK_S, PATIENCE_S, Lines, display, follow
from leadlane.schemas.errors import LaneFull, Unreachable

AWAY = Unreachable("Redis", "does not answer")


def state(waiting: int, *, blocked_by: str | None = None, ended: bool = False) -> dict[str, Any]:
    return {
        "leads": 10,
        "created": 10 - waiting,
        "waiting": waiting,
        "dead": 0,
        "ended": ended,
        "blocked_by": blocked_by,
    }


END = state(0, ended=True)


class Script:
    """A job that answers with one state after another, and the clock by which it is watched."""

    id = "j1"

    def __init__(self, *answers: dict[str, Any] | Unreachable) -> None:
        self.answers = list(answers)
        self.now = 0.0
        self.said: list[str] = []
        self.shown = 0

    def progress(self) -> dict[str, Any]:
        answer = self.answers.pop(0)
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def read(self, rows: int) -> None:
        raise AssertionError("nothing is read while a job is watched")

    def wait(self, full: LaneFull) -> None:
        raise AssertionError("nothing is stored while a job is watched")

    def show(self, progress: Mapping[str, Any]) -> None:
        self.shown += 1

    def note(self, text: str) -> None:
        self.said.append(text)

    def follow(self) -> dict[str, Any]:
        return follow(self, self, clock=lambda: self.now, sleep=self.sleep)


def test_watching_ends_with_the_job() -> None:
    script = Script(state(10), state(4), END)
    assert script.follow() == END
    assert (script.shown, script.said) == (3, [])


def test_what_blocks_is_said_once_per_change() -> None:
    no_worker, hold = state(10, blocked_by="no worker is alive"), state(10, blocked_by="account on hold")
    script = Script(no_worker, no_worker, hold, hold, state(5), no_worker, END)
    script.follow()
    assert script.said == [
        "blocked by: no worker is alive",
        "blocked by: account on hold",
        "blocked by: no worker is alive",
    ]


def test_an_open_job_is_told_from_one_that_waits() -> None:
    script = Script(state(0), state(0), END)
    script.follow()
    assert len(script.said) == 1
    assert "job j1 is open" in script.said[0]


def test_a_short_absence_of_redis_is_told_and_waited_out() -> None:
    script = Script(state(10), AWAY, AWAY, state(5), END)
    assert script.follow() == END
    assert script.said == ["Redis: does not answer"]


def test_a_long_absence_of_redis_ends_watching() -> None:
    script = Script(state(10), *[AWAY] * (int(PATIENCE_S / LOOK_S) + 5))
    with pytest.raises(Unreachable):
        script.follow()


def test_lines_are_few_and_never_the_same_twice(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines(clock=lambda: now)
    for second in range(100):
        now = float(second)
        lines.read(50_000)
    for second in range(100, 200):
        now = float(second)
        lines.show(state(10 - (second - 100) // 10))
    said = capsys.readouterr().err.splitlines()
    assert len(said) <= 200 / LINE_EVERY_S
    assert len(set(said)) == len(said)
    assert said[-1] == "9 of 10 leads done: created 9"


def test_a_terminal_gets_a_bar_and_its_notes_stay(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with display() as screen:
        screen.read(5000)
        screen.note("blocked by: [no worker]")
        screen.show(state(4))
    out, err = capsys.readouterr()
    assert out == ""
    assert "blocked by: [no worker]" in err
    assert "6/10" in err
