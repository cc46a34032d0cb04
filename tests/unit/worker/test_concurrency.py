"""A worker that is too slow for what it holds takes less, and more again when it keeps up."""

from __future__ import annotations

from saga.ids import uuid7
from saga_worker.concurrency import FIRST, FORGOTTEN_S, LAG_S, LEAST, OUT_S, Calls, Concurrency

LATE = LAG_S * 2


def round_of_calls(held: Concurrency, waited: float, now: float) -> None:
    """One call of each saga that it may hold."""
    taken = held.room(0, now)
    for _ in range(taken):
        held.called(waited, taken, now)


def grown(most: int = 200) -> Concurrency:
    """As many as it was told."""
    held = Concurrency(most)
    for second in range(6):
        round_of_calls(held, 0.01, float(second))
    assert held.room(0, 6.0) == most
    return held


def test_it_begins_with_a_few_and_doubles() -> None:
    """Four rounds of calls, some hundredths of a second each, from 16 to 200; never more than it was told."""
    held, seen = Concurrency(200), []
    for second in range(6):
        seen.append(held.room(0, float(second)))
        round_of_calls(held, 0.01, float(second))
    assert seen == [FIRST, 32, 64, 128, 200, 200]


def test_calls_that_take_an_hour_hold_nobody_back() -> None:
    """Whoever was let in makes one call, and does not come to its end: ten rounds to ten thousand."""
    held, taken, rounds = Concurrency(10_000), 0, 0
    while taken < 10_000:
        room = held.room(taken, float(rounds))
        taken += room
        for _ in range(room):
            held.called(0.01, taken, float(rounds))
        rounds += 1
    assert rounds == 11


def test_what_was_too_much_is_forgotten() -> None:
    """A hundred calls that do not end, over a limit of fifty, let nobody in who could raise it; half a minute later a few come in."""
    held = grown()
    held.called(LATE, 100, 10.0)
    assert held.room(100, 10.0 + FORGOTTEN_S - 1) == -50
    assert held.room(100, 10.0 + FORGOTTEN_S) == FIRST
    for _ in range(FIRST):
        held.called(0.01, 116, 41.0)
    assert held.room(116, 41.0) == 84


def test_calls_that_wait_too_long_halve_what_is_held() -> None:
    """A whole round of them within a second is one reason and not two hundred; what is taken counts, not the limit."""
    held = grown()
    round_of_calls(held, LATE, 10.0)
    assert held.room(80, 10.0) == 20
    few = grown()
    few.called(LATE, 40, 10.0)
    assert few.room(0, 10.0) == 20


def test_beyond_what_was_too_much_it_feels_its_way() -> None:
    """From a hundred it does not double again: eight more a round."""
    held = grown()
    held.called(LATE, 200, 10.0)
    round_of_calls(held, 0.01, 11.0)
    assert held.room(0, 11.0) in range(106, 109)


def test_it_never_takes_nothing() -> None:
    """A worker that is always late goes on with a few; one that was told to hold one holds one."""
    held, alone = grown(), Concurrency(1)
    for second in range(10, 100):
        round_of_calls(held, LATE, float(second))
        round_of_calls(alone, LATE, float(second))
    assert (held.room(0, 100.0), alone.room(0, 100.0)) == (LEAST, 1)


def test_a_saga_whose_call_is_out_is_no_work() -> None:
    """From a tenth of a second on, until its newest call comes back; one that comes back at once never was."""
    calls, (quick, slow, again) = Calls(), (uuid7() for _ in range(3))
    for saga in (slow, quick, again):
        calls.began(saga, 1.0)
    calls.ended(quick)
    assert calls.long(1.0 + OUT_S / 2) == 0
    calls.began(again, 1.0 + OUT_S)
    assert calls.long(1.0 + OUT_S) == 1
    assert calls.long(1.0 + OUT_S * 3) == 2
    calls.ended(slow)
    calls.ended(slow)
    assert calls.long(9.0) == 1
