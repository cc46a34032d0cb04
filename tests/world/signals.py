"""Sagas that wait for signals; the bodies of their steps must never run."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from saga import Refused, Signal, SignalTimeout, saga, sleep, together
from tests.world.shop import Order, charge, mail, reserve


@dataclass(frozen=True)
class Approval:
    by: str
    granted: bool = True


@dataclass(frozen=True)
class Parcel:
    number: int


approval = Signal("approval", Approval)
parcel = Signal("parcel", Parcel)


@saga("approved")
async def approved(order: Order) -> str:
    """Reserve, wait for somebody's approval, charge."""
    await reserve(order.sku)
    said = await approval.wait(timeout="4h")
    if not said.granted:
        raise Refused("not_approved", said.by)
    await charge(order.card, order.amount)
    return said.by


@saga("patient")
async def patient(order: Order) -> list[int]:
    """Two parcels, in the order in which they were sent, however long it takes."""
    await reserve(order.sku)
    return [(await parcel.wait()).number, (await parcel.wait()).number]


@saga("another_way")
async def another_way(order: Order) -> str:
    """What did not come in time is not needed."""
    await reserve(order.sku)
    try:
        said = await approval.wait(timeout="500ms")
    except SignalTimeout as late:
        return str(late)
    return said.by


@saga("both")
async def both(order: Order) -> list[str]:
    """Two branches that wait for the same signal, and a step beside them that takes long."""

    async def branch() -> str:
        said = await approval.wait(timeout="1h")
        await mail(said.by)
        return said.by

    first, second, _ = await together(branch(), branch(), reserve(order.sku))
    return [first, second]


@saga("raced")
async def raced(order: Order) -> str:
    """A wait that loses takes no signal: it is there for the next."""
    await reserve(order.sku)
    tasks = [asyncio.ensure_future(approval.wait()), asyncio.ensure_future(sleep("1h"))]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    if tasks[0] in done:
        return "at once"
    return (await approval.wait()).by
