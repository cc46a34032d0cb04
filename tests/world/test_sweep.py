"""A sweep walks every path with so many faults, passes sound sagas, and finds planted mistakes in words."""

from __future__ import annotations

from decimal import Decimal

import pytest

from examples.checkout.orders import CARD_GOOD
from examples.checkout.orders import Order as CheckoutOrder
from examples.checkout.sagas import checkout, checkout_on_account
from examples.ride.rides import Request
from examples.ride.sagas import ride
from examples.streaming.pages import Visit
from examples.streaming.sagas import home_page
from examples.travel.bookings import Booking
from examples.travel.sagas import trip
from saga.testing import World
from tests.world.shop import (
    Order,
    Payment,
    buggy,
    buy,
    charge,
    eager,
    fickle,
    forgetful,
    mail,
    packing,
    rent,
    ship,
)

ORDER = Order()
CHECKOUT = CheckoutOrder("o1", "sku", 1, CARD_GOOD, Decimal(10), "a@example.com")


async def test_a_sound_saga_passes(world: World) -> None:
    """Every path ends in one of the customer's words, and nobody is called."""
    swept = await world.sweep(buy, ORDER)
    assert swept.paths == sum(swept.ended.values()) > 30
    assert set(swept.ended) == {"confirmed", "declined"}
    assert not swept.parked
    assert swept.how["declined"].startswith("refused at ")


async def test_two_faults_make_many_paths(world: World) -> None:
    """Pairs of faults; a refused undo is the only end that needs a person."""
    swept = await world.sweep(packing, ORDER, faults=2)
    assert swept.paths > 300
    assert set(swept.parked) <= {"compensation_refused"}


@pytest.mark.parametrize("saga", [checkout, checkout_on_account], ids=lambda one: one.name)
async def test_the_checkout_passes(world: World, saga: object) -> None:
    """The example of the README's first link, with its own declarations."""
    swept = await world.sweep(saga, CHECKOUT)  # type: ignore[arg-type]
    assert swept.paths > 30
    assert not swept.parked


async def test_the_journey_passes(world: World) -> None:
    """Three steps side by side."""
    swept = await world.sweep(trip, Booking("t1", "LH1", "Ritz", CARD_GOOD, Decimal(300)))
    assert swept.paths > 30
    assert not swept.parked


@pytest.mark.parametrize(
    ("saga", "value"),
    [
        (home_page, Visit("v1", "ann", "night", "Night Train")),
        (ride, Request("r1", "ann", "Mill Lane/1", "the station", Decimal(10))),
    ],
    ids=["home_page", "ride"],
)
async def test_what_does_without_passes(world: World, saga: object, value: object) -> None:
    """Reads that fall back beside a step that is done once: nothing parks, and what was done stands once or is undone."""
    swept = await world.sweep(saga, value)  # type: ignore[arg-type]
    assert swept.paths > 30
    assert not swept.parked


async def test_what_nobody_can_settle_is_counted(world: World) -> None:
    """A step without probe and without a key is no failure of the sweep, and visible in it."""
    swept = await world.sweep(ship, ORDER)
    assert set(swept.parked) == {"in_doubt"}
    assert swept.how["in_doubt"]


@pytest.mark.parametrize(
    ("saga", "says"),
    [
        (
            rent,
            "crash after send at deposit#1, no status handler, repeatable, resent without a key: 2 effects of deposit",
        ),
        (fickle, "parked as code changed: "),
        (
            eager,
            "refused at reserve#1, called again by the saga: 2 effects of charge (charge#1, charge#2), and 1 without faults",
        ),
        (buggy, "refused at reserve#1: parked as code failed: KeyError: 'declined'"),
        (forgetful, "without any fault: parked as not awaited: step not awaited: reserve#1"),
    ],
    ids=lambda one: getattr(one, "name", ""),
)
async def test_a_planted_mistake_is_found(world: World, saga: object, says: str) -> None:
    """In words, with the path to it and the ledger."""
    with pytest.raises(AssertionError) as failed:
        await world.sweep(saga, ORDER)  # type: ignore[arg-type]
    told = str(failed.value)
    assert says in told
    assert f"sweep of {getattr(saga, 'name', '')}: " in told
    assert "the saga is " in told


async def test_a_second_effect_can_be_meant(world: World) -> None:
    """`stands` says how often."""
    swept = await world.sweep(eager, ORDER, stands={charge: 2})
    assert not swept.parked


async def test_what_was_said_of_a_step_holds_on_every_path(world: World) -> None:
    """Acts happen first, and replies are given; the sweep's own faults come besides."""
    asked: list[int] = []

    def paid(card: str, amount: int) -> Payment:
        asked.append(amount)
        return Payment(f"pay_{card}", amount)

    world.on(charge).calls(paid)
    world.on(mail).refuse()
    swept = await world.sweep(buy, ORDER)
    assert swept.ended["declined"] > swept.ended["confirmed"]  # a worker may die before the refusal is kept
    assert len(asked) >= swept.paths - 3
    assert set(asked) == {ORDER.amount}


async def test_a_sweep_is_the_same_every_time(world: World) -> None:
    """Nothing is left to chance."""
    assert await world.sweep(buy, ORDER) == await world.sweep(buy, ORDER)
