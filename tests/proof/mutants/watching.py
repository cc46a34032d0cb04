"""Mutants that need a person, or a service that breaks its word, to be seen: acts, audit, late watches, alarms."""

from __future__ import annotations

from tests.proof.mutants.mutant import ALL, LIARS, PATIENT, Hunk, Mutant

OUTCOMES = "saga/testing/store/models/outcomes.py"
ACTS = "saga/testing/store/models/acts.py"
SETTLER = "workers/saga_worker/settler.py"

MUTANTS = (
    Mutant(
        "forward-after-cancel",
        "S32",
        "an attempt begins although a cancel is requested, or the saga has turned",
        (
            Hunk(
                OUTCOMES,
                '        if its_way and (backward or not s["cancel_requested"]):\n',
                "        if its_way or True:\n",
            ),
        ),
        runs=ALL,
    ),
    Mutant(
        "cancel-forgotten",
        "S31",
        "a cancel that was requested is not looked at",
        (
            Hunk(
                "workers/saga_worker/turning.py",
                "return requested and self.turn(",
                "return False and self.turn(",
            ),
            Hunk(
                OUTCOMES,
                '        if its_way and (backward or not s["cancel_requested"]):\n',
                "        if its_way:\n",
            ),
        ),
        runs=ALL,
    ),
    Mutant(
        "lease-not-checked",
        "S11",
        "a worker whose lease is over sends what it has made durable",
        (Hunk(SETTLER, "if run.lost or not run.clocks.holds(run.lane):", "if run.lost:"),),
        runs=PATIENT,
    ),
    Mutant(
        "watch-not-opened",
        "S16",
        "nobody looks for the late landing of what was settled by silence",
        (
            Hunk(
                "workers/saga_worker/effects.py",
                "        if not self.silent or self.deadline is None:\n",
                "        if True:\n",
            ),
        ),
        runs=LIARS,
    ),
    Mutant(
        "late-landing-not-undone",
        "S16",
        "what landed late is noted, and the saga ends as if it had been undone",
        (
            Hunk(
                "workers/saga_worker/book.py",
                "        return [e for e in found if e.identity not in undone]\n",
                "        return [e for e in found if e.identity in undone]\n",
            ),
        ),
        runs=LIARS,
    ),
    Mutant(
        "alarm-not-raised",
        "S37",
        "evidence against what was settled is kept in silence",
        (
            Hunk(
                "saga/store/sagas.py",
                "        said = contradiction(settled, seen, attempts=attempts, by_hand=by_hand)\n",
                "        said = None\n",
            ),
        ),
        runs=LIARS,
    ),
    Mutant(
        "audit-not-linked",
        "I12",
        "an act in the audit is not bound to the one before it",
        (Hunk("saga/store/audit.py", "json.dumps(detail), digest or FIRST,", "json.dumps(detail), FIRST,"),),
        runs=ALL,
    ),
    Mutant(
        "two-operators-win",
        "S39",
        "of two operators at once both act on what they have seen",
        (
            Hunk(
                "saga/store/acts.py",
                "    if seen.revision != act.revision:\n",
                "    if False:\n",
            ),
            Hunk(
                "saga/store/acts.py",
                'body = {"revision": seen.revision,',
                'body = {"revision": act.revision,',
            ),
        ),
        runs=ALL,
    ),
)
