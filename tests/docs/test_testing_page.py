"""The page about tests of one's own: its files are a project, its tests pass, and its failure is a real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import repository

PAGE = repository.ROOT / "docs" / "testing-your-sagas.md"
FILE = re.compile(r"^```python\n(# (\w+\.py)\n.*?)^```$", re.DOTALL | re.MULTILINE)
SHOWN = re.compile(r"^```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FAILS = "test_rental.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The page's files, in a directory of their own."""
    found = FILE.findall(PAGE.read_text())
    assert len(found) == PAGE.read_text().count("```python\n"), "every block is a file"
    for code, name in found:
        (tmp_path / name).write_text(code)
    return tmp_path


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Pytest in that project."""
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-o", "asyncio_mode=auto", *arguments],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=55,
        check=False,
    )


def test_the_tests_of_the_page_pass(project: Path) -> None:
    """All but the one that is there to fail, the one on a temporary Postgres included."""
    done = run(project, f"--ignore={FAILS}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_failure_is_what_the_page_shows(project: Path) -> None:
    """Line by line. DOCS=write in the environment writes the page anew."""
    done = run(project, FAILS)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line.removeprefix("E").strip() for line in done.stdout.splitlines() if line.startswith("E  ")]
    (shown,) = SHOWN.findall(PAGE.read_text())
    if os.environ.get("DOCS") == "write":
        real = "\n".join(line[8:].rstrip() for line in done.stdout.splitlines() if line.startswith("E  "))
        PAGE.write_text(PAGE.read_text().replace(f"```text\n{shown}```", f"```text\n{real}\n```"))
    else:
        assert [line.strip() for line in shown.splitlines()] == lines
