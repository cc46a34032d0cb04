"""A saga sleeps for days: it ends not early, at no memory, and goes on where it was."""

from __future__ import annotations

import pytest

from saga import View, sleep
from saga.testing import World
from tests.world.shop import Order, charge, mail, reserve
from tests.world.waiting import beside, first_of_two, forgetful, given_up, in_time, trial, undone

ORDER = Order()


async def test_a_sleep_ends_in_time_and_not_early(world: World) -> None:
    """Three days, by the database's clock, from when the step before it was done."""
    run = await world.start(trial, ORDER)
    await world.advance("71h")
    assert (world.effects(reserve), world.effects(charge)) == (1, 0)
    await world.advance("2h")
    assert (world.effects(reserve), world.effects(charge)) == (1, 1)
    assert (await world.rest(run)).view.status is View.CONFIRMED


async def test_a_killed_worker_does_not_begin_a_sleep_anew(world: World) -> None:
    """When it ends is decided once: a day lost with every worker's death would never come to an end."""
    run = await world.start(trial, ORDER)
    for _ in range(3):
        await world.advance("20h")
        world.kill_worker()
    await world.advance("11h")
    assert world.effects(charge) == 0
    await world.advance("2h")
    assert (world.effects(charge), (await world.view(run)).status) == (1, View.CONFIRMED)


async def test_branches_sleep_beside_each_other(world: World) -> None:
    """Each ends in its own time, however often the saga was away meanwhile."""
    run = await world.start(beside, ORDER)
    await world.advance("23h")
    assert (world.effects(reserve), world.effects(mail)) == (1, 0)
    await world.advance("2h")
    assert world.effects(mail) == 1
    world.kill_worker()
    await world.advance("24h")
    ended = await world.rest(run)
    assert (ended.output, world.effects(mail)) == (["at once", "early", "late"], 2)


async def test_a_sibling_that_fails_ends_a_sleep(world: World) -> None:
    """At once, and the same on every replay."""
    world.on(charge).refuse("no_funds")
    run = await world.start(given_up, ORDER)
    await world.advance("30m")
    world.kill_worker()
    ended = await world.rest(run, within="2h")
    assert ended.view.status is View.CONFIRMED
    assert (world.effects(reserve), world.effects(mail)) == (1, 0)


async def test_a_sleep_that_is_not_awaited_any_more_is_over(world: World) -> None:
    """The first of two ends the saga, which does not wait for the other."""
    run = await world.start(first_of_two, ORDER)
    assert (await world.rest(run, within="25h")).view.status is View.CONFIRMED


async def test_a_sleep_that_nobody_awaits_parks(world: World) -> None:
    """As a step that nobody awaits does: the saga's author means something else."""
    run = await world.run(forgetful, ORDER)
    assert run.view.needs_person
    assert run.view.reason == "step not awaited: sleep#1"


async def test_a_cancel_ends_a_sleep(world: World) -> None:
    """At once, and what stood before it is undone."""
    run = await world.start(trial, ORDER)
    await world.advance("1d")
    await world.cancel(run, "the customer has changed their mind")
    ended = await world.rest(run, within="1m")
    assert (ended.view.status, world.effects(reserve), world.effects(charge)) == (View.DECLINED, 0, 0)


async def test_the_sagas_deadline_ends_a_sleep(world: World) -> None:
    """Not when the sleep is over, but when the deadline is."""
    run = await world.start(in_time, ORDER)
    await world.advance("23h")
    assert world.effects(reserve) == 1
    ended = await world.rest(run, within="2h")
    assert (ended.view.status, world.effects(reserve)) == (View.TRY_AGAIN, 0)


async def test_what_stood_before_a_sleep_is_undone_behind_it(world: World) -> None:
    """A sleep is no step: there is nothing of it to undo."""
    world.on(charge).refuse("no_funds")
    run = await world.run(undone, ORDER)
    assert (run.view.status, world.effects(reserve), world.applied(reserve)) == (View.DECLINED, 0, 1)


async def test_no_path_sleeps_twice_or_not_at_all(world: World) -> None:
    """Every crash point around a sleep."""
    swept = await world.sweep(undone, ORDER)
    assert swept.paths > 20


@pytest.mark.parametrize("length", ["-1s", "4000d", "999999999999d", "soon"])
async def test_a_length_that_is_none_is_told(world: World, length: str) -> None:
    """Before anything waits for it, outside of a saga or in it."""
    del world
    with pytest.raises((ValueError, RuntimeError)):
        _ = sleep(length)


def test_a_sleep_outside_of_a_saga_says_what_to_do() -> None:
    """It would wait for nobody."""
    with pytest.raises(RuntimeError, match=r"outside a running saga.*use asyncio\.sleep"):
        _ = sleep("1s")
