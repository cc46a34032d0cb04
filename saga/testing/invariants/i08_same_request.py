"""I8: every attempt of an effect is the same request, under the same key."""

from __future__ import annotations

from collections.abc import Iterator

from saga.testing.invariants.record import Record


def broken(record: Record) -> Iterator[tuple[str, str]]:
    """Effects that were sent under two keys, or with two requests; and keys that two effects share."""
    first: dict[tuple[str, str, str], tuple[str, str]] = {}
    owner: dict[tuple[str, str], tuple[str, str, str]] = {}
    for sent in record.ledger.sent:
        named = sent.named
        effect = (named.saga, named.step, str(named.direction))
        key, arguments = first.setdefault(effect, (named.key, sent.arguments))
        if key != named.key:
            yield named.saga, f"{named.step} was sent under two keys"
        if arguments != sent.arguments:
            yield named.saga, f"{named.step} was sent with two requests"
        if owner.setdefault((named.service, named.key), effect) != effect:
            yield named.saga, f"{named.step} was sent under the key of another effect"
