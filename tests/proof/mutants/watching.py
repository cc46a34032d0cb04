"""Mutants that need a person, or a service that breaks its word, to be seen: acts, audit, late watches, alarms."""

from __future__ import annotations

from tests.proof.mutants.mutant import Hunk, Mutant

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
        faults=25,
    ),
    Mutant(
        "cancel-forgotten",
        "S31",
        "a cancel that was requested is not looked at",
        (
            Hunk(
                "workers/saga_worker/runner.py",
                "        if written.cancel_requested:\n",
                "        if False:\n",
            ),
            Hunk(
                "workers/saga_worker/runner.py",
                "        elif self.saga.cancel_requested:\n",
                "        elif False:\n",
            ),
            Hunk(
                OUTCOMES,
                '        if its_way and (backward or not s["cancel_requested"]):\n',
                "        if its_way:\n",
            ),
        ),
        faults=25,
    ),
    Mutant(
        "lease-not-checked",
        "S11",
        "a worker whose lease is over sends what it has made durable",
        (Hunk(SETTLER, "if run.lost or not run.clocks.holds(run.lane):", "if run.lost:"),),
        faults=25,
    ),
    Mutant(
        "budget-not-checked",
        "S11",
        "a worker that was held up sends although the attempt's deadline is over",
        (Hunk(SETTLER, "        if run.clocks.boot() >= deadline:\n", "        if False:\n"),),
        profiles=("forgets",),
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
        profiles=("liar", "liar-undone"),
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
        profiles=("liar-undone",),
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
        profiles=("once", "liar"),
        faults=25,
    ),
    Mutant(
        "audit-not-linked",
        "I12",
        "an act in the audit is not bound to the one before it",
        (Hunk("saga/store/audit.py", "json.dumps(detail), digest or FIRST,", "json.dumps(detail), FIRST,"),),
        profiles=("full",),
        faults=25,
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
        profiles=("full",),
        faults=25,
    ),
)
