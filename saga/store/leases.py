"""A worker's row is the lease on all its sagas: register it, reap the silent, ready what is due.

Rules that hold here: the reaper deletes rows, lanes in order, and looks again behind the lock, so that a beat
that lands meanwhile saves the worker; sagas of the dead become ready in batches that wait for nobody; each
round also takes sagas that run under an owner without a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection, errors

from saga.store.connections import verified
from saga.store.sql import Statement

Connection = AsyncConnection[tuple[Any, ...]]
BATCH = 1000
REAP_LIMIT = b"SET LOCAL lock_timeout = 2000"

REGISTER = Statement(
    "register",
    "Inserts one row a lane. A row that is there already: its reply was lost, and this is the second time.",
    "INSERT INTO {s}.worker (id, lane, host, pid, serves, state, lease)"
    " SELECT %(id)s, lane, %(host)s, %(pid)s, %(serves)s::json, 'working', %(lease)s"
    " FROM generate_series(0, %(lanes)s - 1) AS lane ON CONFLICT (id, lane) DO NOTHING",
)
LEAVE = Statement(
    "leave",
    "Deletes a worker's own rows. Zero rows: it was declared dead before.",
    "DELETE FROM {s}.worker WHERE id = %(id)s",
)
SILENT = Statement(
    "silent",
    "Locks nothing. Zero rows: everybody beats.",
    "SELECT DISTINCT id FROM {s}.worker WHERE beat < now() - lease",
)
LOCK_WORKER = Statement(
    "lock_worker",
    "Locks a worker's lanes in order, behind every batch that is in the middle of its commit. Zero rows: gone.",
    "SELECT lane, beat < now() - lease FROM {s}.worker WHERE id = %(id)s ORDER BY lane FOR UPDATE",
)
ORPHANS = Statement(
    "orphans",
    "Locks running sagas whose owner has no row, and never waits. Zero rows: nobody is orphaned. The dead are"
    " listed first, because Postgres asks anew of a row that changed meanwhile only what the row itself says: with"
    " NOT EXISTS on the locked row, a saga that a living worker had just claimed was taken from it.",
    "WITH dead AS MATERIALIZED (SELECT DISTINCT s.owner FROM {s}.saga s WHERE s.status = 'running'"
    " AND NOT EXISTS (SELECT 1 FROM {s}.worker w WHERE w.id = s.owner)),"
    " o AS MATERIALIZED (SELECT s.id FROM {s}.saga s JOIN dead d ON d.owner = s.owner WHERE s.status = 'running'"
    " LIMIT %(limit)s FOR NO KEY UPDATE OF s SKIP LOCKED)"
    " UPDATE {s}.saga s SET status = 'ready', owner = NULL, lane = NULL, wake_at = least(s.wake_at, now()),"
    " updated_at = now() FROM o WHERE s.id = o.id RETURNING s.id",
)
DUE = Statement(
    "due",
    "Locks sleepers that are due, and never waits. Zero rows: nobody is due.",
    "WITH d AS MATERIALIZED (SELECT id FROM {s}.saga WHERE status = 'asleep' AND wake_at <= now()"
    " ORDER BY wake_at LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED)"
    " UPDATE {s}.saga s SET status = 'ready', updated_at = now() FROM d WHERE s.id = d.id RETURNING s.id",
)
LOOK = Statement(
    "look",
    "Locks nothing. One row: what a round would find to do, so that an idle worker reads once. NULL: nobody sleeps."
    " Nobody counts the orphans of the living but when it is time to reap.",
    "SELECT (SELECT min(wake_at) - now() FROM {s}.saga WHERE status = 'asleep'),"
    " EXISTS (SELECT FROM {s}.request WHERE taken_at IS NULL AND expires_at > now()),"
    " EXISTS (SELECT FROM {s}.watch WHERE next_at <= now()),"
    " %(reap)s AND EXISTS (SELECT FROM {s}.worker WHERE beat < now() - lease),"
    " %(reap)s AND EXISTS (SELECT FROM {s}.saga s WHERE s.status = 'running'"
    " AND NOT EXISTS (SELECT FROM {s}.worker w WHERE w.id = s.owner)), EXISTS (SELECT FROM {s}.service)",
)


@dataclass(frozen=True, slots=True)
class Registration:
    """One life of a worker. `serves`: JSON text of the definitions it can run."""

    id: UUID
    host: str
    pid: int
    serves: str
    lanes: int
    lease: timedelta


@dataclass(frozen=True, slots=True)
class Found:
    """What a round has to do. due_in: seconds until the next sleeper is due, None while nobody sleeps.

    services: whether any was ever opened or held.
    """

    due_in: float | None
    asked: bool
    watched: bool
    silent: bool
    orphaned: bool
    services: bool


async def register(connection: Connection, schema: str, worker: Registration) -> None:
    """Begin the lease."""
    values = {"id": worker.id, "host": worker.host, "pid": worker.pid, "serves": worker.serves,
              "lanes": worker.lanes, "lease": worker.lease}  # fmt: skip
    await connection.execute(REGISTER.on(schema).encode(), values)


async def leave(connection: Connection, schema: str, worker: UUID) -> None:
    """End the lease; sagas that are still owned are orphans from now on."""
    await connection.execute(LEAVE.on(schema).encode(), {"id": worker})


async def reap(connection: Connection, schema: str) -> list[UUID]:
    """Declare every silent worker dead; their ids."""
    cursor = await connection.execute(SILENT.on(schema).encode())
    silent = [row[0] for row in await cursor.fetchall()]
    return [worker for worker in silent if await _reap_one(connection, schema, worker)]


async def _reap_one(connection: Connection, schema: str, worker: UUID) -> bool:
    """One worker a transaction: a frozen one holds up nobody but itself."""
    try:
        async with verified(connection):
            await connection.execute(REAP_LIMIT)
            cursor = await connection.execute(LOCK_WORKER.on(schema).encode(), {"id": worker})
            lanes: Sequence[tuple[Any, ...]] = await cursor.fetchall()
            if not any(stale for _, stale in lanes):
                return False
            await connection.execute(LEAVE.on(schema).encode(), {"id": worker})
            return True
    except errors.LockNotAvailable:
        return False  # its transaction is still open; its own timeouts end it


async def ready_orphans(connection: Connection, schema: str) -> int:
    """Make sagas of the dead ready, until none is left; how many."""
    return await _until_none(connection, ORPHANS.on(schema))


async def ready_due(connection: Connection, schema: str) -> int:
    """Make sleepers ready that are due; how many."""
    return await _until_none(connection, DUE.on(schema))


async def look(connection: Connection, schema: str, *, reap: bool) -> Found:
    """What there is to do. reap: whether to look for the dead, too."""
    cursor = await connection.execute(LOOK.on(schema).encode(), {"reap": reap})
    (due, *found) = (await cursor.fetchall())[0]
    return Found(None if due is None else due.total_seconds(), *found)


async def _until_none(connection: Connection, statement: str) -> int:
    total = 0
    while True:
        cursor = await connection.execute(statement.encode(), {"limit": BATCH})
        total += cursor.rowcount
        if cursor.rowcount < BATCH:
            return total
