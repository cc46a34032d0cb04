"""Sagas and their effects as a worker loads them, and the writes that need no claim.

Rules that hold here: texts stay texts (types decode them); a wake-up is one update of the saga's row whatever
its status, in the transaction of its cause, so that it cannot be lost; late evidence wakes.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from saga.core.evidence import Evidence, decode
from saga.core.model import Direction, EffectStatus
from saga.core.verdict import contradiction
from saga.store import statements as sql
from saga.store.batch import evidence_rows
from saga.store.changes import EvidenceWrite
from saga.store.connections import Connection, verified
from saga.store.moments import MOMENTS_OF, MomentRow
from saga.store.signals import SIGNALS_OF, SignalRow
from saga.store.sql import Statement

WAKE = Statement(
    "wake",
    "Locks one saga, whatever its status; an end stays an end. Zero rows: no such saga.",
    "UPDATE {s}.saga SET inbox = inbox + 1, wake_at = least(wake_at, now()),"
    " status = CASE WHEN status IN ('asleep', 'parked') THEN 'ready' ELSE status END,"
    " park_cause = NULL, park_reason = NULL, park_detail = NULL,"
    " updated_at = now() WHERE id = %(id)s RETURNING status",
)
EFFECT_NOW = Statement(
    "effect_now",
    "Locks nothing, behind the saga's lock. Zero rows: no such effect.",
    "SELECT status, attempt, EXISTS (SELECT 1 FROM {s}.evidence e WHERE e.saga_id = f.saga_id AND e.step = f.step"
    " AND e.direction = f.direction AND e.kind = 'statement' AND e.body ->> 'by_hand' = 'true')"
    " FROM {s}.effect f WHERE saga_id = %(saga)s AND step = %(step)s AND direction = %(direction)s",
)
REOPEN = Statement(
    "reopen",
    "Updates one saga that is locked: an end that evidence contradicts is taken up again, and remembers which end"
    " it was. Zero rows: it has not ended, or was abandoned.",
    "UPDATE {s}.saga SET status = 'ready', finished_at = NULL, wake_at = now(),"
    " amendment = json_build_object('end', status), updated_at = now()"
    " WHERE id = %(id)s AND status IN ('completed', 'compensated')",
)
ALARM = Statement(
    "alarm",
    "Updates one saga that is locked. Zero rows: no such saga.",
    "UPDATE {s}.saga SET alarm = coalesce(alarm, %(alarm)s) WHERE id = %(id)s",
)


@dataclass(slots=True)
class SagaRow:
    """One claimed saga, in the order of the claim's columns."""

    id: UUID
    name: str
    version: int
    key: str
    epoch: int
    inbox: int
    direction: str
    input: str
    degraded: str | None
    error: str | None
    plan: str | None
    deadline_at: datetime | None
    cancel_requested: bool
    status: str
    amendment: str | None

    @property
    def fresh(self) -> bool:
        """Whether nobody had it before, and nothing came for it, so that nothing is recorded."""
        return self.epoch == 1 and self.inbox == 0


@dataclass(slots=True)
class EffectRow:
    """One recorded effect, in the order of the statement's columns."""

    saga_id: UUID
    step: str
    direction: Direction
    position: int
    name: str
    service: str
    key: str
    request_hash: str
    arguments: str
    status: EffectStatus
    attempt: int
    first_intent_at: datetime
    intent_at: datetime
    deadline_at: datetime
    key_expires_at: datetime | None
    ended_at: datetime | None
    result: str | None
    error: str | None
    proof: str | None
    by_statement: bool
    completion: int | None
    doubt_since: datetime | None
    probes: int

    def __post_init__(self) -> None:
        """Words become members: an unknown one is an error here and not later."""
        self.direction = Direction(self.direction)
        self.status = EffectStatus(self.status)


@dataclass(slots=True)
class Recorded:
    """All that is recorded of one saga. evidence: by (step, direction). heard_at: what was sent until then is there."""

    effects: list[EffectRow]
    evidence: dict[tuple[str, Direction], list[Evidence]]
    moments: list[MomentRow] = field(default_factory=list[MomentRow])
    signals: list[SignalRow] = field(default_factory=list[SignalRow])
    heard_at: datetime | None = None


async def recorded(connection: Connection, schema: str, ids: Sequence[UUID]) -> dict[UUID, Recorded]:
    """Effects, evidence, moments and signals of these sagas, each saga once."""
    found = {i: Recorded([], defaultdict(list)) for i in ids}
    async with connection.pipeline():
        effects = await connection.execute(sql.EFFECTS_OF.on(schema).encode(), {"ids": list(ids)})
        observed = await connection.execute(sql.EVIDENCE_OF.on(schema).encode(), {"ids": list(ids)})
        moments = await connection.execute(MOMENTS_OF.on(schema).encode(), {"ids": list(ids)})
        sent = await connection.execute(SIGNALS_OF.on(schema).encode(), {"ids": list(ids)})
    for row in await effects.fetchall():
        found[row[0]].effects.append(EffectRow(*row))
    for saga_id, step, direction, attempt, kind, body in await observed.fetchall():
        found[saga_id].evidence[step, Direction(direction)].append(decode(kind, attempt, json.loads(body)))
    for row in await moments.fetchall():
        found[row[0]].moments.append(MomentRow(*row))
    for row in await sent.fetchall():
        found[row[0]].signals.append(SignalRow(*row))
    return found


async def reload(
    connection: Connection, schema: str, lane: dict[str, Any], saga_id: UUID, epoch: int
) -> SagaRow | None:
    """The saga's row as it is now, or None when the claim is lost."""
    values = {**lane, "id": saga_id, "epoch": epoch}
    row = await (await connection.execute(sql.RELOAD.on(schema).encode(), values)).fetchone()
    return None if row is None else SagaRow(*row)


async def witness(
    connection: Connection,
    schema: str,
    *,
    worker: UUID | None,
    saga_id: UUID,
    write: EvidenceWrite,
    seen: Evidence | None,
) -> str | None:
    """Keep one observation without a claim, and wake the saga (S25, S33).

    Where `seen` (None: it cannot matter) contradicts what the effect was settled as, the saga is alarmed, and taken up again if it has ended and
    the effect has landed after all. Returns the alarm.
    """
    async with verified(connection):
        await connection.execute(WAKE.on(schema).encode(), {"id": saga_id})  # the saga's lock comes first
        where = {"saga": saga_id, "step": write.step, "direction": write.direction.value}
        row = await (await connection.execute(EFFECT_NOW.on(schema).encode(), where)).fetchone()
        rows = {**evidence_rows([(saga_id, write)]), "me": worker}
        await connection.execute(sql.EVIDENCE.on(schema).encode(), rows)
        if row is None or seen is None:
            return None
        settled, attempts, by_hand = EffectStatus(row[0]), row[1], row[2]
        said = contradiction(settled, seen, attempts=attempts, by_hand=by_hand)
        if said is None:
            return None
        alarm = f"{write.step}: {said}"
        await connection.execute(ALARM.on(schema).encode(), {"id": saga_id, "alarm": alarm})
        if settled is not EffectStatus.SUCCEEDED:
            await connection.execute(REOPEN.on(schema).encode(), {"id": saga_id})
        return alarm
