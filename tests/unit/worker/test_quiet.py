"""Silence counts when everything must have landed and every answer must show it, by both clocks (S16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from saga import Service
from saga.clock import boottime
from saga.core.model import Direction
from saga_worker.clocks import Clocks
from saga_worker.effects import LiveEffect
from tests.support.fakes import Ledger, make_step

THERE = datetime(2026, 1, 1, tzinfo=UTC)
LAGS = Service("lags", lateness="2s", staleness="7s")
TIMEOUT, LATENESS, STALENESS = timedelta(seconds=5), timedelta(seconds=2), timedelta(seconds=7)


def sent() -> tuple[LiveEffect, Clocks]:
    """An effect whose intent was committed just now, and the worker's clocks."""
    step = make_step(Ledger("nothing"), "charge", service=LAGS)
    effect = LiveEffect("charge#1", Direction.FORWARD, 1, step, "key", "hash", '["a"]', {"what": "a"})
    clocks = Clocks(timedelta(seconds=10))
    now = boottime()
    clocks.observe(0, now, now, THERE)
    effect.intended(1, THERE, now)
    return effect, clocks


def test_s16_quiet_begins_behind_deadline_lateness_and_staleness() -> None:
    """S16: a read before that may lag behind what has landed last."""
    effect, clocks = sent()
    quiet = effect.facts(clocks).quiet_from
    assert quiet is not None
    assert quiet >= THERE + TIMEOUT + LATENESS + STALENESS


def test_s16_a_jump_of_the_databases_clock_makes_no_quiet() -> None:
    """S16: an hour that passed there and not here is no hour; the worker waits out all three by its own clock."""
    effect, clocks = sent()
    now, jumped = boottime(), THERE + timedelta(hours=1)
    clocks.observe(0, now, now, jumped)
    quiet = effect.facts(clocks).quiet_from
    left = effect.quiet_boot - boottime()
    assert left > (LATENESS + STALENESS).total_seconds()
    assert quiet is not None
    assert quiet >= jumped + timedelta(seconds=left)
