"""The mutants fit the source as it is, so that a bug that was seeded is a bug that is run."""

from __future__ import annotations

import ast

import pytest

from tests.proof.mutants.catalogue import MUTANTS
from tests.proof.mutants.mutant import FULL, ROOT, Hunk, Moved, Mutant

LEAST = 30


def test_there_are_enough_mutants_and_no_two_have_one_name() -> None:
    """At least thirty, by as many names."""
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= LEAST


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source_and_gives_a_program(mutant: Mutant) -> None:
    """Each of its old texts stands in its file exactly once, and what comes of it can be compiled."""
    for file in mutant.files():
        source = (ROOT / file).read_text()
        changed = mutant.changed(file, source)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source)), "it changes nothing"


def test_a_mutant_whose_place_has_moved_is_an_error() -> None:
    """It says what to do."""
    lost = Mutant("lost", "S1", "nothing", (Hunk("saga/ids.py", "no such text", ""),), FULL)
    with pytest.raises(Moved, match="the code moved: mend the mutant"):
        lost.changed("saga/ids.py", (ROOT / "saga/ids.py").read_text())
