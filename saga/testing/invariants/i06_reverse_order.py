"""I6: effects are undone in the reverse of the order in which they were begun, one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from saga.core.model import Direction
from saga.testing.invariants.record import Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Compensations that were sent out of order, or before the one before them had run."""
    for claim in record.sagas:
        saga = claim.key
        begun = {e.step: e.position for e in claim.effects if e.direction is Direction.FORWARD}
        undone: list[tuple[float, str]] = []
        for one in record.sent.get(saga, []):
            step = one.named.step
            if one.named.direction is Direction.BACKWARD and step not in [s for _, s in undone]:
                undone.append((one.at, step))
        ran = {
            e.named.step: e.at for e in record.lines.get(saga, []) if e.action is Action.UNDONE
        }  # fmt: skip
        for (_, first), (at, then) in pairwise(undone):
            if record.honest and begun.get(first, 0) < begun.get(then, 0):
                yield saga, f"{first} was undone before {then}, which began later"
            if ran.get(first, at + 1) > at:
                yield saga, f"the undo of {then} was sent before {first} was undone"
