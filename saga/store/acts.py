"""The frame of every operator's act: one transaction, the saga locked and compared, the act audited, the saga woken.

Rules that hold here (S39): of two operators at once exactly one wins, and the other is told who was first; lock order
is the saga, evidence, audit; an act whose number in the audit was taken meanwhile runs again as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from psycopg import errors

from saga.core.evidence import Evidence, encode
from saga.core.model import ENDS, Direction, ParkCause, SagaStatus
from saga.errors import NotFoundError, SagaError
from saga.ids import uuid7
from saga.store import audit
from saga.store import statements as sql
from saga.store.batch import evidence_rows
from saga.store.changes import EvidenceWrite
from saga.store.connections import CommitNotVerified, Connection, verified
from saga.store.requests import HINT
from saga.store.sagas import EffectRow
from saga.store.sql import Statement
from saga.store.wakeups import channel

T = TypeVar("T")
TRIES = 50
"""So often a transaction is run again because another act took the next number of the audit."""

LOCK = Statement(
    "act_lock",
    "Locks one saga. Zero rows: no such saga.",
    "SELECT id, name, version, key, status, direction, revision, park_cause, alarm, now() FROM {s}.saga WHERE id = %(id)s"
    " FOR NO KEY UPDATE",
)
APPLY = Statement(
    "act_apply",
    "Updates the saga that act_lock has locked, compare-and-set on its revision; wakes it. Zero rows: cannot be."
    " Whoever acts on a surplus has seen it: that alarm is over.",
    "UPDATE {s}.saga SET cancel_requested = cancel_requested OR %(cancel)s, inbox = inbox + 1,"
    " wake_at = least(wake_at, now()), revision = revision + 1, updated_at = now(),"
    " status = CASE WHEN status IN ('asleep', 'parked') THEN 'ready' ELSE status END,"
    " alarm = CASE WHEN park_cause = 'surplus' THEN NULL ELSE alarm END,"
    " park_cause = NULL, park_reason = NULL, park_detail = NULL"
    " WHERE id = %(id)s AND revision = %(revision)s RETURNING status, revision",
)
ABANDON = Statement(
    "act_abandon",
    "Updates the saga that act_lock has locked, compare-and-set on its revision. Zero rows: it has an owner.",
    "UPDATE {s}.saga SET status = 'abandoned', finished_at = now(), inbox = inbox + 1, revision = revision + 1,"
    " waiting_for = NULL, park_cause = NULL, park_reason = NULL, park_detail = NULL, updated_at = now()"
    " WHERE id = %(id)s AND revision = %(revision)s AND owner IS NULL RETURNING status, revision",
)

ACKNOWLEDGE = Statement(
    "act_acknowledge",
    "Updates the ended saga that act_lock has locked, compare-and-set on its revision: a person has seen its alarm."
    " Zero rows: cannot be.",
    "UPDATE {s}.saga SET alarm = NULL, revision = revision + 1, updated_at = now()"
    " WHERE id = %(id)s AND revision = %(revision)s RETURNING status, revision",
)


class Overtaken(SagaError):
    """Another operator was first (S39); look again before you act."""


class Moved(Overtaken):
    """No operator, but the saga itself moved since it was looked at."""


@dataclass(frozen=True, slots=True)
class Act:
    """Who does something to which saga, why, and which revision of it they saw."""

    saga_id: UUID
    revision: int
    who: str
    because: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The saga as it is under the lock. `now` is the database's."""

    id: UUID
    name: str
    version: int
    key: str
    status: SagaStatus
    direction: Direction
    revision: int
    park_cause: ParkCause | None
    alarm: str | None
    now: datetime

    @classmethod
    def of(cls, row: tuple[Any, ...]) -> Seen:
        """From the row of `act_lock`."""
        saga_id, name, version, key, status, direction, revision, cause, alarm, now = row
        parked = None if cause is None else ParkCause(cause)
        return cls(
            saga_id,
            name,
            version,
            key,
            SagaStatus(status),
            Direction(direction),
            revision,
            parked,
            alarm,
            now,
        )

    @property
    def ended_in_alarm(self) -> bool:
        """Whether all that is left of it is an alarm that nobody has taken as seen."""
        return self.status in ENDS and self.alarm is not None


