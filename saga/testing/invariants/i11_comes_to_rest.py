"""I11: when faults stop, every saga ends or is parked within a bound."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Sagas that still move, or were lost."""
    if not record.rested:
        yield "", "not at rest when the time was over: " + (", ".join(record.unrest) or "nobody knows what")
    for failure in record.failures:
        yield "", failure
    for key in record.started:
        if key not in record.claims:
            yield key, "it was started, and is not there"
