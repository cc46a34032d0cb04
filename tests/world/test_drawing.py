"""What a saga function draws, the time, an id, a number, is recorded once, costs nothing, and is the same on every replay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from saga import View, new_uuid, now, random
from saga.store.journal import Journal
from saga.testing import World
from tests.world.shop import Order, charge, mail, reserve
from tests.world.waiting import drawing, plain

ORDER = Order()


async def test_what_is_drawn_is_the_same_on_every_replay(world: World) -> None:
    """A replay that drew anew would ask for something else under the same key, and be stopped."""
    run = await world.start(drawing, ORDER)
    for _ in range(3):
        world.kill_worker()
        await world.advance("9h")
    ended = await world.rest(run)
    assert ended.view.status is View.CONFIRMED
    assert (world.effects(reserve), world.effects(charge), world.effects(mail)) == (1, 1, 1)
    lot, later = str(ended.output).split()
    assert (UUID(lot).version, later) == (7, "True")


async def test_no_crash_draws_anew(world: World) -> None:
    """At every point: what a request was made of is durable before the request leaves."""
    assert (await world.sweep(drawing, ORDER)).paths > 20


async def test_what_is_drawn_has_no_round_trip_of_its_own(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It travels with the intent that follows: as many units are written as without it."""
    units = Counter[str]()
    submit = Journal.submit

    def counted(journal: Journal, unit: Any) -> None:
        units[str(unit.saga_id)] += 1
        submit(journal, unit)

    monkeypatch.setattr(Journal, "submit", counted)
    for definition in (plain, drawing):
        await world.run(definition, ORDER, within="2d")
    one, other = units.values()
    assert one == other


@pytest.mark.parametrize("draw", [now, new_uuid, random])
def test_drawing_outside_of_a_saga_says_what_to_do(draw: Callable[[], object]) -> None:
    """There is nobody who could record it."""
    with pytest.raises(RuntimeError, match="outside a running saga"):
        draw()
