"""Mutants of how a saga ends: the turn, the plan, the pivot, the end, and what a customer is told of it."""

from __future__ import annotations

from tests.proof.mutants.mutant import FORGETS, FULL, REFUSING, Hunk, Mutant

UNWIND = "saga/core/unwind.py"
RESTING = "workers/saga_worker/resting.py"
TURNING = "workers/saga_worker/turning.py"
PARALLEL = "saga/parallel.py"
RECORDS = "workers/saga_worker/records.py"
_PLANNED = "if e.undoable and e.status is EffectStatus.SUCCEEDED))"
_UNCHECKED = Hunk(
    RECORDS,
    "    invariants.check(SagaRecord(status, direction, owned=False, plan=plan, effects=_records(effects)))",
    "    del status, direction",
)
"""The worker checks its own ends, and would park the saga: that check is a bug here, too."""

MUTANTS = (
    Mutant(
        "compensate-an-unknown",
        "S26",
        "a saga turns while an effect is in doubt, and undoes it unseen",
        (
            Hunk(UNWIND, "    if open_ones:\n", "    if False:\n"),
            Hunk(
                UNWIND,
                _PLANNED,
                "if e.undoable and e.status in {EffectStatus.SUCCEEDED, *(set(EffectStatus) - SETTLED)}))",
            ),
            Hunk(
                RESTING,
                "    if waits:\n",
                "    if run.turning.error is not None and run.backward is None:\n"
                "        return _turned(run, run.turning.error)\n"
                "    if waits:\n",
            ),
        ),
        runs=FORGETS,
    ),
    Mutant(
        "wrong-order",
        "S27",
        "effects are undone in the order in which they began",
        (Hunk(UNWIND, "key=lambda e: e.position, reverse=True)", "key=lambda e: e.position)"),),
        runs=FULL,
    ),
    Mutant(
        "compensate-what-was-refused",
        "S28",
        "an effect that was refused is undone, too",
        (Hunk(UNWIND, _PLANNED, "if e.undoable))"),),
        runs=FULL,
    ),
    Mutant(
        "one-is-forgotten",
        "S28",
        "the first effect of a saga is not undone",
        (
            Hunk(
                UNWIND, _PLANNED, "if e.undoable and e.status is EffectStatus.SUCCEEDED and e.position > 1))"
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "pivot-ignored",
        "S30",
        "what came before a pivot is undone although the pivot has landed",
        (Hunk(TURNING, "            landed = effect.policy.pivot and", "            landed = False and"),),
        runs=FULL,
    ),
    Mutant(
        "cancel-taken-back",
        "S31",
        "a cancel is taken back although no pivot has landed",
        (Hunk(TURNING, "if cause in BY_REQUEST and self.pivot() is not None:", "if cause in BY_REQUEST:"),),
        runs=FULL,
    ),
    Mutant(
        "refused-undo-counts",
        "S29",
        "an undo that the service refuses counts as done",
        (
            Hunk(
                "workers/saga_worker/backward.py",
                "            if effect.status is not EffectStatus.SUCCEEDED:\n",
                "            if False:\n",
            ),
            Hunk(
                "workers/saga_worker/backward.py",
                "e is not None and e.status is EffectStatus.SUCCEEDED for e in undone",
                "e is not None and e.settled for e in undone",
            ),
            _UNCHECKED,
        ),
        runs=REFUSING,
    ),
    Mutant(
        "completed-with-an-open-branch",
        "S4",
        "a saga completes when its function returns, although a branch of it is in doubt",
        (
            Hunk(
                PARALLEL,
                "    while not all(task.done() for task in tasks):\n",
                "    while not any(task.done() for task in tasks):\n",
            ),
            Hunk(PARALLEL, "asyncio.wait(tasks)", "asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)"),
            Hunk(
                PARALLEL,
                "for task in tasks if task not in ended]",
                "for task in tasks if task not in ended and task.done()]",
            ),
            Hunk(
                PARALLEL,
                "tuple(task.result() for task in tasks)",
                "tuple(task.result() if task.done() else None for task in tasks)",
            ),
            Hunk(
                "workers/saga_worker/flow.py",
                "dict.fromkeys([*called, *self._futures, *self._loop.unseen()])",
                "dict.fromkeys(called)",
            ),
            Hunk(
                RESTING,
                "    if waits:\n",
                "    early = None if run.forward is None or run.turning else run.forward.completed(run.inbox)\n"
                "    if early is not None:\n"
                "        return early\n"
                "    if waits:\n",
            ),
            _UNCHECKED,
        ),
        runs=FULL,
    ),
    Mutant(
        "declined-while-undoing",
        "I16",
        "a customer is told “declined” as soon as the saga has turned",
        (
            Hunk(
                "saga/store/views.py",
                "        return View.PROCESSING if self.needs_person else view_of(self.status, cause)\n",
                "        turned = self.status is SagaStatus.RUNNING and cause is not None\n"
                "        return View.DECLINED if turned else view_of(self.status, cause)\n",
            ),
        ),
        runs=FULL,
    ),
    Mutant(
        "confirmed-before-the-end",
        "I16",
        "a customer is told “confirmed” while the saga still runs",
        (
            Hunk(
                "saga/store/views.py",
                "        return View.PROCESSING if self.needs_person else view_of(self.status, cause)\n",
                "        return View.CONFIRMED if cause is None else view_of(self.status, cause)\n",
            ),
        ),
        runs=FULL,
    ),
)
