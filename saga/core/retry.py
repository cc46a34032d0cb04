"""Attempt and jitter -> delay: exponential with full jitter, bounded.

The source of "full jitter" is Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

_MOST_DOUBLINGS = 40  # 2**40 times any first delay is past every cap; larger powers overflow timedelta


def backoff(number: int, first: timedelta, most: timedelta, jitter: float) -> timedelta:
    """The delay before attempt or probe `number + 1`; `jitter` is drawn from [0, 1) by the caller."""
    ceiling = min(most.total_seconds(), first.total_seconds() * 2 ** min(number - 1, _MOST_DOUBLINGS))
    return timedelta(seconds=ceiling * jitter)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how far apart an effect is attempted.

    attempts: sends in all, the first included. first, most: the shortest and longest ceiling of a delay.
    give_up: no attempt later than this after the first, or None.
    """

    attempts: int = 5
    first: timedelta = timedelta(milliseconds=200)
    most: timedelta = timedelta(seconds=30)
    give_up: timedelta | None = None

    def delay(self, attempts: int, jitter: float) -> timedelta:
        """How long to wait after `attempts` sends."""
        return backoff(attempts, self.first, self.most, jitter)

    def problems(self) -> list[str]:
        """What cannot be meant, as sentences."""
        found: list[str] = []
        if self.attempts < 1:
            found.append("retry: attempts must be at least 1")
        if self.first <= timedelta(0) or self.most < self.first:
            found.append("retry: first must be more than zero and not more than most")
        if self.give_up is not None and self.give_up <= timedelta(0):
            found.append("retry: give_up must be more than zero")
        return found
