"""All mutants, in the order in which they are hunted."""

from __future__ import annotations

from tests.proof.mutants import breaking, sending, settling, storing, undoing, waiting, watching
from tests.proof.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    *sending.MUTANTS,
    *settling.MUTANTS,
    *undoing.MUTANTS,
    *storing.MUTANTS,
    *watching.MUTANTS,
    *waiting.MUTANTS,
    *breaking.MUTANTS,
)
