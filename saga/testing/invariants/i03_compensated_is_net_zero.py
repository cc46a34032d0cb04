"""I3: of a saga that was compensated nothing stands, and nothing was undone that had not landed."""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import SagaStatus
from saga.testing.invariants.record import Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """What stands of compensated sagas, and undos that came before their effect."""
    for claim in record.sagas:
        if claim.status is SagaStatus.COMPENSATED and claim.alarm is None:
            for step, stands in sorted(record.net(claim.key).items()):
                if stands and not record.stands(claim.key, step):
                    yield claim.key, f"it was compensated, and {step} stands {stands} times"
    for saga, entries in record.lines.items():
        standing: dict[str, int] = {}
        for entry in entries:
            step = entry.named.step
            if entry.action is Action.APPLIED:
                standing[step] = standing.get(step, 0) + 1
            elif entry.action is Action.UNDONE:
                if standing.get(step, 0) == 0 and record.honest:
                    yield saga, f"{step} was undone, and had not landed"
                standing[step] = standing.get(step, 0) - 1
