"""I2: of a saga that has completed, each effect stands exactly once."""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import SETTLED, Direction, EffectStatus, SagaStatus
from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Completed sagas of which the ledger has something else than their steps."""
    for claim in record.sagas:
        if claim.status is not SagaStatus.COMPLETED or claim.alarm is not None:
            continue
        for effect in claim.effects:
            if effect.status not in SETTLED:
                yield claim.key, f"it has completed, and {effect.step} is {effect.status}"
        net = record.net(claim.key)
        expected = record.started.get(claim.key)
        if expected is None:
            expected = frozenset(
                e.step for e in claim.effects
                if e.direction is Direction.FORWARD and e.status is EffectStatus.SUCCEEDED
            )  # fmt: skip
        doubtful = {e.step for e in claim.effects if e.status is EffectStatus.ACCEPTED}
        for step in sorted({*net, *expected} - doubtful):
            stands, should = net.get(step, 0), int(step in expected)
            if stands > should and not record.honest:
                continue  # what a service that lies adds after a resend, nobody looks for (see I14)
            if stands != should and (record.exact(claim.key, step) or stands < should):
                yield claim.key, f"it has completed, and {step} stands {stands} times, not {should}"
