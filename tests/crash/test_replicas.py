"""What is acknowledged is on the synchronous replica, too, and not only on a primary that may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import psycopg
import pytest

from saga.dev.processes import wait_until
from tests.support import rows
from tests.support.fire import engine_for, purchase
from tests.support.till import Purchase

WAITS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


@pytest.fixture
async def deaf_replica(durable_database_url: str) -> AsyncGenerator[str]:
    """A database whose commits wait for a replica that does not answer, until the setting is taken back."""
    await _tell(durable_database_url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    yield durable_database_url
    await _tell(durable_database_url, "ALTER SYSTEM RESET synchronous_standby_names")


async def _tell(url: str, setting: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(setting.encode())
        await connection.execute("SELECT pg_reload_conf()")


async def _waiting(url: str) -> None:
    """Until somebody's commit waits for the replica."""
    await asyncio.to_thread(wait_until, lambda: bool(rows.select(url, WAITS)), 10, "a commit that waits")


@pytest.mark.timeout(120)
async def test_a_start_under_a_taken_key_waits_for_the_replica(deaf_replica: str) -> None:
    """The first start was broken off in its wait; its row is seen here and nowhere else, and proves nothing yet."""
    url = deaf_replica
    async with engine_for(url) as engine:
        first = asyncio.create_task(engine.start(purchase, Purchase("o"), key="o"))
        await _waiting(url)
        rows.select(url, f"SELECT pg_terminate_backend(pid) FROM ({WAITS}) AS w")
        with pytest.raises(psycopg.OperationalError):
            await first
        second = asyncio.create_task(engine.start(purchase, Purchase("o"), key="o"))
        await _waiting(url)
        assert not second.done()
        await _tell(url, "ALTER SYSTEM RESET synchronous_standby_names")
        assert (await second).key == "o"
