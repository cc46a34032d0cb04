"""What a caller may know of a saga: one row, read by id or by key."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from saga.core.model import EndCause, SagaStatus, View, view_of
from saga.store.connections import Connection
from saga.store.sql import Statement

_COLUMNS = (
    "id, name, version, key, status, output, error, degraded, park_cause, park_reason, alarm, revision,"
    " cancel_requested, purged_at IS NOT NULL"
)
BY_ID = Statement(
    "view_by_id",
    "Locks nothing. Zero rows: not committed yet, or rolled back.",
    f"SELECT {_COLUMNS} FROM {{s}}.saga WHERE id = %(id)s",
)
BY_KEY = Statement(
    "view_by_key",
    "Locks nothing. Zero rows: never started, not committed yet, or rolled back.",
    f"SELECT {_COLUMNS} FROM {{s}}.saga WHERE name = %(name)s AND key = %(key)s",
)
SECRET = Statement(
    "secret",
    "Locks nothing. Zero rows: the schema was not made by its migrations.",
    "SELECT value FROM {s}.setting WHERE name = 'secret'",
)


@dataclass(frozen=True, slots=True)
class SagaState:
    """A saga's row as callers see it. `output`: JSON text. purged: it is the tombstone of what it was."""

    id: UUID
    name: str
    version: int
    key: str
    status: SagaStatus
    output: str | None
    error: dict[str, Any] | None
    degraded: tuple[dict[str, Any], ...]
    needs_person: bool
    park_reason: str | None
    purged: bool

    @property
    def view(self) -> View:
        """What the customer may be told."""
        cause = EndCause(self.error["cause"]) if self.error else None
        # An alarm means that evidence contradicts what was settled: nothing is claimed until a person looked.
        return View.PROCESSING if self.needs_person else view_of(self.status, cause)


async def read(
    connection: Connection, schema: str, *, saga_id: UUID | None, name: str, key: str
) -> SagaState | None:
    """The saga by its id, else by its name and key."""
    if saga_id is not None:
        cursor = await connection.execute(BY_ID.on(schema).encode(), {"id": saga_id})
    else:
        cursor = await connection.execute(BY_KEY.on(schema).encode(), {"name": name, "key": key})
    row = await cursor.fetchone()
    return None if row is None else _state(row)


async def secret(connection: Connection, schema: str) -> bytes:
    """The secret that idempotency keys derive from, where the engine was given none."""
    row = await (await connection.execute(SECRET.on(schema).encode())).fetchone()
    assert row is not None, "the first migration writes it"
    return str(row[0]).encode()


def _state(row: tuple[Any, ...]) -> SagaState:
    (
        saga_id,
        name,
        version,
        key,
        status,
        output,
        error,
        degraded,
        park_cause,
        park_reason,
        alarm,
        _,
        _,
        purged,
    ) = row
    return SagaState(
        saga_id,
        name,
        version,
        key,
        SagaStatus(status),
        output,
        json.loads(error) if error else None,
        tuple(json.loads(degraded)) if degraded else (),
        park_cause is not None or alarm is not None,
        alarm or park_reason,
        purged,
    )
