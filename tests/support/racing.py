"""What the schedules of the conformance suite are made of: batches by hand, and tasks that wait for a lock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

from saga.core.model import Direction
from saga.store import acts
from saga.store.batch import Batch, ClaimRequest, Done, Lane, write
from saga.store.changes import Unit
from saga.store.connections import Connection
from tests.support.stores import (
    NAME,
    SCHEMA,
    Store,
    saga_id,
    until_it_waits,
    worker_id,
)

T = TypeVar("T")
LANE = Lane(SCHEMA, worker_id(0), 0, 15_000)
OTHER = Lane(SCHEMA, worker_id(1), 0, 15_000)
CHARGE = frozenset({("charge#1", Direction.FORWARD)})
ACT = acts.Act(saga_id(1), 0, "ann", "because")


async def batch(
    connection: Connection, *units: Unit, lane: Lane = LANE, number: int = 1, room: int = 0
) -> Done:
    claim = ClaimRequest(room, [NAME], [1]) if room else None
    return await write(connection, lane, Batch(number, "working", list(units), claim), 0.0)


async def waiting(store: Store, connection: Connection, work: Awaitable[T]) -> asyncio.Task[T]:
    """A task that has begun, and waits for a lock."""
    task = asyncio.ensure_future(work)
    await until_it_waits(store, connection)
    assert isinstance(task, asyncio.Task)
    return task


async def row(store: Store, table: str = "saga", n: int = 0) -> dict[str, Any]:
    return (await store.rows(table))[n]
