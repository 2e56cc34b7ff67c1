import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from leadlane.ops.main import app


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with its words, the groups' own left out."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from commands(inner, (*path, name))


ALL = dict(commands(typer.main.get_command(app)))


def test_the_first_commands_are_there() -> None:
    wanted = [
        "import",
        "worker",
        "beat",
        "flower",
        "sandbox",
        "demo",
        "job-show",
        "job-watch",
        "job-report",
        "lane-list",
        "init",
        "up",
        "doctor",
        "lane-show",
        "lane-hold",
        "lane-release",
        "account-list",
        "account-release",
    ]
    assert {"-".join(path) for path in ALL} >= set(wanted)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_says_what_it_does_with_an_example(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"TERMINAL_WIDTH": "200"})
    assert shown.exit_code == 0
    assert ALL[path].help
    assert f"Example: leadlane {' '.join(path)}" in shown.stdout


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_example_is_a_command_line_that_would_be_taken(path: tuple[str, ...]) -> None:
    words = shlex.split(ALL[path].epilog.removeprefix("Example: "))
    assert tuple(words[: len(path) + 1]) == ("leadlane", *path)
    ALL[path].make_context(path[-1], words[len(path) + 1 :])


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_says_what_it_is_for(path: tuple[str, ...]) -> None:
    assert [parameter.name for parameter in ALL[path].params if not parameter.help] == []


def test_the_program_starts_light() -> None:
    """Help, a typing error or a refused file load neither Celery nor Redis, HTTP or phone tables."""
    program = "import leadlane.ops.main, sys; print(*sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (
        set(ended.stdout.split()) & {"celery", "redis", "httpx", "marshmallow", "phonenumbers", "flower"}
        == set()
    )
