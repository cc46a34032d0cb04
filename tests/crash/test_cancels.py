"""A cancel that overtakes the next step: the database refuses the intent, whatever the worker thinks (S32)."""

from __future__ import annotations

import asyncio

from examples.checkout.services.control import Services
from saga.store import operators
from saga.store.acts import Act
from saga.store.connections import connect
from saga.store.urls import conninfo
from tests.support.crew import Crew
from tests.support.doors import Doors
from tests.support.fire import purchase
from tests.support.ledgers import assert_undone
from tests.support.stage import Stage

LOCK_SAGAS = ("cancel_requested, direction", "FOR NO KEY UPDATE")


async def cancel_while_the_next_intent_waits(stage: Stage, doors: Doors, order: str, last: str) -> None:
    """The cancel is under way when the outcome of `last` is written with the next intent; it commits first."""
    await asyncio.to_thread(doors.wait_held, last, order)
    saga = stage.saga(order)
    connection = await connect(conninfo(stage.url))
    async with connection, connection.transaction():
        act = Act(saga["id"], saga["revision"], "ann", "the customer left")
        await operators.cancel(connection, "saga", act)
        doors.open(last, order)
        await asyncio.to_thread(stage.wait_waiting, *LOCK_SAGAS)


async def test_the_next_step_is_never_sent(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """The outcome of the reservation is kept, the charge beside it in the batch is refused, the stock is released."""
    crew.hire(lease="8s")
    doors.close("reserve", order)
    await asyncio.to_thread(stage.start, purchase, order)
    await cancel_while_the_next_intent_waits(stage, doors, order, "reserve")
    ended = await asyncio.to_thread(stage.wait_for, order, "compensated")
    assert '"cancelled"' in ended["error"]
    assert doors.knocks(order, "charge") == []
    assert ("charge#1", "forward") not in stage.effects(order)
    assert_undone(services, order, charges=0)


async def test_a_saga_that_turns_for_another_reason_turns_once(
    stage: Stage, crew: Crew, services: Services, doors: Doors, order: str
) -> None:
    """Refused and cancelled at the same moment: one plan, and everything in it is undone once."""
    crew.hire(lease="8s")
    services.payment.fault("charge", "refuse", order=order)
    doors.close("charge", order)
    await asyncio.to_thread(stage.start, purchase, order)
    await cancel_while_the_next_intent_waits(stage, doors, order, "charge")
    await asyncio.to_thread(stage.wait_for, order, "compensated")
    assert_undone(services, order, charges=0)
