"""Mutants of how a service is let alone, and let in again."""

from __future__ import annotations

from tests.proof.mutants.mutant import BREAKS, Hunk, Mutant

BREAKER = "saga/core/breaker.py"
SETTLER = "workers/saga_worker/settler.py"
SERVICES = "saga/store/services.py"

MUTANTS = (
    Mutant(
        "open-service-called",
        "I20",
        "an attempt is burnt on a service that is open",
        (
            Hunk(
                SETTLER,
                "leave = Leave(name) if services.lets_all_in(name) else await services.leave(name)",
                "leave = Leave(name)",
            ),
            Hunk(
                "workers/saga_worker/runner.py",
                "let_in = [e for e in fresh if self.worker.services.lets_all_in(e.step.service.name)]",
                "let_in = fresh",
            ),
        ),
        runs=BREAKS,
    ),
    Mutant(
        "breaker-never-closes",
        "I11",
        "an open service is let alone for ever",
        (
            Hunk(
                BREAKER,
                "self.next_at is None or self.next_at <= now or self.next_at - now > self.cool_down + RELEASE_EVERY",
                "False",
            ),
        ),
        runs=BREAKS,
    ),
    Mutant(
        "sleepers-not-let-in",
        "I11",
        "a service is closed again, and nobody wakes the sagas that sleep until it is",
        (Hunk(SERVICES, '{"waiting_for": PREFIX + name,', '{"waiting_for": name,'),),
        runs=BREAKS,
    ),
    Mutant(
        "asleep-before-it-is-written",
        "I11",
        "a saga sleeps until a service that the table does not know to be open",
        (
            Hunk(
                "workers/saga_worker/services.py",
                "if circuit.turn != self._circuit(name).turn:",
                "if False:",
            ),
        ),
        runs=BREAKS,
    ),
)
