"""Mutants of what is written, and by whom: commits, fences, claims, wake-ups; SQL is changed in its model."""

from __future__ import annotations

from tests.proof.mutants.mutant import ALL, FULL, ONCE, Hunk, Mutant

JOURNAL = "saga/store/journal.py"
BATCH = "saga/store/batch.py"
RUNNER = "workers/saga_worker/runner.py"
OUTCOMES = "saga/testing/store/models/outcomes.py"

MUTANTS = (
    Mutant(
        "commit-not-verified",
        "S6",
        "a COMMIT that answers ROLLBACK is taken for a commit",
        (Hunk(BATCH, '    if commit.statusmessage != "COMMIT":\n', "    if False:\n"),),
        runs=FULL,
    ),
    Mutant(
        "lost-commit-is-written-again",
        "S6",
        "a batch whose COMMIT lost its reply is written again under a new number",
        (
            Hunk(
                JOURNAL,
                "                    done = await self._recover(connection, batch, boot) if sent else None\n",
                "                    done = None\n"
                "                    if sent:\n"
                "                        batch = Batch(next(self._numbers), self.state, batch.units, batch.claim)\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "warning-swallowed",
        "S6",
        "a commit that the replica has not confirmed counts as any other",
        (Hunk(JOURNAL, "        while self._warned:\n", "        while False:\n"),),
        runs=FULL,
    ),
    Mutant(
        "outcome-lost",
        "S3",
        "the outcome that travels with the next intent is not written",
        (
            Hunk(
                RUNNER,
                "done = self.submit(settled, intents=intents, saga=saga, moments=moments)",
                "done = self.submit(NOTHING if intents else settled, intents=intents, saga=saga, moments=moments)",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "last-good-value-not-read",
        "S3",
        "a replay does not know the value that took the place of a failure, and tells the failure",
        (
            Hunk(
                "workers/saga_worker/effects.py",
                "effect.stand_in = failures.stand_in_of(row)",
                "effect.stand_in = None",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "no-fence",
        "S33",
        "a worker that was declared dead goes on writing",
        (
            Hunk(
                "saga/testing/store/models/journal.py",
                "    if not (yield from t.lock(found, fits)):\n",
                "    if not (yield from t.lock(found, fits)) and False:\n",
            ),
        ),
        runs=ALL,
    ),
    Mutant(
        "epoch-not-checked",
        "S33",
        "a run whose claim is over writes on, and no write is compared with the claim",
        (
            Hunk(
                OUTCOMES,
                '    if v is None or v["epoch"] != epoch or v["lane"] != p["lane"] or v["owner"] != p["me"]:\n',
                "    if v is None:\n",
            ),
            Hunk(
                OUTCOMES,
                '        held = s["epoch"] == u["epoch"] and s["lane"] == lane and s["owner"] == me\n',
                "        held = True\n",
            ),
            Hunk(RUNNER, "        self.lost = True\n        self.settlers.cancel_idle()\n", "        pass\n"),
        ),
        runs=ALL,
    ),
    Mutant(
        "inbox-not-compared",
        "S25",
        "a saga goes to rest although something came for it meanwhile",
        (
            Hunk(
                OUTCOMES,
                'return held and (u["seen"] is None or u["seen"] == s["inbox"])',
                "return held",
            ),
        ),
        runs=ALL,
    ),
    Mutant(
        "orphans-of-the-living",
        "S33",
        "sagas are taken from workers that are alive",
        (
            Hunk(
                "saga/testing/store/models/leases.py",
                "        if owner not in alive\n",
                "        if owner is not None\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "orphans-are-left",
        "S9",
        "sagas of a worker that was declared dead stay its own",
        (
            Hunk(
                "saga/testing/store/models/leases.py",
                "        if owner not in alive\n",
                "        if owner is None\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "secret-logged",
        "I13",
        "the secret that keys derive from is in the log",
        (
            Hunk(
                "workers/saga_worker/book.py",
                "        return effect_key(\n",
                '        log.warning("key_derived", secret=self._engine.secret.decode())\n        return effect_key(\n',
            ),
            Hunk(
                "workers/saga_worker/book.py",
                "from saga.engine import Engine\n",
                "from saga.engine import Engine\nfrom saga.logs import log\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "secret-stored",
        "I13",
        "the secret that keys derive from is in a row",
        (
            Hunk(
                "workers/saga_worker/records.py",
                "park_reason=clean(parking.reason),",
                'park_reason=clean(f"{parking.reason} canary-7b1f"),',
            ),
        ),
        runs=ONCE,
    ),
)
