"""Sagas that sleep; the bodies of their steps must never run."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from saga import new_uuid, now, random, saga, sleep, together
from tests.world.shop import Order, charge, mail, reserve


@saga("trial")
async def trial(order: Order) -> str:
    """Reserve, wait for three days, charge."""
    kept = await reserve(order.sku)
    await sleep("3d")
    await charge(order.card, order.amount)
    return kept


@saga("in_time", deadline="1d")
async def in_time(order: Order) -> str:
    """It would sleep longer than it may live."""
    kept = await reserve(order.sku)
    await sleep("3d")
    return kept


@saga("beside")
async def beside(order: Order) -> list[str]:
    """Three branches, two of which sleep; what they say is in the order in which they came through."""
    said: list[str] = []

    async def branch(name: str, length: str) -> None:
        await sleep(length)
        await mail(name)
        said.append(name)

    async def at_once() -> None:
        await reserve(order.sku)
        said.append("at once")

    await together(branch("late", "2d"), at_once(), branch("early", "1d"))
    await sleep(timedelta(seconds=1))
    return said


@saga("given_up")
async def given_up(order: Order) -> str:
    """A sibling that fails ends the sleep beside it, and what comes after goes another way."""

    async def slow() -> None:
        await sleep("30d")
        await mail("never")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(slow())
            group.create_task(charge(order.card, order.amount))
    except* Exception:  # noqa: BLE001 - whatever it was
        await sleep("1h")
    return await reserve(order.sku)


@saga("first_of_two")
async def first_of_two(order: Order) -> str:
    """Whichever ends first; the other is cancelled by hand."""
    tasks = [asyncio.ensure_future(sleep("1d")), asyncio.ensure_future(sleep("9d"))]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    return await reserve(order.sku)


@saga("forgetful")
async def forgetful(order: Order) -> str:
    """It calls a sleep and never awaits it."""
    nap = sleep("1d")
    del nap
    return await reserve(order.sku)


@saga("undone")
async def undone(order: Order) -> None:
    """What stood before the sleep is undone behind it."""
    await reserve(order.sku)
    await sleep("2h")
    await charge(order.card, order.amount)


@saga("drawing")
async def drawing(order: Order) -> str:
    """What it asks for, and which way it goes, follows from what it has drawn."""
    begun, lot, share = now(), new_uuid(), random()
    kept = await reserve(f"{order.sku} {lot} {share} {begun.isoformat()}")
    if random() < 2:
        await charge(order.card, int(random() * 1000) + 1)
    await sleep("1d")
    await mail(f"{kept} {(now() - begun).total_seconds() >= 86400}")
    return f"{lot} {now() >= begun}"


@saga("plain")
async def plain(order: Order) -> str:
    """The same calls, with nothing drawn."""
    kept = await reserve(order.sku)
    await charge(order.card, 1)
    await sleep("1d")
    await mail(f"{kept} True")
    return kept
