"""Who a key belongs to: the effect that a webhook, or a person with a provider's page, speaks of (S25)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from saga.core.model import Direction
from saga.store.connections import Connection
from saga.store.sql import Statement

BY_KEY = Statement(
    "effect_by_key",
    "Locks nothing. Zero rows: no effect has this key.",
    "SELECT e.saga_id, e.step, e.direction, e.attempt, f.name, s.name, s.version, now()"
    " FROM {s}.effect e JOIN {s}.saga s ON s.id = e.saga_id"
    " JOIN {s}.effect f ON f.saga_id = e.saga_id AND f.step = e.step AND f.direction = 'forward'"
    " WHERE e.key = %(key)s",
)


@dataclass(frozen=True, slots=True)
class Keyed:
    """The effect under a key. `name`: of its step; `saga`, `version`: of its definition; `now`: the database's."""

    saga_id: UUID
    step: str
    direction: Direction
    attempt: int
    name: str
    saga: str
    version: int
    now: datetime


async def by_key(connection: Connection, schema: str, key: str) -> Keyed | None:
    """The effect under this key, or None."""
    row = await (await connection.execute(BY_KEY.on(schema).encode(), {"key": key})).fetchone()
    if row is None:
        return None
    saga_id, step, direction, *rest = row
    return Keyed(saga_id, step, Direction(direction), *rest)
