"""The example with both sides of the barrier: a real service, real HTTP, an engine with its worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

import pytest

from examples.own_service.__main__ import tell
from examples.own_service.story import CHAPTERS, open_warehouse
from tests.integration.barrier.place import Place
from tests.support import repository, rows


@pytest.fixture
def warehouse(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[str]:
    place.execute("DROP TABLE saga_barrier")  # the warehouse makes its own, from its metadata
    process = open_warehouse(place.url, tmp_path)
    monkeypatch.setenv("WAREHOUSE_URL", process.url)
    yield process.url
    process.stop()


async def test_s36_both_sides_settle_without_custom_code(
    database_url: str, warehouse: str, place: Place
) -> None:
    """Lost replies are found, a held request is fenced at once; the evidence says by what each was settled."""
    await tell(database_url, warehouse, place.url)
    lost = rows.effects_of(database_url, "lamp for Rome")[("reserve#1", "forward")]
    assert (lost["attempt"], lost["proof"]) == (1, "probe")
    undone = rows.effects_of(database_url, "lamp for Atlantis")[("reserve#1", "backward")]
    assert (undone["attempt"], undone["proof"]) == (1, "probe")
    fenced = rows.effects_of(database_url, "sofa, cancelled")[("reserve#1", "forward")]
    assert (fenced["attempt"], fenced["status"], fenced["proof"]) == (1, "not_executed", "fenced")
    answers = [row["body"].get("answer") for row in rows.evidence_of(database_url, "sofa, cancelled")]
    assert answers.count("fenced") == 1


def test_the_example_runs_as_it_says() -> None:
    """`python -m examples.own_service` from the root of the repository, with nothing set up."""
    command = [sys.executable, "-m", "examples.own_service"]
    done = subprocess.run(
        command, cwd=repository.ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == len(CHAPTERS)
