"""A worker that has too little CPU holds fewer sagas, and more again when its loop keeps up."""

from __future__ import annotations

from saga_worker.concurrency import LAG_S, LEAST, Concurrency

LATE = LAG_S * 2


def test_a_lag_halves_what_is_held_and_quiet_brings_it_back() -> None:
    """Half at once, a quarter more for each second in which the loop keeps up, never more than it was told."""
    held = Concurrency(200)
    held.lagged(LATE, taken=160, now=10.0)
    assert held.room(80) == 0
    for second in range(11, 20):
        held.lagged(0.0, taken=80, now=float(second))
    assert held.room(0) == 200


def test_a_change_shows_its_effect_before_the_next() -> None:
    """Ten claims within a second that all lag are one reason and not ten."""
    held = Concurrency(200)
    for claim in range(10):
        held.lagged(LATE, taken=200, now=10.0 + claim / 20)
    assert held.room(0) == 100


def test_it_never_takes_nothing() -> None:
    """A worker whose loop always lags goes on with a few; one that was told to hold one holds one."""
    held, alone = Concurrency(200), Concurrency(1)
    for second in range(100):
        held.lagged(LATE, taken=held.room(0), now=float(second))
        alone.lagged(LATE, taken=1, now=float(second))
    assert (held.room(0), alone.room(0)) == (LEAST, 1)


def test_a_lag_with_room_to_spare_counts_from_what_is_taken() -> None:
    """Halving a limit that nobody has reached would change nothing."""
    held = Concurrency(200)
    held.lagged(LATE, taken=40, now=10.0)
    assert held.room(0) == 20
