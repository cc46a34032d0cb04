"""What may be said of a start: its business key, when it begins, and what it is found by.

Rule that holds here: what cannot be meant is refused with a sentence before a row is written.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from saga.core.durations import Duration, parse
from saga.errors import InputError, Unstorable

KEY_LIMIT = 500
"""The longest business key, in characters: an index entry must hold it."""
TAGS_LIMIT = 16
TAG_NAME_LIMIT, TAG_VALUE_LIMIT = 50, 200
"""In characters: an index entry must hold both."""
LATEST = timedelta(days=36_500)
"""A start in more than a century is a slip."""


@dataclass(frozen=True, slots=True)
class How:
    """How a saga starts. after, at: when it begins by the database's clock, in seconds from now, or of Unix time; neither: now.

    tags: what it is found by, as JSON text, or None.
    """

    after: float | None = None
    at: float | None = None
    tags: str | None = None


def how(after: Duration | None, at: datetime | None, tags: Mapping[str, str] | None = None) -> How:
    """How it starts, if that can be meant.

    Raises:
        InputError: two times are said, or what is said cannot be meant. Unstorable: a tag is no plain text.
    """
    said = None if not tags else json.dumps(checked(tags), sort_keys=True)
    if after is not None and at is not None:
        raise InputError("after= and at= say the same thing: give one of them")
    if after is not None:
        return How(after=_later(after), tags=said)
    if at is None:
        return How(tags=said)
    if at.tzinfo is None:
        raise InputError(f"at={at.isoformat()} has no time zone: write datetime.now(UTC) + …, say")
    return How(at=at.timestamp(), tags=said)


def _later(after: Duration) -> float:
    span = parse(after)
    if not timedelta(0) <= span <= LATEST:
        raise InputError(
            f"after={after} is negative, or more than {LATEST.days} days: write a duration such as 2h"
        )
    return span.total_seconds()


def checked(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags, if they can be kept and found again.

    Raises:
        InputError: too many, too long, or no texts. Unstorable: a text that Postgres cannot hold.
    """
    if len(tags) > TAGS_LIMIT:
        raise InputError(f"a saga has at most {TAGS_LIMIT} tags, this one {len(tags)}: tag what you look for")
    for name, value in tags.items():
        words: list[Any] = [name, value]  # callers without types
        if not all(isinstance(word, str) for word in words):
            raise InputError(f"the tag {name!r}: {value!r} is not two texts: write str(…)")
        if not 1 <= len(name) <= TAG_NAME_LIMIT or "=" in name:
            raise InputError(
                f"the tag {name!r}: its name has 1 to {TAG_NAME_LIMIT} characters and no '=': choose a word such as tenant"
            )
        if len(value) > TAG_VALUE_LIMIT:
            raise InputError(
                f"the tag {name!r} has a value of {len(value)} characters, {TAG_VALUE_LIMIT} is the most: put the rest "
                "into the input"
            )
        _check_plain(f"the tag {name!r}", name + value)
    return dict(tags)


def check_key(key: str) -> None:
    """Refuse a business key that cannot be stored.

    Raises:
        Unstorable: with the sentence.
    """
    if not key or len(key) > KEY_LIMIT:
        raise Unstorable(
            f"a key has 1 to {KEY_LIMIT} characters, this one {len(key)}: choose the order's id, say"
        )
    _check_plain("a key", key)


def _check_plain(what: str, text: str) -> None:
    if "\x00" in text or text != text.encode("utf-8", "replace").decode():
        raise Unstorable(f"{what} holds NUL or half of a surrogate pair: choose a plain text")
