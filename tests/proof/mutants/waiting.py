"""Mutants of what a saga waits for: when a wait ends, and who remembers it."""

from __future__ import annotations

from tests.proof.mutants.mutant import WAITS, Hunk, Mutant

MOMENTS = "workers/saga_worker/moments.py"
RECALLED = "workers/saga_worker/recalled.py"

MUTANTS = (
    Mutant(
        "sleep-ends-early",
        "I18",
        "a sleep is over a little before its time",
        (Hunk(MOMENTS, "moment.due <= now and", "moment.due <= now + timedelta(seconds=0.3) and"),),
        runs=WAITS,
    ),
    Mutant(
        "timer-lost-on-takeover",
        "I11",
        "who takes up a saga does not know when its sleep ends",
        (
            Hunk(
                RECALLED,
                "row.step, row.kind, row.position, due=row.due_at, value",
                "row.step, row.kind, row.position, due=None, value",
            ),
        ),
        runs=WAITS,
    ),
    Mutant(
        "drawn-and-not-recorded",
        "I10",
        "what the function has drawn is not written with the intent that follows from it",
        (
            Hunk(
                RECALLED, "            self._fresh.append(moment)\n        return json", "        return json"
            ),
        ),
        runs=WAITS,
    ),
    Mutant(
        "signal-given-twice",
        "I19",
        "who takes up a saga does not know which signals were taken, and nothing in the database objects",
        (
            Hunk(
                RECALLED,
                "                moment.payload = self._sent.pop(row.signal).payload\n",
                "                moment.payload = self._sent[row.signal].payload\n",
            ),
            Hunk(
                "saga/testing/store/models/moments.py",
                '    if signal is not None and any(v["signal"] == signal',
                '    if False and any(v["signal"] == signal',
            ),
        ),
        runs=WAITS,
    ),
    Mutant(
        "signal-in-time-not-heard",
        "I19",
        "a wait is out of time although what was sent until then was not read",
        (Hunk(MOMENTS, "or self._heard_at >= moment.due:", "or True:"),),
        runs=WAITS,
    ),
    Mutant(
        "signal-wakes-nobody",
        "I11",
        "a signal is sent without its wake-up, so that a saga goes to rest beside it",
        (
            Hunk(
                "saga/testing/store/models/signals.py",
                "    made = yield from t.change(found, takes, lambda v: _told(t, v))\n",
                '    made = yield from t.change(found, takes, lambda v: {**v, "inbox": v["inbox"] + 1})\n',
            ),
        ),
        runs=WAITS,
    ),
    Mutant(
        "end-of-a-wait-not-written",
        "I10",
        "that a sleep is over is not recorded, so that it ends at another place when the function is run again",
        (
            Hunk(
                MOMENTS,
                "                taken.ended.append(MomentEnd(moment.identity, moment.completion, moment.signal))\n",
                "                pass\n",
            ),
        ),
        runs=WAITS,
    ),
)
