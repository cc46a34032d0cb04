"""I14: what is there against what was settled is found, whoever is to blame.

Where every service keeps its promises and every operator says what is so, there is nothing to find (I1 to I3). Where one
did not, the saga is alarmed, parked, or put right, once there was evidence. A stated weakness: where an effect was sent
again after silence and has landed, no watch looks for the attempt before it, so its surplus in a completed saga is not found.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import SagaStatus
from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Ended sagas of which something else stands than they say, without an alarm."""
    for claim in record.sagas:
        told = claim.key in record.told
        misled = claim.key in record.misled and not told  # nobody can know yet what was stated wrongly
        if misled or (record.honest and not told) or claim.alarm is not None:
            continue
        expected = record.started.get(claim.key)
        for step, stands in sorted(record.net(claim.key).items()):
            if not record.exact(claim.key, step) or (stands < 0 and claim.key in record.misled):
                continue
            if claim.status is SagaStatus.COMPENSATED and stands and not record.stands(claim.key, step):
                yield claim.key, f"it was compensated, {step} stands {stands} times, and nobody was told"
            if (
                claim.status is SagaStatus.COMPLETED
                and expected is not None
                and stands < int(step in expected)
            ):
                yield claim.key, f"it has completed, {step} stands {stands} times, and nobody was told"
