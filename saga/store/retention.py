"""Retention: what has ended long ago is purged in batches; what is left of it is forgotten later still.

Rules that hold here: only what has ended, without an alarm and without a late watch, is purged; the saga's own row stays, stripped, as
its tombstone, so that the unique index that has always refused a second start under its key goes on refusing it, under every isolation;
a batch is one short transaction, audited in it, and passes over what others have locked; lock order is sagas by id, effects, the rest.
Evidence may go only with a saga that is marked as purged: the guard of that table says so, see the first migration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saga.core.model import SagaStatus
from saga.store import audit
from saga.store.acts import again
from saga.store.connections import Connection
from saga.store.sql import Statement

BEFORE_ALL = UUID(int=0)
PAGE = 5_000
"""So many sagas are looked at in one go."""

_OVER = (
    "s.status = ANY(%(statuses)s) AND s.finished_at <= now() - %(age)s::interval AND s.purged_at IS NULL"
    " AND s.alarm IS NULL AND NOT EXISTS (SELECT 1 FROM {s}.watch w WHERE w.saga_id = s.id)"
)
COUNT = Statement(
    "purgeable",
    "Locks nothing; reads every saga. Zero rows: nothing has ended so long ago.",
    f"SELECT s.status, count(*), min(s.finished_at), now() FROM {{s}}.saga s WHERE {_OVER} GROUP BY s.status",
)
PAGE_END = Statement(
    "purge_page",
    "Locks nothing. Zero rows: no saga is behind this id. A run reads the primary key once, page by page: an index of what has ended"
    " would cost every saga an entry at its end, and without statistics the planner sorted all there is for each batch.",
    "SELECT p.id FROM (SELECT id FROM {s}.saga WHERE id > %(after)s ORDER BY id LIMIT %(page)s) p ORDER BY p.id DESC LIMIT 1",
)
LOCK = Statement(
    "purge_lock",
    "Locks ended sagas in the order of their ids, and never waits. Zero rows: none is left between these ids.",
    f"SELECT s.id FROM {{s}}.saga s WHERE s.id > %(after)s AND s.id <= %(last)s AND {_OVER} ORDER BY s.id LIMIT %(batch)s"
    " FOR NO KEY UPDATE OF s SKIP LOCKED",
)
STRIP = Statement(
    "purge_sagas",
    "Updates sagas that purge_lock has locked. A row that does not come back: a late watch was opened before it was locked. Of its error"
    " the cause stays, which is the customer's word.",
    "UPDATE {s}.saga s SET purged_at = now(), revision = s.revision + 1, input = 'null', output = NULL, degraded = NULL,"
    " amendment = NULL, error = CASE WHEN s.error IS NOT NULL THEN json_build_object('cause', s.error -> 'cause') END,"
    " plan = CASE WHEN s.plan IS NOT NULL THEN json_build_object('steps', json_build_array()) END"
    f" WHERE s.id = ANY(%(ids)s) AND {_OVER} RETURNING s.id, s.status",
)
EFFECTS = Statement(
    "purge_effects",
    "Deletes the effects of sagas that this transaction has locked and stripped. Zero rows: they had none.",
    "DELETE FROM {s}.effect WHERE saga_id = ANY(%(ids)s)",
)
TAGS = Statement(
    "purge_tags",
    "Deletes the tags of sagas that this transaction has locked and stripped. Zero rows: they had none.",
    "DELETE FROM {s}.tag WHERE saga_id = ANY(%(ids)s)",
)
MOMENTS = Statement(
    "purge_moments",
    "Deletes the moments of sagas that this transaction has locked and stripped. Zero rows: they had none.",
    "DELETE FROM {s}.moment WHERE saga_id = ANY(%(ids)s)",
)
SIGNALS = Statement(
    "purge_signals",
    "Deletes what was sent to sagas that this transaction has locked and stripped. Zero rows: nothing was.",
    "DELETE FROM {s}.signal WHERE saga_id = ANY(%(ids)s)",
)
EVIDENCE = Statement(
    "purge_evidence",
    "Deletes the evidence of sagas that this transaction has locked and marked as purged, which the table's guard looks at."
    " Zero rows: the happy path keeps none.",
    "DELETE FROM {s}.evidence WHERE saga_id = ANY(%(ids)s)",
)
COUNT_FORGETTABLE = Statement(
    "forgettable",
    "Locks nothing; reads the index of what is purged. One row.",
    "SELECT count(*), min(purged_at), now() FROM {s}.saga WHERE purged_at <= now() - %(age)s::interval",
)
LOCK_FORGETTABLE = Statement(
    "forget_lock",
    "Locks tombstones, the oldest first, and never waits. Zero rows: none is so old.",
    "SELECT id FROM {s}.saga WHERE purged_at <= now() - %(age)s::interval ORDER BY purged_at LIMIT %(batch)s"
    " FOR UPDATE SKIP LOCKED",
)
FORGET = Statement(
    "forget_sagas",
    "Deletes tombstones that forget_lock has locked. Zero rows cannot be.",
    "DELETE FROM {s}.saga WHERE id = ANY(%(ids)s) AND purged_at IS NOT NULL",
)


@dataclass(frozen=True, slots=True)
class Order:
    """Who purges what, and why. age: since the end, or since the purge of what is forgotten."""

    who: str
    because: str
    age: timedelta
    statuses: tuple[SagaStatus, ...]

    def parameters(self) -> dict[str, Any]:
        """For the statements."""
        return {"age": self.age, "statuses": [one.value for one in self.statuses]}


@dataclass(frozen=True, slots=True)
class Purgeable:
    """How many sagas have had this end for longer than asked. `now` is the database's."""

    status: SagaStatus
    count: int
    oldest: datetime
    now: datetime


