"""I4: no compensation is sent while an effect of the saga is in doubt.

Read off the ledger: after the first request to undo anything, no forward effect of that saga lands any more, and none is
decided to be sent; but for one whose doubt its step accepts, which has nothing to undo (S24). A request that a worker
had decided before, and that left when the worker was thawed, is as one that was long on its way: it must not land.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.core.model import Direction
from saga.core.promises import InDoubt
from saga.testing.invariants.record import Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Forward effects that landed after the saga had begun to undo."""
    for saga, sent in record.sent.items():
        undone_from = min((s.at for s in sent if s.named.direction is Direction.BACKWARD), default=None)
        if undone_from is None or not record.honest:
            continue
        for entry in record.lines.get(saga, []):
            if (
                entry.action is Action.APPLIED
                and entry.at > undone_from
                and record.exact(saga, entry.named.step)
                and not _accepted(record, saga, entry.named.step)
            ):
                yield saga, f"{entry.named.step} landed after the saga had begun to undo"
        for one in sent:
            if one.named.direction is Direction.FORWARD and one.checked > undone_from:
                yield saga, f"{one.named.step} was sent after the saga had begun to undo"


def _accepted(record: Record, saga: str, step: str) -> bool:
    policy = record.policy(saga, step)
    return policy is not None and policy.in_doubt is InDoubt.ACCEPT
