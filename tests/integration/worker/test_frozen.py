"""A worker that is frozen at the worst moment, in the middle of a batch, holds nobody up for longer than its lease."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg

from saga import Engine, saga
from saga.ids import uuid7
from saga.store import leases
from saga.store import statements as sql
from saga.store.batch import Lane
from tests.support import rows
from tests.support.fakes import Ledger, make_step
from tests.support.working import working

LEASE = timedelta(seconds=1)
reserve = make_step(Ledger(), "reserve")


@saga("checkout")
async def checkout(order: str) -> str:
    return await reserve(order)


async def begin_and_freeze(connection: psycopg.AsyncConnection[object], lane: Lane) -> None:
    """The first messages of a batch are sent, and the server waits for the next one, which never comes."""
    await connection.execute("BEGIN")
    limits = {"ms": str(lane.limit_ms)}
    await connection.execute(sql.LIMITS.on(lane.schema).encode(), limits)
    fence = {**lane.parameters(), "batch": 1}
    await connection.execute(sql.FENCE.on(lane.schema).encode(), fence)
    connection.pgconn.send_flush_request()
    connection.pgconn.flush()


async def test_a_worker_frozen_inside_a_batch_is_reaped(database_url: str) -> None:
    """Its row is locked and no timeout of a statement counts; the transaction ends with the lease, and others take over."""
    frozen = leases.Registration(uuid7(), "host", 1, "[]", 1, LEASE)
    lane = Lane("saga", frozen.id, 0, int(LEASE.total_seconds() * 1000 / 4))
    async with Engine(database_url, sagas=[checkout]) as engine:
        handle = await engine.start(checkout, "a", key="k")
        async with engine.connection() as connection:
            await leases.register(connection, "saga", frozen)
        held = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
        pipeline = held.pipeline()
        await pipeline.__aenter__()
        await begin_and_freeze(held, lane)
        await rows.change(
            database_url,
            "UPDATE saga.saga SET status = 'running', owner = %s, lane = 0, epoch = 1",
            frozen.id,
        )
        async with working(database_url, checkout):
            assert await handle.result("20s") == "a done"
        alive = rows.select(database_url, "SELECT 1 FROM saga.worker WHERE id = %s", frozen.id)
        assert alive == []
        await asyncio.wait_for(held.close(), 5)