@dataclass(frozen=True, slots=True)
class Batch:
    """What one transaction did. found: so many were locked. last: the id to go on behind."""

    count: int
    found: int
    last: UUID


async def purgeable(connection: Connection, schema: str, order: Order) -> list[Purgeable]:
    """What a purge would take, by its end."""
    rows = await (await connection.execute(COUNT.on(schema).encode(), order.parameters())).fetchall()
    return sorted(
        (Purgeable(SagaStatus(status), *rest) for status, *rest in rows), key=lambda one: one.status
    )


async def forgettable(connection: Connection, schema: str, age: timedelta) -> int:
    """How many tombstones are older than this."""
    row = await (await connection.execute(COUNT_FORGETTABLE.on(schema).encode(), {"age": age})).fetchone()
    assert row is not None, "the statement always gives a row"
    return int(row[0])


async def page_end(connection: Connection, schema: str, after: UUID) -> UUID | None:
    """The last id of the next page; None: there is none."""
    found = await _column(connection, PAGE_END.on(schema), {"after": after, "page": PAGE})
    return found[0] if found else None


async def purge(
    connection: Connection, schema: str, order: Order, *, after: UUID, last: UUID, batch: int
) -> Batch:
    """Purge the next ended sagas behind an id, up to another, at most `batch`, in one transaction."""

    async def go() -> Batch:
        values = {**order.parameters(), "after": after, "last": last, "batch": batch}
        locked = await _column(connection, LOCK.on(schema), values)
        if not locked:
            return Batch(0, 0, last)
        cursor = await connection.execute(STRIP.on(schema).encode(), {**order.parameters(), "ids": locked})
        purged = await cursor.fetchall()
        ids = [row[0] for row in purged]
        await _delete(connection, schema, (EFFECTS, MOMENTS, SIGNALS, EVIDENCE, TAGS), ids)
        ends = {status: sum(1 for row in purged if row[1] == status) for status in {row[1] for row in purged}}
        if ids:
            await _note(connection, schema, order, "purge", {"sagas": len(ids), "ends": ends})
        return Batch(len(ids), len(locked), locked[-1])

    return await again(connection, go)


async def forget(connection: Connection, schema: str, order: Order, batch: int) -> int:
    """Delete the oldest tombstones, at most `batch`, in one transaction, with what came in late; how many."""

    async def go() -> int:
        ids = await _column(connection, LOCK_FORGETTABLE.on(schema), {"age": order.age, "batch": batch})
        if ids:
            await _delete(connection, schema, (EVIDENCE, FORGET), ids)
            await _note(connection, schema, order, "forget", {"tombstones": len(ids)})
        return len(ids)

    return await again(connection, go)


async def _column(connection: Connection, statement: str, values: dict[str, Any]) -> list[UUID]:
    return [row[0] for row in await (await connection.execute(statement.encode(), values)).fetchall()]


async def _delete(
    connection: Connection, schema: str, statements: Sequence[Statement], ids: list[UUID]
) -> None:
    for statement in statements:
        await connection.execute(statement.on(schema).encode(), {"ids": ids})


async def _note(connection: Connection, schema: str, order: Order, act: str, detail: dict[str, Any]) -> None:
    detail = {**detail, "older_than_seconds": order.age.total_seconds()}
    await audit.append(
        connection, schema, who=order.who, act=act, saga_id=None, because=order.because, detail=detail
    )
