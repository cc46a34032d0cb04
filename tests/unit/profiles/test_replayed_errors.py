"""S20: a service that keeps its errors under the key is asked, and never sent the request again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from saga import Service
from saga.core.decide import Command, Park, Probe, Settle, decide
from saga.core.evidence import Evidence, Intended, NotFound, Phase, Probed, Replied
from saga.core.facts import EffectFacts, Want
from saga.core.model import Direction, Hint, Unknown
from saga.core.promises import Policy

START = datetime(2026, 11, 24, tzinfo=UTC)
STRIPE = Service.from_profile("stripe-v1", name="psp", lateness="0s").promises
BROKEN: tuple[Evidence, ...] = (
    Intended(1, START, START + timedelta(seconds=5)),
    Replied(1, Unknown("http 500", Hint.SERVER_ERROR)),
)


def decided(*seen: Evidence, direction: Direction = Direction.FORWARD, can_probe: bool = True) -> Command:
    """What is done a minute after a 500, and whatever was seen since."""
    facts = EffectFacts(
        direction=direction,
        promises=STRIPE,
        policy=Policy(timeout=timedelta(seconds=5), can_probe=can_probe),
        evidence=(*BROKEN, *seen),
        first_intent=START,
        quiet_from=START + timedelta(seconds=5),
        key_expires=START + timedelta(hours=24),
        doubt_since=START,
        ended=START + timedelta(seconds=1),
    )
    return decide(facts, Want.WANTED, START + timedelta(seconds=60), 0.5)


def quiet(second: int) -> Probed:
    """Nothing was found, after everything must have landed."""
    return Probed(1, NotFound(), Phase.QUIET, START + timedelta(seconds=second))


def test_s20_it_is_asked_and_not_resent() -> None:
    """Although the service dedups, and would take the same key again."""
    assert decided() == Probe(Phase.QUIET)
    assert isinstance(decided(quiet(20)), Probe)
    assert isinstance(decided(can_probe=False), Park)


@pytest.mark.parametrize("direction", list(Direction))
def test_s20_it_is_not_resent_after_the_quiet_either(direction: Direction) -> None:
    """The key holds an error for as long as it lives: not executed forward, a person backward."""
    command = decided(quiet(20), quiet(30), direction=direction)
    assert isinstance(command, Settle if direction is Direction.FORWARD else Park)
