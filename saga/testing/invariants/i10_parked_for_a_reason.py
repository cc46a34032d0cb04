"""I10: a saga is parked in doubt only when its budget is spent and no fresh evidence was to be had."""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import Direction, EffectStatus, ParkCause, SagaStatus
from saga.testing.invariants.record import EffectClaim, Record, SagaClaim


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Sagas that wait for a person although the engine could have gone on asking."""
    for claim in record.sagas:
        if claim.status is not SagaStatus.PARKED:
            continue
        if claim.park_cause in (ParkCause.CODE_FAILED, ParkCause.CODE_CHANGED, ParkCause.UNSTORABLE):
            yield claim.key, f"it was parked as {claim.park_cause}, and its code is sound"
        doubted = [e for e in claim.effects if e.status in (EffectStatus.SENT, EffectStatus.DOUBT)]
        if claim.park_cause == ParkCause.IN_DOUBT and not any(_spent(claim, e) for e in doubted):
            yield claim.key, "it was parked in doubt, and could still have asked"


def _spent(claim: SagaClaim, effect: EffectClaim) -> bool:
    step = claim.step(effect)
    handlers = step if effect.direction is Direction.FORWARD else step.compensation
    assert handlers is not None, "it was sent"
    policy = handlers.policy
    if (
        effect.probes >= policy.probes
        or (effect.doubted_for or 0.0) >= policy.settle_within.total_seconds() * 0.9
    ):
        return True
    if handlers.probe is None:
        # Nobody can be asked (S24): it was sent as often as it may be, or its key has aged.
        repeats = step.service.promises.dedups
        return not repeats or effect.attempt >= policy.retry.attempts or not policy.can_probe
    # A service that replays an error that it has kept is asked, and not sent to again (S20).
    return False
