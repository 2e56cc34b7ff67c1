"""Lane scripts name the parts that they need: neither too few nor too many."""

import re
from pathlib import Path

import pytest

from leadlane.workers.connection import LUA, PARTS, lua
from leadlane.workers.lanes import SCRIPTS

FOLDER = Path(str(LUA))
FILES = [*(f"parts/{part}" for part in PARTS), *SCRIPTS]
LANGUAGE = {"function", "if", "and", "or", "not", "in", "return", "elseif", "while", "for", "until"} | {
    "ipairs", "pairs", "tonumber", "unpack"
}  # fmt: skip


def code(name: str) -> str:
    """The text without comments and strings."""
    text = re.sub(r"--.*", "", (FOLDER / f"{name}.lua").read_text())
    return re.sub(r"'[^']*'", "''", text)


def defined(text: str) -> set[str]:
    return set(re.findall(r"^\s*(?:local )?function (\w+)\(", text, re.MULTILINE))


def called(text: str) -> set[str]:
    return set(re.findall(r"(?<![.:\w])(\w+)\(", text)) - LANGUAGE


def needs(name: str) -> list[str]:
    line = re.search(r"^-- needs: (.*)$", (FOLDER / f"{name}.lua").read_text(), re.MULTILINE)
    return line[1].split(", ") if line else []


def test_the_list_of_parts_is_the_folder() -> None:
    assert sorted(PARTS) == sorted(path.stem for path in (FOLDER / "parts").glob("*.lua"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_needs_the_parts_whose_functions_it_calls(name: str) -> None:
    mine = called(code(name)) - defined(code(name)) - defined(code("lane"))
    homes = {function: part for part in PARTS for function in defined(code(f"parts/{part}"))}
    arguments = set(re.findall(r"function[ \w]*\(([^)]*)\)", code(name)))
    given = {argument.strip() for list_ in arguments for argument in list_.split(",")}
    assert sorted({homes.get(function, function) for function in mine - given}) == sorted(needs(name))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_put_behind_all_that_its_parts_need(name: str) -> None:
    text = lua(name)
    parts = [part for part in PARTS if f"-- {part}.lua: " in text]
    assert {need for one in [name, *(f"parts/{part}" for part in parts)] for need in needs(one)} == set(parts)
    assert [text.index(f"-- {part}.lua: ") for part in parts] == sorted(
        text.index(f"-- {part}.lua: ") for part in parts
    )
