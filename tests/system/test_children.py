"""Our own processes beside us."""

import os
from pathlib import Path

import pytest

from leadlane.ops.children import Child
from tests.system.conftest import until


@pytest.mark.parametrize(("words", "code"), [(["--version"], 0), (["--wat"], 2)])
def test_a_child_that_ends_by_itself_ends_with_its_own_code(
    tmp_path: Path, words: list[str], code: int
) -> None:
    child = Child(*words, log=tmp_path / "log", environ=os.environ)
    until(lambda: not child.running)
    child.kill()
    assert child.exit_code == code, child.last_words()
