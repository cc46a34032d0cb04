"""Four orders and what goes wrong with each, told to a real warehouse over real HTTP, with the end checked.

Rule: each chapter asserts what the customer is told, and what lies in the warehouse's own tables.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg

from examples.checkout.processes import ServedProcess
from saga import Engine, Handle, View

from .sagas import Order, Shipment, order_furniture
from .trouble import Kind

STEPS_WITHIN_S = 20.0
Rows = list[tuple[Any, ...]]


class Story:
    """An engine whose worker runs, and the warehouse with its database."""

    def __init__(self, engine: Engine, warehouse: str, database: str) -> None:
        self.engine, self.warehouse, self.database = engine, warehouse, database

    async def trouble(self, **order: Any) -> None:
        """Something will go wrong, once."""
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{self.warehouse}/trouble", json=order)).raise_for_status()

    async def landed(self) -> list[int]:
        """How the warehouse answered requests that were held."""
        async with httpx.AsyncClient(trust_env=False) as client:
            statuses: list[int] = (await client.get(f"{self.warehouse}/trouble")).json()
            return statuses

    async def rows(self, query: str) -> Rows:
        """What lies in the warehouse's tables."""
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            return await (await connection.execute(query.encode())).fetchall()

    async def free(self, sku: str) -> int:
        """How many are in stock and not kept aside."""
        rows = await self.rows(f"SELECT free FROM stock WHERE sku = '{sku}'")
        return int(rows[0][0])

    async def start(self, name: str, order: Order) -> Handle[Shipment]:
        """A customer orders."""
        return await self.engine.start(order_furniture, order, key=name)

    async def end(self, handle: Handle[Shipment]) -> View:
        """What the customer is told in the end."""
        return (await handle.view(wait="20s")).status


async def a_lost_reply(story: Story) -> None:
    """The reservation happened, its reply was lost: the probe finds it, and nothing is reserved twice."""
    await story.trouble(path="/reservations", kind=Kind.LOSE_REPLY)
    told = await story.end(await story.start("lamp for Rome", Order("lamp", 1, "Rome")))
    assert (told, await story.free("lamp")) == (View.CONFIRMED, 9)
    assert len(await story.rows("SELECT * FROM shipment")) == 1


async def a_refusal(story: Story) -> None:
    """There is only one sofa: the second is refused, and the customer is told no."""
    told = await story.end(await story.start("two sofas", Order("sofa", 2, "Rome")))
    assert (told, await story.free("sofa")) == (View.DECLINED, 1)


async def a_way_back(story: Story) -> None:
    """No road leads there, and the reply of the release is lost, too: it is put back once."""
    await story.trouble(path="/releases", kind=Kind.LOSE_REPLY)
    told = await story.end(await story.start("lamp for Atlantis", Order("lamp", 2, "Atlantis")))
    assert (told, await story.free("lamp")) == (View.DECLINED, 9)


async def a_late_request(story: Story) -> None:
    """The request is still on its way when the customer cancels: fenced at once, and harmless when it lands.

    The service says that a request may land ten minutes late. Without the fence, nobody could say before then that
    nothing was reserved; with it the customer is told in the time of one question.
    """
    await story.trouble(path="/reservations", kind=Kind.HOLD)
    handle = await story.start("sofa, cancelled", Order("sofa", 1, "Rome"))
    await _in_flight(story, handle)
    await handle.cancel("the customer thought better of it")
    assert await story.end(handle) == View.DECLINED
    assert await story.rows("SELECT state FROM saga_barrier WHERE state = 'fenced'") == [("fenced",)]
    await story.trouble(let_go=True)
    await _until(story.landed, "the request that was held lands")
    assert await story.landed() == [410]
    assert await story.free("sofa") == 1


async def _in_flight(story: Story, handle: Handle[Shipment]) -> None:
    """Wait until the step's request has left."""
    asked = "SELECT 1 FROM saga.effect e JOIN saga.saga s ON s.id = e.saga_id WHERE s.key = %s"
    url = story.engine.conninfo
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def intended() -> object:
            return await (await connection.execute(asked, [handle.key])).fetchone()

        await _until(intended, "the step begins")


async def _until(holds: Callable[[], Awaitable[object]], what: str) -> None:
    """Wait for what happens in another process."""
    try:
        async with asyncio.timeout(STEPS_WITHIN_S):
            while not await holds():  # noqa: ASYNC110 - an event of this process cannot tell
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what}: not within {STEPS_WITHIN_S:g} s") from None


CHAPTERS = (a_lost_reply, a_refusal, a_way_back, a_late_request)


def open_warehouse(database: str, logs: Path) -> ServedProcess:
    """The warehouse as a process of its own."""
    module = "examples.own_service.warehouse"
    return ServedProcess(module, "warehouse", logs, environment={"WAREHOUSE_DATABASE_URL": database})
