"""Both type checkers, strict, infer the interface with no plugin, and catch the mistakes that users make."""

import os
import subprocess
import sys

import pytest

from tests.support import repository

FILES = ["tests/typing/correct.py", "tests/typing/mistakes.py"]
PLANTED = 30
CHECKERS = {
    "mypy": ["-m", "mypy", "--strict"],
    "basedpyright": ["-m", "basedpyright"],
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("checker", CHECKERS)
def test_the_interface_is_inferred_and_each_planted_mistake_is_caught(checker: str) -> None:
    """A mistake on a line that is not reported makes its `type: ignore` superfluous, and that is an error."""
    ended = subprocess.run(
        [sys.executable, *CHECKERS[checker], *FILES],
        cwd=repository.ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_no_planted_mistake_was_lost() -> None:
    """Each has its mark, and the marks are counted."""
    text = (repository.ROOT / "tests/typing/mistakes.py").read_text()
    assert text.count("# type: ignore[") == PLANTED
    assert "# type: ignore" not in (repository.ROOT / "tests/typing/correct.py").read_text()
