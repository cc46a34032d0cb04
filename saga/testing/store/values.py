"""Values as Postgres makes and shows them: JSON that is refused, intervals, settings."""

from __future__ import annotations

import json
from datetime import timedelta
from functools import lru_cache

import psycopg

from saga.testing.store.messages import Refusal

_BLANKS = " \t\n\r"


def _refuse(word: str) -> float:
    raise ValueError(word)


@lru_cache(maxsize=4096)
def _is_json(text: str) -> bool:
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def as_json(text: str | None) -> str | None:
    """A text cast to json.

    Raises:
        Refusal: 22P02.
    """
    if text is not None and not _is_json(text):
        raise Refusal("22P02", "invalid input syntax for type json")
    return text


def seconds(of: float | None) -> timedelta | None:
    """`make_interval(secs => of)`."""
    return None if of is None else timedelta(seconds=of)


def shown(milliseconds: int) -> str:
    """A time as a setting shows it: in the largest unit that divides it."""
    if milliseconds == 0:
        return "0"
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def has_texts(values: list[object]) -> bool:
    """Whether any of them is a text."""
    return any(isinstance(item, str) for item in values)


def as_text(value: str) -> str:
    """A text as it arrives: no member of an enum any more.

    Raises:
        psycopg.DataError, UnicodeEncodeError: it cannot be one of Postgres.
    """
    if "\x00" in value:
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    if not value.isascii():
        value.encode()
    return value if value.__class__ is str else str.__str__(value)
