"""Whoever is cancelled in the middle of a transaction leaves nothing open behind (S6)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

import pytest

from saga import Engine, saga
from saga.store.connections import connect, reusable, verified
from tests.support import rows
from tests.support.fakes import Ledger, make_step

TURNS = (1, 3, 10, 30, 100, 300, 1000, 3000)
"""Of the loop: from before BEGIN is sent to behind the end."""
charge = make_step(Ledger(), "charge")


@saga("one")
async def one(order: str) -> str:
    """One step."""
    return await charge(order)


@pytest.mark.parametrize("turns", TURNS)
async def test_s6_a_transaction_that_is_cancelled_is_not_left_open(database_url: str, turns: int) -> None:
    """S6: at whatever turn of the loop the cancel comes, the connection is closed or free of transactions."""
    connection = await connect(database_url)

    async def work() -> None:
        async with verified(connection):
            await connection.execute("SELECT 1")

    await _cancelled_after(turns, work())
    assert connection.closed or reusable(connection)
    await connection.close()


@pytest.mark.parametrize("turns", TURNS)
async def test_s6_a_start_behind_one_that_was_cancelled_is_not_lost(database_url: str, turns: int) -> None:
    """S6: a request that its caller gave up leaves no open transaction in the pool, in which the next start would vanish."""
    async with Engine(database_url, sagas=[one]) as engine:
        await engine.start(one, "before", key="before")
        await _cancelled_after(turns, engine.start(one, "given up", key="given-up"))
        await engine.start(one, "behind", key="behind")
    assert rows.saga_of(database_url, "behind")["status"] == "ready"


async def _cancelled_after(turns: int, work: Coroutine[Any, Any, object]) -> None:
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
