"""What a test says of a step happens to its next request, and the services' ledger shows what came of it."""

from __future__ import annotations

import pytest

from saga import Landed, Refused, View
from saga.testing import NoSample, World
from saga.testing.simulation.ledger import Action
from tests.world.shop import Order, Payment, buy, charge, mail, pack, packing, refund, release, reserve, ship

ORDER = Order()


@pytest.mark.parametrize(
    "act",
    ["lose_reply", "lose_request", "shed", "fail", "disconnect", "stall", "kill_worker"],
)
async def test_whatever_happens_to_a_charge_it_stands_once(world: World, act: str) -> None:
    """No act but a refusal keeps a saga from its end, and none makes a second effect."""
    getattr(world.on(charge), act)()
    run = await world.run(buy, ORDER)
    assert run.view.status is View.CONFIRMED
    assert (world.effects(reserve), world.effects(charge), world.applied(charge)) == (1, 1, 1)
    assert run.output is not None
    assert run.output.startswith("reserve-")


@pytest.mark.parametrize(
    "act",
    ["lose_reply", "lose_request", "shed", "fail", "disconnect", "stall", "kill_worker"],
)
async def test_a_blocking_step_is_as_safe(world: World, act: str) -> None:
    """The same of a `def` step, whose client cannot be cancelled."""
    getattr(world.on(pack), act)()
    run = await world.run(packing, ORDER)
    assert run.view.status is View.CONFIRMED
    assert (world.effects(pack), world.applied(pack)) == (1, 1)


async def test_a_refusal_undoes_what_stands(world: World) -> None:
    """The code is the service's, and the undo is counted under the compensation."""
    world.on(charge).refuse("no_funds", "empty")
    run = await world.run(buy, ORDER)
    assert (run.view.status, run.view.reason, run.output) == (View.DECLINED, "no_funds empty", None)
    assert (world.applied(reserve), world.effects(reserve), world.effects(release)) == (1, 0, 1)
    assert world.effects(charge) == 0


async def test_several_acts_happen_in_order(world: World) -> None:
    """Each request takes the next; when none is left, nothing happens."""
    world.on(charge).shed().disconnect().lose_request()
    run = await world.run(buy, ORDER)
    assert run.view.status is View.CONFIRMED
    assert [entry.attempt for entry in world.ledger if entry.named.step == "charge#1"] == [1, 4]


async def test_a_dead_worker_is_replaced_when_its_lease_is_over(world: World) -> None:
    """Killed before the request left, nothing happened; the next worker sends it."""
    world.on(charge).kill_worker(when="before")
    handle = await world.start(buy, ORDER)
    await world.advance("10s")
    assert (world.applied(charge), (await world.view(handle)).status) == (0, View.PROCESSING)
    run = await world.rest(handle)
    assert (run.view.status, world.effects(charge)) == (View.CONFIRMED, 1)


async def test_a_worker_can_be_killed_at_any_time(world: World) -> None:
    """What was under way is taken up by the next."""
    world.on(charge).lose_request()
    handle = await world.start(buy, ORDER)
    await world.advance("1s")
    world.kill_worker()
    run = await world.rest(handle)
    assert (run.view.status, world.effects(charge)) == (View.CONFIRMED, 1)


async def test_a_status_that_is_down_is_asked_again(world: World) -> None:
    """A question without an answer is no answer."""
    world.on(charge).lose_reply().status_down(times=3)
    run = await world.run(buy, ORDER)
    assert (run.view.status, world.effects(charge)) == (View.CONFIRMED, 1)


async def test_in_doubt_needs_a_person_where_nobody_can_be_asked(world: World) -> None:
    """Neither a probe nor a key: the customer's word stays processing."""
    from tests.world.shop import send_parcel

    world.on(send_parcel).lose_reply()
    run = await world.run(ship, ORDER)
    assert (run.view.status, run.view.needs_person, run.output) == (View.PROCESSING, True, None)
    assert world.effects(send_parcel) == 1


async def test_a_webhook_settles_it(world: World) -> None:
    """News of the effect is evidence, as in production."""
    from tests.world.shop import send_parcel

    world.on(send_parcel).lose_reply()
    run = await world.run(ship, ORDER)
    await world.witness(send_parcel, Landed("parcel-7"))
    again = await world.rest(run.handle)
    assert (again.view.status, again.output) == (View.CONFIRMED, "parcel-7")


async def test_a_cancel_undoes(world: World) -> None:
    """A saga that waits is cancelled, and what landed is undone."""
    world.on(charge).lose_request().status_down(times=5)
    handle = await world.start(buy, ORDER)
    await world.advance("12s")
    await world.cancel(handle, because="the customer changed her mind")
    run = await world.rest(handle)
    assert (run.view.status, world.effects(reserve), world.effects(charge)) == (View.DECLINED, 0, 0)


