"""`saga db verify`: the verdict of every effect, computed again from what is stored (S3).

Rule that holds here: a verdict is a pure function of evidence and promises, so that what is stored must come out
again; a difference means that the code's promises have changed, or that somebody has changed the record.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from saga.core.evidence import Evidence, Intended, Replied
from saga.core.model import (
    SETTLED,
    Direction,
    EffectStatus,
    NotExecuted,
    Outcome,
    Refused,
    Succeeded,
    Unknown,
)
from saga.core.verdict import verdict
from saga.definition import SagaDefinition
from saga.errors import NotFoundError
from saga.store import sagas
from saga.store.connections import Connection
from saga.store.sagas import EffectRow
from saga.store.sql import Statement

if TYPE_CHECKING:
    from saga.engine import Engine

PAGE = 500
REPLY = Succeeded("").rule
IDS = Statement(
    "ids_to_verify",
    "Locks nothing. Zero rows: every saga was seen.",
    "SELECT id, name, version, key, alarm IS NOT NULL FROM {s}.saga WHERE id > %(after)s AND purged_at IS NULL ORDER BY id LIMIT %(page)s",
)


@dataclass(frozen=True, slots=True)
class Difference:
    """An effect whose stored end is not what its evidence proves."""

    saga_id: UUID
    key: str
    step: str
    direction: Direction
    stored: str
    computed: str


@dataclass(slots=True)
class Verified:
    """How many effects were computed again, and what differed. unknown: sagas that no definition here knows."""

    effects: int
    unknown: int
    differences: list[Difference]


async def verify(engine: Engine) -> Verified:
    """Compute every effect's verdict again."""
    done = Verified(0, 0, [])
    async with engine.connection() as connection:
        async for page in _pages(connection, engine.schema):
            found = await sagas.recorded(connection, engine.schema, [row[0] for row in page])
            for saga_id, name, version, key, alarmed in page:
                try:
                    definition = engine.definition(name, version)
                except NotFoundError:
                    done.unknown += 1
                    continue
                for row in found[saga_id].effects:
                    seen = found[saga_id].evidence[row.step, row.direction]
                    done.effects += 1
                    stored, computed = row.status, _computed(definition, found[saga_id].effects, row, seen)
                    told = alarmed or _undone_late(found[saga_id].effects, row, computed)
                    if computed is not stored and not told:  # an alarm, or its undo, says so already
                        done.differences.append(
                            Difference(saga_id, key, row.step, row.direction, stored, computed)
                        )
    return done


async def _pages(connection: Connection, schema: str) -> AsyncIterator[list[tuple[Any, ...]]]:
    after = UUID(int=0)
    while True:
        cursor = await connection.execute(IDS.on(schema).encode(), {"after": after, "page": PAGE})
        page = await cursor.fetchall()
        if not page:
            return
        yield page
        after = page[-1][0]


def _computed(
    definition: SagaDefinition[Any, Any],
    effects: Sequence[EffectRow],
    row: EffectRow,
    seen: Sequence[Evidence],
) -> EffectStatus:
    """Where the evidence says that the effect stands."""
    if row.status not in SETTLED:
        return row.status  # not concluded yet: there is nothing to compare
    forward = next(e for e in effects if e.step == row.step and e.direction is Direction.FORWARD)
    step = definition.steps.get(forward.name)
    handlers = step if step is None or row.direction is Direction.FORWARD else step.compensation
    if step is None or handlers is None:
        return row.status
    return _status(
        verdict([*_in_the_row(row), *seen], step.service.promises, handlers.policy).outcome, row.status
    )


def _undone_late(effects: Sequence[EffectRow], row: EffectRow, computed: EffectStatus) -> bool:
    """What landed late stays stored as the function was told; its undo is what became of it (S16)."""
    undone = any(
        e.step == row.step and e.direction is Direction.BACKWARD and e.status is EffectStatus.SUCCEEDED
        for e in effects
    )
    return undone and row.direction is Direction.FORWARD and computed is EffectStatus.SUCCEEDED


def _in_the_row(row: EffectRow) -> list[Evidence]:
    """The evidence of a first attempt that simply succeeded: its intent and its reply are the row itself."""
    if row.status is not EffectStatus.SUCCEEDED or row.attempt != 1 or row.proof != REPLY:
        return []
    return [Intended(1, row.intent_at, row.deadline_at), Replied(1, Succeeded(row.result or "null"))]


def _status(outcome: Outcome, stored: EffectStatus) -> EffectStatus:
    match outcome:
        case Succeeded():
            return EffectStatus.SUCCEEDED
        case Refused():
            return EffectStatus.REFUSED
        case NotExecuted():
            return EffectStatus.NOT_EXECUTED
        case Unknown():
            return stored if stored is EffectStatus.ACCEPTED else EffectStatus.DOUBT
