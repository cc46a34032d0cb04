"""Durations as people write them: `timedelta`, or "200ms", "10s", "5m", "24h", "7d", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta

Duration = timedelta | str

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")

WHOLE = 100.0
"""From so many of a unit on no fraction is shown."""


def parse(value: Duration) -> timedelta:
    """The duration as a `timedelta`.

    Raises:
        ValueError: the text is not a duration; the message shows what one looks like.
        TypeError: neither text nor `timedelta` (a bare number has no unit, and would be guessed).
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers without types
        raise TypeError(
            f"{value!r} is not a duration: write a timedelta or a text like '10s', '5m', '24h', '7d'"
        )
    text = value.strip()
    sign = -1 if text.startswith("-") else 1
    body = text.removeprefix("-")
    if not body or _PART.sub("", body) != "":
        raise ValueError(f"{value!r} is not a duration: write it like '200ms', '10s', '5m', '24h', '7d'")
    return sign * timedelta(seconds=sum(float(n) * _UNITS[unit] for n, unit in _PART.findall(body)))


def show(value: timedelta) -> str:
    """The duration in the shortest such text, for people."""
    seconds = value.total_seconds()
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f}ms"
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if abs(seconds) >= size * 2 or (seconds % size == 0 and abs(seconds) >= size):
            number = seconds / size
            return f"{number:.3g}{unit}" if abs(number) < WHOLE else f"{number:.0f}{unit}"
    return f"{seconds:.3g}s"
