"""Delays: exponential with full jitter, bounded on both sides, for any number of attempts."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga.core.retry import Retry, backoff

FIRST, MOST = timedelta(milliseconds=200), timedelta(seconds=30)
unit_interval = some.floats(0, 1, exclude_max=True)


@given(some.integers(1, 10**6), unit_interval)
def test_a_delay_is_never_negative_and_never_more_than_the_most(number: int, jitter: float) -> None:
    """Not even after a million attempts, whose power of two would overflow."""
    assert timedelta(0) <= backoff(number, FIRST, MOST, jitter) <= MOST


@given(some.integers(1, 100), unit_interval, unit_interval)
def test_jitter_is_full(number: int, one: float, other: float) -> None:
    """It spreads over the whole of the delay, from nothing to the ceiling, in order."""
    low, high = sorted((one, other))
    assert backoff(number, FIRST, MOST, low) <= backoff(number, FIRST, MOST, high)
    assert backoff(number, FIRST, MOST, 0.0) == timedelta(0)


@pytest.mark.parametrize(("number", "seconds"), [(1, 0.2), (2, 0.4), (3, 0.8), (8, 25.6), (9, 30), (10, 30)])
def test_the_ceiling_doubles_up_to_the_most(number: int, seconds: float) -> None:
    """From the first delay on."""
    assert backoff(number, FIRST, MOST, 1.0) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("retry", "sentence"),
    [
        (Retry(attempts=0), "attempts must be at least 1"),
        (Retry(first=timedelta(0)), "first must be more than zero"),
        (Retry(first=timedelta(seconds=2), most=timedelta(seconds=1)), "not more than most"),
        (Retry(give_up=timedelta(0)), "give_up must be more than zero"),
    ],
)
def test_what_cannot_be_meant_is_named(retry: Retry, sentence: str) -> None:
    """As a sentence, before anything runs."""
    (problem,) = retry.problems()
    assert sentence in problem
    assert Retry().problems() == []
