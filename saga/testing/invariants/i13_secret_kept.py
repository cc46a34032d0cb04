"""I13: the secret that keys derive from is in no log, row, metric or screen."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Texts that hold the canary."""
    if record.canary is None:
        return
    for text in record.texts():
        if record.canary in text:
            yield "", f"the secret is in: {text[:80]}"
