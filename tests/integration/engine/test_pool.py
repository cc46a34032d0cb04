"""An engine's connections: so many at most, in turn, and never one that is of no use any more."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from saga import Engine
from saga.store.connections import Connection
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout


def sessions(url: str) -> int:
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'saga'"
    (row,) = rows.select(url, query)
    return int(row["n"])


async def test_many_callers_share_few_connections(database_url: str) -> None:
    """Two hundred at once on three connections: all are served, and no fourth is ever opened."""
    opened: list[Connection] = []

    class Counting(Engine):
        async def connect(self) -> Connection:
            opened.append(await super().connect())
            return opened[-1]

    async with Counting(database_url, sagas=[checkout], connections=3) as engine:
        await asyncio.gather(*(engine.start(checkout, "a", key=f"k{n}") for n in range(200)))
        assert len(opened) == 3
        assert await asyncio.to_thread(sessions, database_url) == 3
    assert all(connection.closed for connection in opened)


async def test_a_broken_connection_leaves_its_place_to_another(database_url: str) -> None:
    """On one connection: it is ended behind the engine's back, and the next caller has a new one."""
    async with Engine(database_url, sagas=[checkout], connections=1) as engine:
        await engine.start(checkout, "a", key="k1")
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'saga' AND datname = current_database()"
        await asyncio.to_thread(rows.select, database_url, ended)
        with pytest.raises(psycopg.OperationalError, match=r"terminat|closed"):
            await engine.start(checkout, "b", key="k2")
        assert await engine.start(checkout, "b", key="k2")


async def test_a_caller_that_is_cancelled_in_the_queue_takes_no_place(database_url: str) -> None:
    """Nor does one that is cancelled while it has one."""
    async with Engine(database_url, sagas=[checkout], connections=1) as engine:
        starting = [asyncio.create_task(engine.start(checkout, "a", key=f"k{n}")) for n in range(20)]
        for _ in range(5):
            await asyncio.sleep(0)
        for task in starting:
            task.cancel()
        await asyncio.gather(*starting, return_exceptions=True)
        assert await engine.start(checkout, "a", key="last")


async def test_one_connection_is_enough_for_everything(database_url: str) -> None:
    """Nobody holds one and asks for another: an operator's question, too, which needs a worker."""
    async with Engine(database_url, sagas=[checkout], connections=1) as engine, Worker(engine):
        handle = await engine.start(checkout, "a", key="k1")
        await handle.result("20s")
        operator = engine.operator("ann")
        answer = await operator.probe("k1", "reserve", "20s")
        assert answer.answer == "landed"
        assert (await operator.why("k1")).saga.key == "k1"


def test_no_connection_at_all_is_no_engine() -> None:
    """It says so at once."""
    with pytest.raises(ValueError, match="connections=0"):
        Engine("postgresql://nowhere/x", sagas=[checkout], connections=0)