@dataclass(frozen=True, slots=True)
class Acted:
    """What an act has left: the saga's status and revision, and its number in the audit."""

    status: SagaStatus
    revision: int
    number: int


async def lock(connection: Connection, schema: str, act: Act) -> Seen:
    """Lock the saga, and see that it is as the operator saw it.

    Raises:
        Overtaken: it is not; the sentence says who was first.
        NotFoundError: there is no such saga.
    """
    row = await (await connection.execute(LOCK.on(schema).encode(), {"id": act.saga_id})).fetchone()
    if row is None:
        raise NotFoundError(f"there is no saga {act.saga_id}")
    seen = Seen.of(row)
    if seen.revision != act.revision:
        raise await _overtaken(connection, schema, act, seen)
    return seen


async def _overtaken(connection: Connection, schema: str, act: Act, seen: Seen) -> Overtaken:
    entries = await audit.trail(connection, schema, act.saga_id)
    if entries and entries[-1].body.get("revision", -1) >= act.revision:
        first = entries[-1]
        ago = max(0.0, (seen.now - first.at).total_seconds())
        return Overtaken(
            f"{first.who} was first: {first.act} {ago:.0f} s ago, because: {first.because}. "
            f"Look at {seen.key} again before you act"
        )
    return Moved(f"{seen.key} moved meanwhile, it is {seen.status} now: look at it again before you act")


async def effects_of(connection: Connection, schema: str, saga_id: UUID) -> list[EffectRow]:
    """The saga's effects, under its lock."""
    cursor = await connection.execute(sql.EFFECTS_OF.on(schema).encode(), {"ids": [saga_id]})
    return [EffectRow(*row) for row in await cursor.fetchall()]


async def observe(connection: Connection, schema: str, effect: EffectRow, seen: Evidence) -> None:
    """Add evidence; nobody's claim is needed (S25)."""
    kind, attempt, body = encode(seen)
    write = EvidenceWrite(uuid7(), effect.step, effect.direction, attempt, kind, json.dumps(body))
    rows = {**evidence_rows([(effect.saga_id, write)]), "me": None}
    await connection.execute(sql.EVIDENCE.on(schema).encode(), rows)


async def apply(
    connection: Connection,
    schema: str,
    act: Act,
    seen: Seen,
    *,
    word: str,
    detail: dict[str, Any] | None = None,
    cancel: bool = False,
    statement: Statement = APPLY,
) -> Acted:
    """Do it, audit it, and wake whoever must know: one transaction with `lock`."""
    values = {"id": seen.id, "revision": seen.revision, "cancel": cancel, "channel": channel(schema)}
    row = await (await connection.execute(statement.on(schema).encode(), values)).fetchone()
    assert row is not None, "the saga is locked, and was looked at under the lock"
    body = {"revision": seen.revision, "status": seen.status, **(detail or {})}
    entry = await audit.append(
        connection, schema, who=act.who, act=word, saga_id=seen.id, because=act.because, detail=body
    )
    await connection.execute(HINT.on(schema).encode(), values)
    return Acted(SagaStatus(row[0]), row[1], entry.number)


async def again(connection: Connection, go: Callable[[], Awaitable[T]]) -> T:
    """Run a transaction, and run it again when another act took its number, or a lock order was unlucky."""
    for _ in range(TRIES):
        try:
            async with verified(connection):
                return await go()
        except (
            errors.UniqueViolation,
            errors.SerializationFailure,
            errors.DeadlockDetected,
            CommitNotVerified,
        ):
            continue
    raise SagaError("too many operators act at once: try again")
