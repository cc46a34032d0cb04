"""Sagas of the dead are made ready, in batches that wait for nobody, and never a saga of the living."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from saga.store import leases
from saga.store.batch import Lane
from tests.support.lanes import SCHEMA, add_sagas, one, own, register, rows, silence, until_waiting, witnesses

Eye = psycopg.AsyncConnection[Any]
GATE = 4711


async def sagas_of(eye: Eye, count: int, *, alive: bool) -> tuple[UUID, list[UUID]]:
    """A worker and the sagas that it runs."""
    worker = await register(eye)
    ids = await add_sagas(eye, count)
    await own(eye, ids, Lane(SCHEMA, worker, 0, 1000))
    if not alive:
        await eye.execute("DELETE FROM saga.worker WHERE id = %s", (worker,))
    return worker, ids


async def test_sagas_of_the_dead_become_ready_and_nobody_elses(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches until none is left."""
    monkeypatch.setattr(leases, "BATCH", 4)
    async with witnesses(database_url, 1) as (eye,):
        _, dead = await sagas_of(eye, 11, alive=False)
        _, living = await sagas_of(eye, 3, alive=True)
        assert await leases.ready_orphans(eye, SCHEMA) == 11
        assert await leases.ready_orphans(eye, SCHEMA) == 0
        ready = await rows(
            eye, "SELECT id FROM saga.saga WHERE status = 'ready' AND owner IS NULL ORDER BY id"
        )
        assert [row[0] for row in ready] == dead
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE status = 'running'") == len(living)


async def test_ten_thousand_of_a_dead_worker_are_freed_in_eleven_statements(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand a statement, and one that finds nobody: what a take-over costs before the claims, counted."""
    async with witnesses(database_url, 1) as (eye,):
        await sagas_of(eye, 10_000, alive=False)
        sent: list[object] = []
        execute = eye.execute

        async def counted(query: Any, *values: Any) -> Any:
            sent.append(query)
            return await execute(query, *values)

        monkeypatch.setattr(eye, "execute", counted)
        assert await leases.ready_orphans(eye, SCHEMA) == 10_000
        assert len(sent) == 11


async def test_reaped_and_readied_they_are_due_at_once(database_url: str) -> None:
    """Whatever they waited for before; the epoch stays, and the next claim makes it another."""
    async with witnesses(database_url, 1) as (eye,):
        worker, _ = await sagas_of(eye, 1, alive=True)
        await eye.execute("UPDATE saga.saga SET wake_at = now() + interval '1 h'")
        await silence(eye, worker)
        assert await leases.reap(eye, SCHEMA) == [worker]
        assert await leases.ready_orphans(eye, SCHEMA) == 1
        assert await rows(eye, "SELECT wake_at <= now(), epoch FROM saga.saga") == [(True, 1)]


async def test_an_orphan_that_is_locked_is_left_for_the_next_round(database_url: str) -> None:
    """The reaper never waits for a saga."""
    async with witnesses(database_url, 2) as (eye, holder):
        _, (locked, free) = await sagas_of(eye, 2, alive=False)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (locked,))
            assert await leases.ready_orphans(eye, SCHEMA) == 1
            assert await one(eye, "SELECT status FROM saga.saga WHERE id = %s", free) == "ready"
        assert await leases.ready_orphans(eye, SCHEMA) == 1


async def test_a_saga_that_was_claimed_meanwhile_is_not_taken_from_the_living(database_url: str) -> None:
    """Between a reaper's look and its lock another made the orphan ready and a living worker claimed it.

    The gate is a row policy: the reaper's statement has its snapshot and waits before it locks the row. Postgres
    then looks at the row again; a condition that reads another table is not asked anew.
    """
    async with witnesses(database_url, 3) as (eye, slow_reaper, gate):
        _, (orphan,) = await sagas_of(eye, 1, alive=False)
        living = await register(eye)
        await put_a_gate_before_each_row(eye, slow_reaper)
        await gate.execute("SELECT pg_advisory_lock(%s)", (GATE,))
        readied = asyncio.create_task(leases.ready_orphans(slow_reaper, SCHEMA))
        await until_waiting(eye)
        assert await leases.ready_orphans(eye, SCHEMA) == 1
        await own(eye, [orphan], Lane(SCHEMA, living, 0, 1000))
        await gate.execute("SELECT pg_advisory_unlock(%s)", (GATE,))
        assert await readied == 0
        assert await rows(eye, "SELECT status, owner FROM saga.saga") == [("running", living)]


async def put_a_gate_before_each_row(eye: Eye, connection: Eye) -> None:
    """Let this connection's statements wait, at each row of saga, for an advisory lock that the test holds."""
    role = "gated_" + await one(eye, "SELECT current_database()")
    body = f"$$ BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN true; END $$"
    function = f"CREATE FUNCTION saga.gate() RETURNS boolean LANGUAGE plpgsql VOLATILE AS {body}"
    for statement in (
        f"CREATE ROLE {role}",
        f"GRANT ALL ON SCHEMA saga TO {role}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA saga TO {role}",
        function,
        "ALTER TABLE saga.saga ENABLE ROW LEVEL SECURITY",
        f"CREATE POLICY gate ON saga.saga TO {role} USING (saga.gate())",
    ):
        await eye.execute(statement.encode())
    await connection.execute(f"SET ROLE {role}".encode())
