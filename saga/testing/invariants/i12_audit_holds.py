"""I12: the chain of the audit holds: no act is missing, and none was changed."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """What the audit's own check found."""
    for fault in record.chain_faults:
        yield "", fault
