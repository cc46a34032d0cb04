"""I5: no request leaves before its intent is committed."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Requests whose intent was not durable when they left."""
    for sent in record.ledger.sent:
        if not sent.durable:
            yield (
                sent.named.saga,
                f"attempt {sent.attempt} of {sent.named.step} left before its intent was committed",
            )
