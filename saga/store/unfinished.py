"""Sagas that have not ended, page by page, each page with its records from one snapshot: what a check of new code reads.

Rules that hold here: nothing is locked, and Postgres itself refuses to write; a page is one snapshot, because a saga
that moves between two reads would look as if it contradicted itself; what has ended is not read, however much there is.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg import IsolationLevel

from saga.store.connections import Connection
from saga.store.sagas import SagaRow
from saga.store.sql import Statement

PAGE = 500
"""So many sagas are in memory at once."""

_COLUMNS = ", ".join(field.name for field in fields(SagaRow))
_NOT_ENDED = " UNION ALL ".join(
    f"SELECT id FROM {{s}}.saga WHERE status = '{status}' AND id > %(after)s"
    for status in ("ready", "asleep", "running", "parked")
)
UNFINISHED = Statement(
    "sagas_unfinished",
    "Locks nothing. Zero rows: every saga that has not ended was seen. Each status has a partial index of its own.",
    f"SELECT {_COLUMNS}, now() FROM {{s}}.saga WHERE id IN (SELECT o.id FROM ({_NOT_ENDED}) o"
    " ORDER BY o.id LIMIT %(page)s) ORDER BY id",
)


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One saga that has not ended, and the database's now."""

    saga: SagaRow
    now: datetime


@contextlib.asynccontextmanager
async def snapshot(connection: Connection) -> AsyncGenerator[None]:
    """What is read in this block is of one moment; a write in it is an error. Only for a connection of one's own."""
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    await connection.set_read_only(True)
    async with connection.transaction():
        yield


async def after(connection: Connection, schema: str, last: UUID, page: int) -> list[Unfinished]:
    """The next sagas behind this id, in the order of their ids."""
    values = {"after": last, "page": page}
    rows: list[tuple[Any, ...]] = await (
        await connection.execute(UNFINISHED.on(schema).encode(), values)
    ).fetchall()
    return [Unfinished(SagaRow(*row[:-1]), row[-1]) for row in rows]
