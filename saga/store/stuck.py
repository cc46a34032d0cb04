"""What needs a person, or moves by itself but slowly, grouped by cause; and the workers that are alive.

Rules that hold here: nothing is locked; each cause is read by a partial index of its own, so that a long past costs
nothing; who serves what is compared here and not in SQL, because a worker's definitions are one JSON list.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saga.core.model import Direction, ParkCause
from saga.store.connections import Connection
from saga.store.sql import Statement

OVERDUE = timedelta(seconds=10)
"""A saga that is ready for longer than this waits for a worker that has no room, or does not work."""

WORKERS = Statement(
    "workers_alive",
    "Locks nothing. Zero rows: no worker is registered.",
    "SELECT id, min(host), min(pid), min(serves::text), min(state), min(started_at), max(now() - beat),"
    " bool_and(beat >= now() - lease), count(*), (SELECT count(*) FROM {s}.saga s WHERE s.owner = w.id"
    " AND s.status = 'running') FROM {s}.worker w GROUP BY id ORDER BY min(started_at), id",
)
PARKED = Statement(
    "stuck_parked",
    "Locks nothing. Zero rows: nothing waits for a person.",
    "SELECT park_cause, direction, name, version, park_detail ->> 'step' AS step, park_detail ->> 'service' AS service,"
    " CASE WHEN park_cause IN ('in_doubt', 'mismatch')"
    " THEN left(regexp_replace(min(park_reason), '^(undo of )?[^ ]+: ', ''), 200)"
    " ELSE left(min(park_reason), 200) END, count(*), max(now() - updated_at), min(key)"
    " FROM {s}.saga WHERE status = 'parked'"
    " GROUP BY park_cause, direction, name, version, step, service,"
    " CASE WHEN park_cause IN ('in_doubt', 'mismatch') THEN '' ELSE left(park_reason, 200) END",
)
ALARMS = Statement(
    "stuck_alarms",
    "Locks nothing. Zero rows: no evidence contradicts what was settled.",
    "SELECT name, version, left(alarm, 200), count(*), max(now() - updated_at), min(key) FROM {s}.saga"
    " WHERE alarm IS NOT NULL AND status <> 'parked' GROUP BY name, version, left(alarm, 200)",
)
WAITING = Statement(
    "stuck_waiting",
    "Locks nothing. Zero rows: nothing is due. What sleeps counts too, for it will be due.",
    "SELECT name, version, count(*), max(now() - wake_at), min(key), count(*) FILTER (WHERE wake_at < now() - %(late)s)"
    " FROM (SELECT name, version, wake_at, key FROM {s}.saga WHERE status = 'ready' UNION ALL"
    " SELECT name, version, wake_at, key FROM {s}.saga WHERE status = 'asleep') s GROUP BY name, version",
)
ORPHANS = Statement(
    "stuck_orphans",
    "Locks nothing. Zero rows: every running saga has a worker that beats.",
    "SELECT s.name, s.version, count(*), max(now() - s.updated_at), min(s.key) FROM {s}.saga s"
    " WHERE s.status = 'running' AND NOT EXISTS"
    " (SELECT 1 FROM {s}.worker w WHERE w.id = s.owner AND w.beat >= now() - w.lease) GROUP BY s.name, s.version",
)
HELD = Statement(
    "stuck_held",
    "Locks nothing. Zero rows: no saga sleeps until a service lets it in.",
    "SELECT substr(waiting_for, 9), count(*), max(now() - updated_at), min(key) FROM {s}.saga WHERE status = 'asleep'"
    " AND starts_with(waiting_for, 'service ') GROUP BY waiting_for",
)
NOW = Statement("stuck_now", "Locks nothing. Never zero rows.", "SELECT now()")
_UNHEARD = (
    " UNION ALL SELECT s.name, s.version, s.key, s.id, s.status, s.wake_at, e.step, e.direction, e.service, e.deadline_at"
    " FROM {{s}}.saga s JOIN {{s}}.effect e ON e.saga_id = s.id WHERE s.status = '{0}' AND s.epoch > 0"
    " AND e.status = 'sent' AND e.doubt_since IS NULL AND e.deadline_at < now()"
)
DOUBTED = Statement(
    "stuck_doubted",
    "Locks nothing. Zero rows: nothing that moves is in doubt. What was sent, and is not heard of, is found by its saga, which"
    " runs or waits for its next worker: an index on the status of effects would cost every saga five entries of an index.",
    "SELECT name, version, split_part(step, '#', 1), direction, service, count(DISTINCT id), max(now() - since), min(key),"
    " min(wake_at - now()) FILTER (WHERE status = 'asleep')"
    " FROM (SELECT s.name, s.version, s.key, s.id, s.status, s.wake_at, e.step, e.direction, e.service, e.doubt_since AS since"
    " FROM {s}.effect e JOIN {s}.saga s ON s.id = e.saga_id WHERE e.doubt_since IS NOT NULL"
    " AND e.status IN ('sent', 'doubt') AND (e.status = 'doubt' OR e.deadline_at < now())"
    " AND s.status IN ('ready', 'asleep', 'running')"
    + _UNHEARD.format("running")
    + _UNHEARD.format("ready")
    + ") d GROUP BY name, version, split_part(step, '#', 1), direction, service",
)


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One life of a worker. `silent_for`: since its last beat; `alive`: less than its lease. serves: "name vN"."""

    id: UUID
    host: str
    pid: int
    serves: tuple[str, ...]
    state: str
    started_at: datetime
    silent_for: timedelta
    alive: bool
    lanes: int
    sagas: int


