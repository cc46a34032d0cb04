"""What may be said of a start: its business key, and when it begins.

Rule that holds here: what cannot be meant is refused with a sentence before a row is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from saga.core.durations import Duration, parse
from saga.errors import InputError, Unstorable

KEY_LIMIT = 500
"""The longest business key, in characters: an index entry must hold it."""
LATEST = timedelta(days=36_500)
"""A start in more than a century is a slip."""


@dataclass(frozen=True, slots=True)
class How:
    """How a saga starts. after, at: when it begins by the database's clock, in seconds from now, or of Unix time; neither: now."""

    after: float | None = None
    at: float | None = None


def how(after: Duration | None, at: datetime | None) -> How:
    """How it starts, if that can be meant.

    Raises:
        InputError: both are said, or what is said cannot be meant.
    """
    if after is not None and at is not None:
        raise InputError("after= and at= say the same thing: give one of them")
    if after is not None:
        return How(after=_later(after))
    if at is None:
        return How()
    if at.tzinfo is None:
        raise InputError(f"at={at.isoformat()} has no time zone: write datetime.now(UTC) + …, say")
    return How(at=at.timestamp())


def _later(after: Duration) -> float:
    span = parse(after)
    if not timedelta(0) <= span <= LATEST:
        raise InputError(
            f"after={after} is negative, or more than {LATEST.days} days: write a duration such as 2h"
        )
    return span.total_seconds()


def check_key(key: str) -> None:
    """Refuse a business key that cannot be stored.

    Raises:
        Unstorable: with the sentence.
    """
    if not key or len(key) > KEY_LIMIT:
        raise Unstorable(
            f"a key has 1 to {KEY_LIMIT} characters, this one {len(key)}: choose the order's id, say"
        )
    if "\x00" in key or key != key.encode("utf-8", "replace").decode():
        raise Unstorable("a key holds NUL or half of a surrogate pair: choose a plain text")
