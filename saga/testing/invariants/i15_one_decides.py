"""I15: one decision maker per incarnation: an attempt is made once, by one worker.

Two workers that both think that the saga is theirs would send the same attempt, or write under a claim that is over.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Attempts that left twice, and what was written or sent by somebody who had lost the right to."""
    seen: dict[tuple[str, str, str, int], str] = {}
    for sent in record.ledger.sent:
        named = sent.named
        attempt = (named.saga, named.step, str(named.direction), sent.attempt)
        if attempt in seen:
            yield (
                named.saga,
                f"attempt {sent.attempt} of {named.step} was made by {seen[attempt]} and by {sent.worker}",
            )
        seen[attempt] = sent.worker
    yield from dict.fromkeys(record.intrusions)
