"""I9: nothing is sent under a key that may have expired."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Requests that could land when the service has forgotten what came first under their key."""
    first: dict[str, float] = {}
    for sent in record.ledger.sent:
        named = sent.named
        promises, policy = record.promises(named.saga, named.step), record.policy(named.saga, named.step)
        began = first.setdefault(named.key, sent.at)
        if (
            promises is None
            or policy is None
            or promises.key_lifetime is None
            or not record.exact(named.saga, named.step)
        ):
            continue
        if sent.at >= began + promises.key_lifetime.total_seconds():
            yield named.saga, f"{named.step} was sent {sent.at - began:.1f} s after its key was first used"
