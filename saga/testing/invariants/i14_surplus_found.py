"""I14: an effect that is there more often than it should is found, whoever is to blame.

Where every service keeps its promises there is none (I1). Where one did not, the saga is alarmed or parked.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import SagaStatus
from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Ended sagas of which more stands than they say, without an alarm."""
    for claim in record.sagas:
        ended = claim.status in (SagaStatus.COMPLETED, SagaStatus.COMPENSATED)
        if not ended or claim.alarm is not None or record.honest:
            continue
        for step, stands in sorted(record.net(claim.key).items()):
            if stands > 1 and record.exact(claim.key, step):
                yield claim.key, f"{step} stands {stands} times, and nobody was told"
