"""The README's code is run, and prints what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language: str) -> list[str]:
    """The README's code blocks of one language."""
    return re.findall(
        rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE
    )


def test_the_quickstart_prints_what_the_readme_shows(database_url: str, tmp_path: Path) -> None:
    """A newcomer who copies the quickstart sees exactly the lines that stand below it."""
    program = next(block for block in blocks("python") if block.startswith("# quickstart.py"))
    (tmp_path / "quickstart.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "quickstart.py"],
        cwd=tmp_path,
        env={**os.environ, "SAGA_DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == blocks("text")[0]


def test_the_readme_names_both_commands() -> None:
    """The two commands of the README are targets of the Makefile."""
    makefile = (ROOT / "Makefile").read_text()
    for command in re.findall(r"^make (\S+)", "\n".join(blocks("sh")), re.MULTILINE):
        assert f"\n{command}:" in makefile


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """A link to a file of the repository leads to one that is there."""
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
