"""Mutants of how an effect is sent and sent again: intent, key, request, budgets."""

from __future__ import annotations

from tests.proof.mutants.mutant import FORGETS, FULL, PATIENT, SHORT_KEYS, Hunk, Mutant

SETTLER = "workers/saga_worker/settler.py"
EFFECTS = "workers/saga_worker/effects.py"
FACTS = "saga/core/facts.py"
DECIDE = "saga/core/decide.py"
_AT_ONCE = (
    "self._begin(effect, Written(True, False, frozenset({(effect.identity, effect.direction)}), 0, False,"
    " self._run.clocks.now(), self._run.clocks.boot()))"
)

MUTANTS = (
    Mutant(
        "send-before-commit",
        "S5",
        "a request leaves while its intent is still on its way to the database",
        (
            Hunk(
                "workers/saga_worker/settlers.py",
                "first.add_done_callback(lambda first: self._written(effect, first))",
                _AT_ONCE,
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "new-key-on-retry",
        "S7",
        "each attempt has a key of its own",
        (Hunk(SETTLER, "effect.key, undone, attempt,", 'f"{effect.key}{attempt}", undone, attempt,'),),
        runs=FULL,
    ),
    Mutant(
        "other-arguments-on-resend",
        "S8",
        "after a restart the arguments are encoded anew, and differently",
        (
            Hunk(
                EFFECTS,
                "row.key, row.request_hash, row.arguments,\n",
                "row.key, row.request_hash, json.dumps(json.loads(row.arguments), indent=1),\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "key-life-ignored",
        "S10",
        "an effect is sent again although its key may be forgotten by then",
        (
            Hunk(
                FACTS,
                "    if not effect.promises.dedups or effect.key_expires is None:\n",
                "    if True:\n",
            ),
        ),
        runs=SHORT_KEYS,
    ),
    Mutant(
        "resend-without-dedup",
        "S14",
        "a doubt is sent again to a service that remembers no keys",
        (
            Hunk(
                FACTS,
                "resendable = effect.promises.dedups and not pointless",
                "resendable = not pointless",
            ),
        ),
        runs=FORGETS,
    ),
    Mutant(
        "take-over-at-once",
        "S33",
        "whoever takes a saga over thinks that the old call is over already",
        (
            Hunk(
                EFFECTS,
                "first_intent=row.first_intent_at, deadline=row.deadline_at,",
                "first_intent=row.first_intent_at, deadline=clocks.now() - step.service.promises.lateness,",
            ),
            Hunk(
                EFFECTS, "effect.quiet_boot = clocks.boot() + left\n", "effect.quiet_boot = clocks.boot()\n"
            ),
        ),
        runs=PATIENT,
    ),
    Mutant(
        "evidence-not-loaded",
        "S9",
        "after a restart only the rows of effects are known, and not what was observed",
        (Hunk(EFFECTS, "evidence=list(seen), status=row.status", "evidence=[], status=row.status"),),
        runs=FULL,
    ),
    Mutant(
        "never-sent-is-assumed",
        "S9",
        "an intent that another worker left without an outcome counts as never sent",
        (
            Hunk(
                "saga/core/verdict.py",
                'found[n] = Unknown("its worker went away before it told the outcome")',
                'found[n] = NotExecuted("never sent", rule="assumed")',
            ),
        ),
        runs=FORGETS,
    ),
)