@dataclass(frozen=True, slots=True)
class Parked:
    """Sagas that wait for a person, for one cause."""

    cause: ParkCause
    direction: Direction
    name: str
    version: int
    step: str | None
    service: str | None
    reason: str
    count: int
    oldest: timedelta
    example: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Sagas whose evidence contradicts what was settled."""

    name: str
    version: int
    alarm: str
    count: int
    oldest: timedelta
    example: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """Sagas of one definition without an owner; `late` of them are due for longer than is usual."""

    name: str
    version: int
    count: int
    longest: timedelta
    example: str
    late: int


@dataclass(frozen=True, slots=True)
class Orphaned:
    """Running sagas whose worker is silent."""

    name: str
    version: int
    count: int
    oldest: timedelta
    example: str


@dataclass(frozen=True, slots=True)
class Held:
    """Sagas that sleep until one service lets them in."""

    service: str
    count: int
    oldest: timedelta
    example: str


@dataclass(frozen=True, slots=True)
class Doubted:
    """Sagas that settle a doubt by themselves. `next_in`: until the first sleeper wakes; None: one is at it now."""

    name: str
    version: int
    step: str
    direction: Direction
    service: str
    count: int
    oldest: timedelta
    example: str
    next_in: timedelta | None


async def workers(connection: Connection, schema: str) -> list[WorkerLine]:
    """Every registered worker, oldest first; one that is silent for too long is there until it is reaped."""
    rows = await (await connection.execute(WORKERS.on(schema).encode())).fetchall()
    return [WorkerLine(*_with(row, {3: lambda text: tuple(json.loads(text))})) for row in rows]


async def parked(connection: Connection, schema: str) -> list[Parked]:
    """What waits for a person."""
    rows = await (await connection.execute(PARKED.on(schema).encode())).fetchall()
    return [Parked(*_with(row, {0: ParkCause, 1: Direction})) for row in rows]


async def alarms(connection: Connection, schema: str) -> list[Alarm]:
    """What was settled and is contradicted."""
    rows = await (await connection.execute(ALARMS.on(schema).encode())).fetchall()
    return [Alarm(*row) for row in rows]


async def waiting(connection: Connection, schema: str) -> list[Waiting]:
    """What waits for a worker."""
    values = {"late": OVERDUE}
    rows = await (await connection.execute(WAITING.on(schema).encode(), values)).fetchall()
    return [Waiting(*row) for row in rows]


async def orphans(connection: Connection, schema: str) -> list[Orphaned]:
    """What lost its worker and was taken over by nobody yet."""
    rows = await (await connection.execute(ORPHANS.on(schema).encode())).fetchall()
    return [Orphaned(*row) for row in rows]


async def doubted(connection: Connection, schema: str) -> list[Doubted]:
    """What is in doubt and still moves by itself."""
    rows = await (await connection.execute(DOUBTED.on(schema).encode())).fetchall()
    return [Doubted(*_with(row, {3: Direction})) for row in rows]


async def held(connection: Connection, schema: str) -> list[Held]:
    """What waits for a service that is open, held, or lets in by waves."""
    rows = await (await connection.execute(HELD.on(schema).encode())).fetchall()
    return [Held(*row) for row in rows]


async def now(connection: Connection, schema: str) -> datetime:
    """The database's now."""
    (row,) = await (await connection.execute(NOW.on(schema).encode())).fetchall()
    found: datetime = row[0]
    return found


def _with(row: tuple[Any, ...], decode: dict[int, Callable[[str], object]]) -> list[Any]:
    """The row's cells, some of them decoded."""
    return [decode[place](cell) if place in decode else cell for place, cell in enumerate(row)]
