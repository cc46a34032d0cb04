"""I17: a cancel that is requested holds: no forward attempt begins after it, and the saga does not complete.

After a pivot has landed it comes too late, and the saga goes forward (S30, S31).
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import Direction, SagaStatus
from saga.testing.invariants.record import Record, SagaClaim
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Cancelled sagas that went on."""
    for cancel in record.cancelled:
        claim = record.claims[cancel.saga]
        if _past_pivot(record, claim):
            continue
        if claim.status is SagaStatus.COMPLETED:
            yield cancel.saga, "its cancel was acknowledged, and it has completed"
        for effect in claim.effects:
            if effect.direction is Direction.FORWARD and effect.intended_at > cancel.at:
                yield cancel.saga, f"{effect.step} was begun after its cancel was acknowledged"


def _past_pivot(record: Record, claim: SagaClaim) -> bool:
    pivots = {e.step for e in claim.effects if claim.step(e).policy.pivot}
    landed = {e.named.step for e in record.lines.get(claim.key, []) if e.action is Action.APPLIED}
    return bool(pivots & landed)
