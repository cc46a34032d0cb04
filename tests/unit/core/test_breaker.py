"""The breaker of a service: what opens it, who is let in, what closes it, whatever order things come in."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from saga import Breaker, DefinitionError, Service
from saga.core import breaker
from saga.core.breaker import LAST_WAVE, Circuit, Rules, State, Window

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RULES = Rules(3, timedelta(seconds=10), timedelta(seconds=20))
ACTS = (
    "let in",
    "answered",
    "failed",
    "given back",
    "looked",
    "looked, some wait",
    "opened",
    "hold",
    "unhold",
)
LATER = NOW + timedelta(seconds=21)


def opened() -> Circuit:
    return breaker.opened(Circuit(), NOW, "down", RULES.cool_down, 0)


def test_failures_in_a_row_open_it() -> None:
    """As many as it says, within the time that it says, by the clock of whoever counts."""
    window = Window()
    for at in (0.0, 1.0):
        window = window.failure(at, RULES)
        assert not window.full(RULES)
    assert window.failure(2.0, RULES).full(RULES)


def test_failures_that_are_far_apart_do_not() -> None:
    """Each is forgotten when it is older than the window."""
    window = Window()
    for at in range(0, 100, 6):
        window = window.failure(float(at), RULES)
        assert not window.full(RULES)


@given(some.lists(some.floats(0, 100), max_size=30))
def test_the_window_is_full_when_that_many_lie_within(gaps: list[float]) -> None:
    """Exactly then, for any distances of the failures."""
    window, at, times = Window(), 0.0, list[float]()
    for gap in gaps:
        at += gap
        times.append(at)
        window = window.failure(at, RULES)
        last = times[-RULES.failures :]
        close = len(last) == RULES.failures and at - last[0] <= RULES.within.total_seconds()
        assert window.full(RULES) is close


def test_nobody_is_let_in_before_the_cool_down_is_over_and_then_one() -> None:
    """The canary; the second who asks is refused until the first has come back."""
    circuit = opened()
    assert breaker.let_in(circuit, NOW + timedelta(seconds=19)) == (circuit, False)
    circuit, first = breaker.let_in(circuit, LATER)
    assert first
    assert circuit.state is State.HALF_OPEN
    circuit, second = breaker.let_in(circuit, LATER)
    assert not second
    circuit = breaker.came_back(circuit, LATER, circuit.turn)
    assert circuit.wave == 2


def test_waves_double_and_the_last_closes_it() -> None:
    """1, 2, 4, 8, 16: 31 calls have found out that it is back."""
    circuit, calls = opened(), 0
    while circuit.state is not State.CLOSED:
        circuit, may = breaker.let_in(circuit, LATER)
        assert may
        circuit = breaker.came_back(circuit, LATER, circuit.turn)
        calls += 1
    assert calls == 2 * LAST_WAVE - 1
    assert circuit.since == LATER


def test_one_failure_of_a_canary_opens_it_again() -> None:
    """For another cool-down."""
    circuit, _ = breaker.let_in(opened(), LATER)
    again = breaker.failed(circuit, LATER, "still down", circuit.turn)
    assert again.state is State.OPEN
    assert again.next_at == LATER + RULES.cool_down


def test_what_an_older_call_brings_counts_for_nothing() -> None:
    """It was let in, or made, in another turn: neither its failure nor its answer is news."""
    circuit, _ = breaker.let_in(opened(), LATER)
    assert breaker.failed(circuit, LATER, "old", circuit.turn - 1) == circuit
    assert breaker.came_back(circuit, LATER, circuit.turn - 1) == circuit
    assert breaker.opened(circuit, LATER, "old", RULES.cool_down, circuit.turn) == circuit


def test_a_wave_of_which_nobody_is_heard_is_let_in_anew() -> None:
    """Whoever had been let in has died: after a cool-down others go."""
    circuit, _ = breaker.let_in(opened(), LATER)
    much_later = LATER + RULES.cool_down
    again, may = breaker.let_in(circuit, much_later)
    assert may
    assert again.turn > circuit.turn
    assert breaker.looked(circuit, much_later, waiting=True).taken == 0


def test_a_clock_that_jumps_back_does_not_keep_it_open() -> None:
    """It is let alone for one cool-down at the most."""
    assert breaker.let_in(opened(), NOW - timedelta(days=1))[1]


def test_a_held_service_lets_nobody_in_until_the_hold_is_over() -> None:
    """Then a canary goes first."""
    held = breaker.held(Circuit())
    assert breaker.let_in(held, NOW + timedelta(days=9)) == (held, False)
    assert breaker.looked(held, LATER, waiting=True) == held
    free = breaker.unheld(held, LATER)
    assert (free.state, free.wave, free.held) == (State.HALF_OPEN, 1, False)


def test_a_closed_service_takes_its_sleepers_in_waves() -> None:
    """Each twice the last, with a pause between, however many wait."""
    circuit, sizes = breaker.closed(opened(), NOW), [breaker.RELEASED_FIRST]
    for second in range(1, 20):
        after = breaker.looked(circuit, NOW + timedelta(seconds=second), waiting=True)
        sizes.append(breaker.released(circuit, after))
        circuit = after
    assert sizes[:4] == [32, 64, 128, 256]
    assert max(sizes) == breaker.RELEASED_MOST
    assert breaker.looked(circuit, NOW + timedelta(seconds=19.5), waiting=True) == circuit


def _acted(circuit: Circuit, act: str, now: datetime, turn: int) -> Circuit:
    match act:
        case "let in":
            return breaker.let_in(circuit, now)[0]
        case "answered":
            return breaker.came_back(circuit, now, turn)
        case "failed":
            return breaker.failed(circuit, now, "down", turn)
        case "given back":
            return breaker.gave_back(circuit, turn)
        case "looked" | "looked, some wait":
            return breaker.looked(circuit, now, waiting=act != "looked")
        case "opened":
            return breaker.opened(circuit, now, "down", RULES.cool_down, turn)
        case "hold":
            return breaker.held(circuit)
        case _:
            return breaker.unheld(circuit, now) if circuit.held else circuit


@given(some.lists(some.tuples(some.sampled_from(ACTS), some.floats(0, 30), some.integers(0, 2)), max_size=60))
def test_whatever_happens_in_whatever_order(acts: list[tuple[str, float, int]]) -> None:
    """Never more are out than the wave; nobody is let in while it is open or held; a turn never comes again."""
    circuit, now = Circuit(), NOW
    for act, seconds, behind in acts:
        now += timedelta(seconds=seconds)
        before, circuit = circuit, _acted(circuit, act, now, circuit.turn - behind)
        assert 0 <= circuit.passed <= circuit.taken <= circuit.wave or circuit.state is not State.HALF_OPEN
        assert circuit.turn >= before.turn
        assert circuit.turn > before.turn or circuit.state is before.state
        early = before.state is State.OPEN and not before.due(now)
        if act == "let in" and (before.held or early):
            assert circuit == before
        assert breaker.released(before, circuit) <= breaker.RELEASED_MOST


@given(some.lists(some.tuples(some.sampled_from(ACTS[:6]), some.floats(0, 30)), max_size=40))
def test_a_service_that_is_back_is_closed_after_a_while(acts: list[tuple[str, float]]) -> None:
    """From every state that can be: when calls are answered from now on, it closes, with traffic and without."""
    circuit, now = opened(), NOW
    for act, seconds in acts:
        now += timedelta(seconds=seconds)
        circuit = _acted(circuit, act, now, circuit.turn)
    busy, idle = circuit, replace(circuit)
    for _ in range(200):
        now += timedelta(seconds=5)
        busy, may = breaker.let_in(busy, now)
        busy = breaker.came_back(busy, now, busy.turn) if may else busy
        idle = breaker.looked(idle, now, waiting=False)
    assert busy.state is State.CLOSED
    assert idle.state is State.CLOSED or idle.wave == 1 or idle.taken > idle.passed


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"failures": 0}, "whole number above zero"),
        ({"failures": True}, "whole number above zero"),
        ({"within": "soon"}, "within"),
        ({"cool_down": "0s"}, "longer than nothing"),
    ],
)
def test_a_breaker_that_makes_no_sense_is_refused(given: dict[str, object], says: str) -> None:
    """When it is written, with a sentence that says what to write."""
    with pytest.raises(DefinitionError, match=says):
        Breaker(**given)  # type: ignore[arg-type]


def test_a_service_knows_its_breaker() -> None:
    """Also one from a profile; without one nothing opens it but an operator."""
    assert Service("psp", breaker=Breaker(3, "10s", "20s")).breaker == RULES
    assert Service("psp").breaker is None


def test_a_report_that_comes_twice_counts_once() -> None:
    """A commit whose reply was lost is made again: in the next wave nobody has been let in yet."""
    circuit, _ = breaker.let_in(opened(), LATER)
    after = breaker.came_back(circuit, LATER, circuit.turn)
    assert (after.wave, after.taken) == (2, 0)
    assert breaker.came_back(after, LATER, after.turn) == after