async def test_what_lands_later_than_declared_is_found(world: World) -> None:
    """Settled as not executed by silence, and landed after all: the late watch finds it, and it is undone."""
    world.on(charge).land_late("30m")
    handle = await world.start(buy, ORDER)
    await world.advance("1s")
    await world.cancel(handle, because="she changed her mind")
    run = await world.rest(handle)
    assert (run.view.status, world.effects(charge)) == (View.DECLINED, 0)
    await world.advance("2h")
    assert (world.applied(charge), world.effects(charge), world.effects(refund)) == (1, 0, 1)
    assert (await world.view(handle)).status is View.DECLINED


async def test_an_undo_is_disturbed_like_a_step(world: World) -> None:
    """Compensations are effects: a lost reply is asked about, a refusal needs a person."""
    world.on(charge).refuse()
    world.on(release).lose_reply()
    run = await world.run(buy, ORDER)
    assert (run.view.status, world.effects(release)) == (View.DECLINED, 1)
    world.on(charge).refuse()
    world.on(release).refuse()
    run = await world.run(buy, ORDER)
    assert run.view.needs_person


async def test_replies_are_said_or_made_up(world: World) -> None:
    """One value, or a function of the arguments; a refusal that it raises is the service's."""
    world.on(charge).returns(Payment("pay_1", 40))
    assert ((await world.run(buy, ORDER)).output or "").endswith(" pay_1")

    def by_card(card: str, amount: int) -> Payment:
        if card == "stolen":
            raise Refused("stolen_card")
        return Payment(f"pay_{card}", amount)

    world.on(charge).calls(by_card)
    assert ((await world.run(buy, Order(card="77"))).output or "").endswith(" pay_77")
    run = await world.run(buy, Order(card="stolen"), key="thief")
    assert (run.view.status, run.view.reason) == (View.DECLINED, "stolen_card")
    assert world.effects(charge, key="thief") == 0
    assert Action.REFUSED in {entry.action for entry in world.ledger}


async def test_a_wrong_reply_is_told_where_it_is_said(world: World) -> None:
    """Not when a saga runs into it."""
    with pytest.raises(ValueError, match="Payment"):
        world.on(charge).returns("paid")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="refund is a compensation"):
        world.on(refund).returns(None)


async def test_what_the_tests_own_function_raises_ends_the_test(world: World) -> None:
    """A bug in a test is not a fault of a service."""

    def broken(card: str, amount: int) -> Payment:
        raise ZeroDivisionError

    world.on(charge).calls(broken)
    with pytest.raises(ZeroDivisionError):
        await world.run(buy, ORDER)


async def test_a_key_and_a_handle_are_as_in_production(world: World) -> None:
    """The same key is the same saga; a handle waits in virtual time."""
    run = await world.run(buy, ORDER, key="order:1")
    same = await world.start(buy, ORDER, key="order:1")
    assert (same.id, (await same.view(wait="1h")).key) == (run.handle.id, "order:1")
    assert await same.result() == run.output
    assert world.effects(charge) == world.effects(charge, key="order:1") == 1
    assert world.effects(mail, key="another") == 0


async def test_a_run_that_takes_too_long_is_shown_as_it_is(world: World) -> None:
    """`within` is a limit, and no error."""
    world.on(charge).lose_request().status_down(times=100)
    run = await world.run(buy, ORDER, within="30s")
    assert (run.view.status, run.view.needs_person) == (View.PROCESSING, False)


def test_no_sample() -> None:
    """What cannot be made up says how to say it."""
    from saga.testing.samples import sample

    with pytest.raises(NoSample, match=r"world.on\(step\).returns\(value\)"):
        sample(type("Odd", (), {}), "x")


@pytest.mark.parametrize("killed", [False, True])
async def test_a_saga_for_tomorrow_begins_tomorrow(world: World, killed: bool) -> None:
    """Nothing is sent before, whoever works then; and once it begins it is a saga like any other."""
    handle = await world.start(buy, ORDER, after="24h")
    await world.advance("12h")
    if killed:
        world.kill_worker()
    await world.advance("11h")
    assert world.ledger == []
    assert (await world.view(handle)).status is View.PROCESSING
    run = await world.rest(handle, within="2h")
    assert run.view.status is View.CONFIRMED
    assert (world.applied(reserve), world.applied(charge)) == (1, 1)


async def test_a_cancel_before_its_begin_sends_nothing(world: World) -> None:
    """It ends at once, and not when it would have begun."""
    handle = await world.start(buy, ORDER, after="24h")
    await world.advance("1h")
    await world.cancel(handle, "changed their mind")
    run = await world.rest(handle, within="1m")
    assert run.view.status is View.DECLINED
    assert world.ledger == []
