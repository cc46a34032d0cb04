"""I20: an open service is let alone: nobody sends to it before its cool-down is over.

A breaker that is not heeded burns the attempts of every saga that needs the service.
"""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Requests to a service that everybody could know to be open."""
    yield from dict.fromkeys(record.uninvited)
