"""I7: after the pivot has landed nothing is compensated.

Where a service lands a request later than it promised, the pivot can land when the saga has begun to undo, which then goes on.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import Direction
from saga.testing.invariants.record import Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Compensations of a saga whose pivot stands."""
    for saga, entries in record.lines.items():
        pivots = [
            e.at for e in entries if e.action is Action.APPLIED and _is_pivot(record, saga, e.named.step)
        ]
        undos = [sent for sent in record.sent.get(saga, []) if sent.named.direction is Direction.BACKWARD]
        if not pivots or not undos or (undos[0].at < pivots[0] and not record.honest):
            continue
        for sent in undos:
            if sent.at > pivots[0]:
                yield saga, f"{sent.named.step} was compensated after the pivot"


def _is_pivot(record: Record, saga: str, step: str) -> bool:
    policy = record.policy(saga, step)
    return policy is not None and policy.pivot
