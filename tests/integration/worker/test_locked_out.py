"""An outsider who keeps a saga's row locked delays that lane, and costs the worker nothing else."""

from __future__ import annotations

import asyncio

import psycopg

from saga import saga
from saga.dev.processes import wait_until
from tests.support import rows
from tests.support.fakes import Gate, Ledger, make_step
from tests.support.working import working


async def test_a_saga_that_is_locked_from_outside_does_not_kill_its_worker(database_url: str) -> None:
    """The lane goes on to beat for longer than the lease, nobody reaps it, and the saga ends when the lock is gone."""
    ledger = Ledger()
    gate = Gate()
    ledger.plan("charge", gate)
    charge = make_step(ledger, "charge", timeout="20s")

    @saga("locked")
    async def locked(order: str) -> str:
        return await charge(order)

    async with working(database_url, locked, lease="2s", lanes=1) as w:
        first = w.worker.id
        handle = await w.engine.start(locked, "a", key="k")
        await gate.reached.wait()
        outsider = await psycopg.AsyncConnection.connect(database_url)
        await outsider.execute("SELECT 1 FROM saga.saga WHERE key = 'k' FOR UPDATE")
        gate.open.set()
        (row,) = rows.select(database_url, "SELECT now() AS now")

        def beaten_for_longer_than_the_lease() -> bool:
            (worker,) = rows.select(database_url, "SELECT beat - %s AS later FROM saga.worker", row["now"])
            return bool(worker["later"].total_seconds() > 3)

        await asyncio.to_thread(wait_until, beaten_for_longer_than_the_lease, 20, "beats behind the lock")
        await outsider.rollback()
        await outsider.close()
        assert await handle.result("20s") == "a done"
        assert w.worker.id == first, "it was never declared dead"
    assert ledger.names() == ["charge"]
