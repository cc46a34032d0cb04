"""What operators look at: sagas found by id or key, lists, and one saga with all that is recorded of it.

Rules that hold here: nothing is locked and nothing is written; ages are by the database's clock, so every row brings
its `now`; what has not ended is read by the partial indexes, so that a long past costs nothing; what is purged is found by its id
or key, and listed nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from saga.core.model import UNBEGUN, Direction, EndCause, ParkCause, SagaStatus, View, view_of
from saga.store import audit
from saga.store import statements as sql
from saga.store.connections import Connection
from saga.store.moments import MOMENTS_OF, MomentRow
from saga.store.sagas import EffectRow
from saga.store.signals import SignalRow, sent
from saga.store.sql import Statement

CANDIDATES = 10
"""So many sagas are named when an id or a key means more than one."""

_NAMES = (
    "id", "name", "version", "key", "status", "direction", "revision", "wake_at", "waiting_for", "owner",
    "cancel_requested", "park_cause", "park_reason", "park_detail", "alarm", "error", "degraded", "deadline_at",
    "created_at", "updated_at", "finished_at", "purged_at",
)  # fmt: skip
_TAGS = "(SELECT json_object_agg(t.name, t.value ORDER BY t.name) FROM {s}.tag t WHERE t.saga_id = s.id)"
_COLUMNS = ", ".join([*(f"s.{name}" for name in _NAMES), _TAGS])

BY_RANGE = Statement(
    "saga_by_range",
    "Locks nothing. Zero rows: no id begins so. The primary key is read between two ids.",
    f"SELECT {_COLUMNS}, now() FROM {{s}}.saga s WHERE s.id BETWEEN %(low)s AND %(high)s ORDER BY s.id LIMIT %(limit)s",
)
BY_KEY = Statement(
    "sagas_by_key",
    "Locks nothing. Zero rows: nobody used the key. Steps from name to name, because the index leads with the name.",
    "WITH RECURSIVE n AS ((SELECT name FROM {s}.saga ORDER BY name LIMIT 1) UNION ALL"
    " SELECT (SELECT o.name FROM {s}.saga o WHERE o.name > n.name ORDER BY o.name LIMIT 1) FROM n"
    " WHERE n.name IS NOT NULL)"
    f" SELECT {_COLUMNS}, now() FROM n JOIN {{s}}.saga s ON s.name = n.name AND s.key = %(key)s"
    " ORDER BY s.name LIMIT %(limit)s",
)
_STEP = (
    "EXISTS (SELECT 1 FROM {s}.effect e WHERE e.saga_id = s.id"
    " AND (%(service)s::text IS NULL OR e.service = %(service)s)"
    " AND (%(step)s::text IS NULL OR %(step)s IN (e.step, split_part(e.step, '#', 1), e.name))"
    " AND (s.finished_at IS NOT NULL OR e.status IN ('sent', 'doubt', 'idle')"
    " OR e.step = s.park_detail ->> 'step'))"
)
_FILTER = (
    "s.purged_at IS NULL AND (%(statuses)s::text[] IS NULL OR s.status = ANY(%(statuses)s))"
    " AND (%(name)s::text IS NULL OR s.name = %(name)s)"
    " AND (%(cause)s::text IS NULL OR s.park_cause = %(cause)s)"
    " AND (%(since)s::interval IS NULL OR s.created_at >= now() - %(since)s)"
    " AND (%(older)s::interval IS NULL OR s.updated_at <= now() - %(older)s)"
    " AND (%(tagged)s::int = 0 OR (SELECT count(*) FROM {s}.tag t JOIN unnest(%(tag_names)s::text[], %(tag_values)s::text[])"
    " AS q(name, value) ON t.name = q.name AND t.value = q.value WHERE t.saga_id = s.id) = %(tagged)s)"
    f" AND ((%(step)s::text IS NULL AND %(service)s::text IS NULL) OR {_STEP})"
)
_NOT_ENDED = " UNION ALL ".join(
    f"SELECT s.* FROM {{s}}.saga s WHERE s.status = '{status}' AND {_FILTER}"
    for status in ("ready", "asleep", "running", "parked")
)
OPEN = Statement(
    "sagas_open",
    "Locks nothing. Zero rows: nothing that has not ended fits. Each status has a partial index of its own.",
    f"SELECT {_COLUMNS}, now() FROM ({_NOT_ENDED}) s ORDER BY s.id DESC LIMIT %(limit)s",
)
EVERY = Statement(
    "sagas_every",
    "Locks nothing. Zero rows: nothing fits. Ids sort by time, so the newest are read off the primary key.",
    f"SELECT {_COLUMNS}, now() FROM {{s}}.saga s WHERE {_FILTER} ORDER BY s.id DESC LIMIT %(limit)s",
)
EVERY_TAGGED = Statement(
    "sagas_every_tagged",
    "Locks nothing. Zero rows: nothing fits. Read off the index of tags, the newest first, by the first of the tags.",
    f"SELECT {_COLUMNS}, now() FROM {{s}}.tag f JOIN {{s}}.saga s ON s.id = f.saga_id"
    f" WHERE f.name = (%(tag_names)s::text[])[1] AND f.value = (%(tag_values)s::text[])[1] AND {_FILTER}"
    " ORDER BY f.saga_id DESC LIMIT %(limit)s",
)
_GROUP = (
    "SELECT CASE %(by)s WHEN 'name' THEN s.name || ' v' || s.version"
    " WHEN 'error' THEN coalesce(s.park_cause || ': ' || s.park_reason, s.alarm,"
    " s.error ->> 'code', s.error ->> 'message', '-')"
    " ELSE coalesce((SELECT CASE %(by)s WHEN 'service' THEN e.service ELSE split_part(e.step, '#', 1) END"
    " FROM {s}.effect e WHERE e.saga_id = s.id ORDER BY e.completion IS NOT NULL, e.intent_at DESC LIMIT 1), '-')"
    " END AS what, count(*), min(s.created_at), now() FROM "
)
GROUP_OPEN = Statement(
    "sagas_grouped_open",
    "Locks nothing. Zero rows: nothing that has not ended fits.",
    f"{_GROUP} ({_NOT_ENDED}) s GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s",
)
GROUP_EVERY = Statement(
    "sagas_grouped_every",
    "Locks nothing. Zero rows: nothing fits.",
    f"{_GROUP} {{s}}.saga s WHERE {_FILTER} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s",
)
VALUES = Statement(
    "saga_values",
    "Locks nothing. Zero rows: no such saga.",
    "SELECT input, output, plan FROM {s}.saga WHERE id = %(id)s",
)
OBSERVED = Statement(
    "saga_observed",
    "Locks nothing. Zero rows: the happy path keeps none.",
    "SELECT step, direction, attempt, kind, at, worker, body FROM {s}.evidence WHERE saga_id = %(id)s ORDER BY at, id",
)


@dataclass(frozen=True, slots=True)
class SagaLine:
    """A saga's row as operators see it, in the order of the columns; `now` is the database's."""

    id: UUID
    name: str
    version: int
    key: str
    status: SagaStatus
    direction: Direction
    revision: int
    wake_at: datetime
    waiting_for: str | None
    owner: UUID | None
    cancel_requested: bool
    park_cause: ParkCause | None
    park_reason: str | None
    park_detail: dict[str, Any]
    alarm: str | None
    error: dict[str, Any] | None
    degraded: tuple[dict[str, Any], ...]
    deadline_at: datetime | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    purged_at: datetime | None
    tags: dict[str, str]
    now: datetime

    @property
    def needs_person(self) -> bool:
        """Whether nothing moves it but a person."""
        return self.park_cause is not None or self.alarm is not None

    @property
    def unbegun(self) -> bool:
        """Whether it was started for later, and has not begun."""
        return self.status is SagaStatus.ASLEEP and self.waiting_for == UNBEGUN

    @property
    def view(self) -> View:
        """What the customer sees: nothing is claimed while an alarm rings."""
        return View.PROCESSING if self.needs_person else self.calm_view

    @property
    def calm_view(self) -> View:
        """What the customer would see if no alarm rang."""
        return view_of(self.status, EndCause(self.error["cause"]) if self.error else None)


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One observation, as it is stored."""

    step: str
    direction: Direction
    attempt: int
    kind: str
    at: datetime
    worker: UUID | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """One saga with everything that is recorded of it. `input`, `output`: JSON text."""

    saga: SagaLine
    input: str
    output: str | None
    plan: tuple[str, ...] | None
    effects: tuple[EffectRow, ...]
    evidence: tuple[EvidenceLine, ...]
    audit: tuple[audit.Entry, ...]
    moments: tuple[MomentRow, ...] = ()
    signals: tuple[SignalRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """Which sagas. statuses: None for all. every: those that have ended, too. older_than: since its last change.

    cause: only what is parked for it. tags: only what has all of these; of what has ended the first should be the rarest.
    """

    statuses: tuple[SagaStatus, ...] | None = None
    name: str | None = None
    step: str | None = None
    service: str | None = None
    since: timedelta | None = None
    older_than: timedelta | None = None
    every: bool = False
    limit: int = 50
    cause: ParkCause | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])

    def parameters(self) -> dict[str, Any]:
        """For the statements."""
        statuses = None if self.statuses is None else [status.value for status in self.statuses]
        return {"statuses": statuses, "name": self.name, "step": self.step, "service": self.service,
                "since": self.since, "older": self.older_than, "limit": self.limit, "cause": self.cause,
                "tagged": len(self.tags), "tag_names": list(self.tags), "tag_values": list(self.tags.values())}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Group:
    """How many sagas have something in common, and since when."""

    what: str
    count: int
    oldest: datetime
    now: datetime


