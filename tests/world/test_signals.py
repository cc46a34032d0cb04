"""A saga waits for a signal: it is given to one wait, once, whether it came before or after; or does not come in time."""

from __future__ import annotations

import pytest

from saga import AlreadyEnded, InputError, KeyConflict, NotFoundError, View
from saga.testing import World
from tests.world.shop import Order, charge, mail, reserve
from tests.world.signals import (
    Approval,
    Parcel,
    another_way,
    approval,
    approved,
    both,
    parcel,
    patient,
    raced,
)

ORDER = Order()


async def test_a_signal_lets_a_saga_go_on(world: World) -> None:
    """Whatever became of the worker that had it."""
    run = await world.start(approved, ORDER)
    await world.advance("1h")
    world.kill_worker()
    await world.advance("1h")
    assert (world.effects(reserve), world.effects(charge)) == (1, 0)
    await run.send(approval, Approval("ann"))
    ended = await world.rest(run, within="1m")
    assert (ended.output, world.effects(charge)) == ("ann", 1)


async def test_a_signal_that_came_before_the_wait_is_taken_at_once(world: World) -> None:
    """Even before any worker has seen the saga."""
    world.kill_worker()
    run = await world.start(approved, ORDER)
    await world.send(run, approval, Approval("ann"))
    assert (await world.rest(run, within="1m")).output == "ann"


async def test_a_signal_that_does_not_come_turns_the_saga(world: World) -> None:
    """What stood is undone, and the customer may try again; a signal that comes later is told so."""
    run = await world.start(approved, ORDER)
    await world.advance("3h")
    assert world.effects(reserve) == 1
    ended = await world.rest(run, within="2h")
    assert (ended.view.status, world.effects(reserve)) == (View.TRY_AGAIN, 0)
    assert ended.view.reason == "the signal approval did not come in time"
    with pytest.raises(AlreadyEnded, match="has ended, it is compensated"):
        await run.send(approval, Approval("ann"))


async def test_a_saga_may_take_another_way_when_none_comes(world: World) -> None:
    """It is an exception like that of a step."""
    run = await world.run(another_way, ORDER)
    assert (run.output, world.effects(reserve)) == ("the signal approval did not come in time", 1)


async def test_a_signal_in_time_is_never_out_of_time(world: World) -> None:
    """Nobody need tell the worker that has the saga in its memory: it looks before it gives up."""
    run = await world.start(another_way, ORDER)
    await world.advance("250ms")
    await run.send(approval, Approval("ann"))
    assert (await world.rest(run)).output == "ann"


async def test_what_was_sent_in_time_counts_although_nobody_looked(world: World) -> None:
    """The worker was away when it came, and when the time was over; what came after that does not count."""
    in_time, too_late = [await world.start(approved, ORDER) for _ in range(2)]
    await world.advance("3h59m50s")
    world.kill_worker()
    await in_time.send(approval, Approval("ann"))
    await world.advance("11s")
    await too_late.send(approval, Approval("bob"))
    assert (await world.rest(in_time)).output == "ann"
    assert (await world.rest(too_late)).view.status is View.TRY_AGAIN


async def test_signals_are_given_in_the_order_in_which_they_were_sent(world: World) -> None:
    """One to each wait; a third finds nobody, and harms nobody."""
    run = await world.start(patient, ORDER)
    for number in (1, 2, 3):
        await run.send(parcel, Parcel(number))
        world.kill_worker()
    assert (await world.rest(run)).output == [1, 2]


async def test_a_saga_waits_for_a_signal_as_long_as_it_takes(world: World) -> None:
    """Without a timeout; a year is a row."""
    run = await world.start(patient, ORDER)
    await world.advance("200d")
    await run.send(parcel, Parcel(1))
    await world.advance("200d")
    await run.send(parcel, Parcel(2))
    assert (await world.rest(run)).output == [1, 2]


async def test_under_a_key_a_signal_is_sent_once(world: World) -> None:
    """However often its sender tries, also when the saga has ended; and never with another payload."""
    run = await world.start(patient, ORDER)
    for _ in range(2):
        await run.send(parcel, Parcel(1), key="webhook-1")
        await world.advance("1m")
    with pytest.raises(KeyConflict, match="with another payload"):
        await run.send(parcel, Parcel(7), key="webhook-1")
    await run.send(parcel, Parcel(2), key="webhook-2")
    assert (await world.rest(run)).output == [1, 2]
    await run.send(parcel, Parcel(2), key="webhook-2")
    with pytest.raises(AlreadyEnded):
        await run.send(parcel, Parcel(3), key="webhook-3")


async def test_two_branches_share_two_signals(world: World) -> None:
    """The first to wait gets the first; also while a step of a third branch is under way."""
    world.on(reserve).stall()
    run = await world.start(both, ORDER)
    await world.advance("1s")
    await run.send(approval, Approval("ann"))
    await world.advance("1s")
    await run.send(approval, Approval("bob"))
    ended = await world.rest(run)
    assert (ended.output, world.effects(mail)) == (["ann", "bob"], 2)


@pytest.mark.parametrize("first", [True, False])
async def test_a_wait_that_was_given_up_takes_no_signal(world: World, *, first: bool) -> None:
    """What came is for the wait that still wants it."""
    run = await world.start(raced, ORDER)
    await world.advance("30m" if first else "61m")
    await run.send(approval, Approval("ann"))
    assert (await world.rest(run, within="2h")).output == ("at once" if first else "ann")


async def test_no_path_loses_a_signal_or_gives_it_twice(world: World) -> None:
    """Every crash point of a saga that is not approved in time."""
    assert (await world.sweep(approved, ORDER)).paths > 20


async def test_a_payload_is_checked_when_it_is_sent(world: World) -> None:
    """Nothing is written of what does not fit, or of what the saga never waits for."""
    run = await world.start(approved, ORDER)
    with pytest.raises(InputError, match="payload of signal approval is wrong"):
        await run.send(approval, Approval(by=3))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    with pytest.raises(
        InputError, match="parcel is not among the signals of saga approved, which waits for approval"
    ):
        await run.send(parcel, Parcel(1))
    await run.send(approval, Approval("bob", granted=False))
    ended = await world.rest(run)
    assert (ended.view.status, ended.view.reason) == (View.DECLINED, "not_approved bob")


async def test_a_signal_to_nobody_is_told(world: World) -> None:
    """There is no such saga."""
    run = await world.start(approved, ORDER)
    run.key = "nobody"
    with pytest.raises(NotFoundError, match="there is no saga approved with the key 'nobody'"):
        await run.send(approval, Approval("ann"))


def test_a_wait_outside_of_a_saga_says_what_to_do() -> None:
    """It would wait for nobody."""
    with pytest.raises(RuntimeError, match=r"approval\.wait was called outside a running saga"):
        _ = approval.wait()
