"""The programs of the pages are run, and print what stands below them; the pictures are what their script draws."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support import repository

DOCS = repository.ROOT / "docs"
PICTURES = DOCS / "pictures"
PROGRAM = re.compile(r"^```python\n(# (\w+\.py)\n.*?)^```\n\n```text\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def programs(page: str) -> list[tuple[str, str, str]]:
    """Name, code and output of each program on a page."""
    return [(name, code, said) for code, name, said in PROGRAM.findall((DOCS / page).read_text())]


@pytest.mark.parametrize(
    "page",
    [
        "breakers.md",
        "changing-code.md",
        "doing-without.md",
        "in-doubt.md",
        "retention.md",
        "starting.md",
        "waiting.md",
        "what-the-customer-sees.md",
    ],
)
def test_the_programs_print_what_the_page_shows(page: str, database_url: str, tmp_path: Path) -> None:
    """Who copies a program sees exactly the lines that stand below it; a later one may import an earlier one."""
    found = programs(page)
    assert len(found) == (DOCS / page).read_text().count("```python\n"), (
        "every program has its output below it"
    )
    for name, code, said in found:
        (tmp_path / name).write_text(code)
        done = subprocess.run(
            [sys.executable, name],
            cwd=tmp_path,
            env={**os.environ, "SAGA_DATABASE_URL": database_url},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout == said


def test_the_pictures_are_what_their_script_draws() -> None:
    """docs/pictures/draw.py is run again when it is changed."""
    drawn = runpy.run_path(str(PICTURES / "draw.py"))["PICTURES"]
    assert {path.stem for path in PICTURES.glob("*.svg")} == set(drawn)
    for name, draw in drawn.items():
        assert (PICTURES / f"{name}.svg").read_text() == draw(), "run docs/pictures/draw.py"


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.stem)
def test_a_picture_needs_nothing_from_elsewhere(picture: Path) -> None:
    """It is well-formed, has a title for those who cannot see it, and loads nothing."""
    root = ET.fromstring(picture.read_text())
    names = {element.tag.rsplit("}", 1)[-1] for element in root.iter()}
    assert names <= {"svg", "g", "title", "rect", "line", "polygon", "circle", "text"}
    assert not [a for e in root.iter() for a in e.attrib if a.endswith(("href", "src"))]
    assert root.findtext(".//{http://www.w3.org/2000/svg}title")


def test_each_curve_of_growth_is_shown_and_was_measured() -> None:
    """What `make growth` has written, all of it and nothing else, is on the page of performance; nothing in it is loaded from elsewhere."""
    curves = sorted((DOCS / "growth").glob("*.svg"))
    measured = json.loads((DOCS / "growth" / "figures.json").read_text())
    page = (DOCS / "performance.md").read_text()
    assert {path.stem for path in curves} == set(measured)
    for curve in curves:
        assert f"(growth/{curve.name})" in page
        links = [
            v
            for e in ET.fromstring(curve.read_text()).iter()
            for a, v in e.attrib.items()
            if a.endswith("href")
        ]
        assert all(link.startswith("#") for link in links)