async def by_key(connection: Connection, schema: str, key: str) -> list[SagaLine]:
    """The sagas of this business key, one a name at the most."""
    return await _lines(connection, BY_KEY.on(schema), {"key": key, "limit": CANDIDATES})


async def by_prefix(connection: Connection, schema: str, prefix: str) -> list[SagaLine]:
    """The sagas whose id begins so; `prefix` is hexadecimal, dashes or not."""
    digits = prefix.replace("-", "")
    low, high = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    return await _lines(connection, BY_RANGE.on(schema), {"low": low, "high": high, "limit": CANDIDATES})


async def matching(connection: Connection, schema: str, query: Query) -> list[SagaLine]:
    """The sagas that fit, newest first."""
    every = EVERY_TAGGED if query.tags else EVERY
    statement = every if query.every else OPEN
    return await _lines(connection, statement.on(schema), query.parameters())


async def grouped(connection: Connection, schema: str, query: Query, by: str) -> list[Group]:
    """How many fit, by "name", "error", "step" or "service"; most first."""
    statement = GROUP_EVERY if query.every else GROUP_OPEN
    cursor = await connection.execute(statement.on(schema).encode(), {**query.parameters(), "by": by})
    return [Group(*row) for row in await cursor.fetchall()]


async def story(connection: Connection, schema: str, saga: SagaLine) -> Story | None:
    """All that is recorded of a saga; None when it is gone."""
    values = {"id": saga.id, "ids": [saga.id]}
    row = await (await connection.execute(VALUES.on(schema).encode(), values)).fetchone()
    if row is None:
        return None
    effects = await (await connection.execute(sql.EFFECTS_OF.on(schema).encode(), values)).fetchall()
    observed = await (await connection.execute(OBSERVED.on(schema).encode(), values)).fetchall()
    waits = await (await connection.execute(MOMENTS_OF.on(schema).encode(), values)).fetchall()
    signals = await sent(connection, schema, [saga.id])
    entries = await audit.trail(connection, schema, saga.id)
    plan = None if row[2] is None else tuple(json.loads(row[2])["steps"])
    seen = (
        EvidenceLine(s, Direction(d), a, k, at, w, json.loads(body)) for s, d, a, k, at, w, body in observed
    )
    return Story(
        saga, row[0], row[1], plan, tuple(EffectRow(*e) for e in effects), tuple(seen), tuple(entries),
        tuple(MomentRow(*m) for m in waits), tuple(signals),
    )  # fmt: skip


async def _lines(connection: Connection, statement: str, values: dict[str, Any]) -> list[SagaLine]:
    cursor = await connection.execute(statement.encode(), values)
    return [_line(row) for row in await cursor.fetchall()]


def _line(row: tuple[Any, ...]) -> SagaLine:
    values = dict(zip((*_NAMES, "tags", "now"), row, strict=True))
    values["tags"] = json.loads(values["tags"] or "{}")
    values["status"] = SagaStatus(values["status"])
    values["direction"] = Direction(values["direction"])
    values["park_cause"] = None if values["park_cause"] is None else ParkCause(values["park_cause"])
    values["park_detail"] = json.loads(values["park_detail"] or "{}")
    values["error"] = None if values["error"] is None else json.loads(values["error"])
    values["degraded"] = tuple(json.loads(values["degraded"] or "[]"))
    return SagaLine(**values)
