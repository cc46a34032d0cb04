"""I1: no effect is applied twice.

A service that dedups takes care of copies, as long as the key and its life are respected; a service that does not
is sent a second request only when the first can never land.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record
from saga.testing.simulation.ledger import Action


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Steps that were applied, or undone, more than once."""
    for saga, entries in record.lines.items():
        counts: dict[tuple[str, Action], int] = {}
        for entry in entries:
            if entry.action in (Action.APPLIED, Action.UNDONE) and record.exact(saga, entry.named.step):
                of = (entry.named.step, entry.action)
                counts[of] = counts.get(of, 0) + 1
        for (step, action), count in counts.items():
            if count > 1:
                yield saga, f"{step} was {action} {count} times"
