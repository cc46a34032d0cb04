"""Durations are read as they are written, and a bare number is never guessed."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga.core.durations import parse, show


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("10s", 10),
        ("5m", 300),
        ("24h", 86400),
        ("7d", 604800),
        ("1h30m", 5400),
        ("1.5s", 1.5),
    ],
)
def test_the_text_means_what_it_says(text: str, seconds: float) -> None:
    """Units from milliseconds to days, alone and together."""
    assert parse(text) == timedelta(seconds=seconds)


def test_a_timedelta_is_taken_as_it_is() -> None:
    """Nothing is converted that has a unit already."""
    assert parse(timedelta(minutes=3)) == timedelta(minutes=3)


@pytest.mark.parametrize("text", ["", "10", "s", "10 parsecs", "-", "1h x", "1e3s"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    """The message shows what one looks like."""
    with pytest.raises(ValueError, match="write it like '200ms'"):
        parse(text)


@pytest.mark.parametrize("value", [10, 1.5, None])
def test_a_number_without_a_unit_is_refused(value: object) -> None:
    """Ten of what?"""
    with pytest.raises(TypeError, match="is not a duration"):
        parse(value)  # type: ignore[arg-type]


@given(st.integers(min_value=0, max_value=86400 * 1000 * 100_000))
def test_what_is_shown_can_be_read_again(milliseconds: int) -> None:
    """`show` gives three digits at least, in a text that `parse` takes."""
    value = timedelta(milliseconds=milliseconds)
    again = parse(show(value))
    assert abs(again - value) <= max(value * 0.006, timedelta(milliseconds=1))
