"""Mutants of how a doubt is settled: what proves what, and when silence is proof."""

from __future__ import annotations

from tests.proof.mutants.mutant import FORGETS, FULL, JUMPING, LAGS, REFUSING, Hunk, Mutant

VERDICT = "saga/core/verdict.py"
EFFECTS = "workers/saga_worker/effects.py"
DECIDE = "saga/core/decide.py"
_QUIET = "    return len(reads) >= QUIET_READS and max(reads) - min(reads) >= promises.staleness\n"
_UNQUIET = Hunk("saga/core/promises.py", "return self.lateness + self.staleness", "return self.lateness")
"""Either rule holds the other: reads are asked behind the staleness, and are spaced by it."""

MUTANTS = (
    Mutant(
        "not-found-is-failed",
        "S13",
        "one “not found” proves that nothing happened",
        (
            Hunk(
                VERDICT,
                _QUIET,
                "    return any(isinstance(e, Probed) and isinstance(e.answer, NotFound) for e in evidence)\n",
            ),
        ),
        runs=FORGETS,
    ),
    Mutant(
        "early-reads-count",
        "S16",
        "a “not found” counts for quiescence whenever it was asked",
        (Hunk(VERDICT, "Probed(attempt=n, phase=Phase.QUIET, at=at,", "Probed(attempt=n, at=at,"),),
        runs=FORGETS,
    ),
    Mutant(
        "one-quiet-read",
        "S16",
        "one “not found” after quiescence is enough, so what lags behind is believed",
        (
            _UNQUIET,
            Hunk(VERDICT, _QUIET, "    return bool(reads)\n"),
        ),
        runs=LAGS,
    ),
    Mutant(
        "staleness-ignored",
        "S16",
        "two “not found” count however close they are, so what lags behind is believed",
        (
            _UNQUIET,
            Hunk(VERDICT, _QUIET, "    return len(reads) >= QUIET_READS\n"),
            Hunk(DECIDE, "return max(effect.promises.staleness, QUIET_GAP)", "return QUIET_GAP"),
        ),
        runs=LAGS,
    ),
    Mutant(
        "quiescence-on-one-clock",
        "S16",
        "quiescence is read off the database's clock alone, which may jump",
        (Hunk(EFFECTS, "            if left > 0:  # both", "            if False:  # both"),),
        runs=JUMPING,
    ),
    Mutant(
        "lateness-ignored",
        "S16",
        "quiescence begins at the deadline, and not when the last request has landed",
        (
            Hunk(
                EFFECTS,
                "quiet = self.deadline + self.step.service.promises.quiet_after\n",
                "quiet = self.deadline\n",
            ),
            Hunk(EFFECTS, "            if left > 0:  # both", "            if False:  # both"),
        ),
        runs=FORGETS,
    ),
    Mutant(
        "refusal-speaks-for-all",
        "S17",
        "a refusal of the last attempt settles an attempt before it that is in doubt",
        (
            Hunk(
                VERDICT,
                "    if policy.kind is Kind.READS or not doubted:\n",
                "    if policy.kind is Kind.READS or not doubted or isinstance(last, Refused):\n",
            ),
        ),
        runs=REFUSING,
    ),
    Mutant(
        "parked-at-the-first-doubt",
        "S22",
        "a doubt is parked before its budget is spent",
        (
            Hunk(
                "saga/core/facts.py",
                "spent or effect.probes >= effect.policy.probes",
                "spent or effect.probes >= 1",
            ),
        ),
        runs=FULL,
    ),
)
