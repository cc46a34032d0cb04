"""One batch of the journal: many units in one transaction, one round trip, one fsync.

Rules that hold here: the order is fence, beat, locks, effects, moments, sagas, evidence, claim; the same row is never
twice in one statement; COMMIT is verified by its own answer (S6). This module writes one batch on one
connection and reads what it did; when to write, and what to do when that fails, is `journal`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from psycopg import AsyncCursor

from saga.store import statements as sql
from saga.store.changes import EvidenceWrite, Intent, OutcomeWrite, Unit, Written
from saga.store.columns import Column
from saga.store.connections import CommitNotVerified, Connection, verified
from saga.store.moments import MOMENT_ENDS, MOMENTS
from saga.store.sql import Statement

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """Who writes: one lane of one worker. `limit_ms` bounds every wait of its transactions."""

    schema: str
    worker: UUID
    number: int
    limit_ms: int

    @property
    def patience_s(self) -> float:
        """After so many seconds an answer is of no use any more: the lease is over."""
        return self.limit_ms * 4 / 1000

    def parameters(self) -> dict[str, Any]:
        """What every statement is given."""
        return {"me": self.worker, "lane": self.number}


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """How many sagas this lane has room for, and which definitions it serves."""

    room: int
    names: list[str]
    versions: list[int]


@dataclass(slots=True)
class Batch:
    """The units of one transaction, folded so that no row comes twice."""

    number: int
    state: str
    units: list[Unit]
    claim: ClaimRequest | None = None
    rows: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch that is committed did."""

    now: datetime
    written: list[Written]
    claimed: list[Row]


def fold(pending: list[Unit], limit: int) -> list[Unit]:
    """Take the next units: a unit whose rows are already taken waits, and so do its saga's later ones.

    A unit that writes the saga's own row shares a batch with no other of that saga: intents are written before
    sagas, so that a forward intent would slip in beside the turn that forbids it (S32).
    """
    taken: dict[UUID, list[Unit]] = {}
    waiting: set[UUID] = set()
    batch: list[Unit] = []
    rest: list[Unit] = []
    for unit in pending:
        others = taken.get(unit.saga_id, ())
        if len(batch) >= limit or unit.saga_id in waiting or not all(_side_by_side(unit, o) for o in others):
            waiting.add(unit.saga_id)
            rest.append(unit)
            continue
        batch.append(unit)
        taken.setdefault(unit.saga_id, []).append(unit)
    pending[:] = rest
    return batch


def _side_by_side(unit: Unit, earlier: Unit) -> bool:
    """Whether two units of one saga may share a batch."""
    if unit.saga is not None or earlier.saga is not None:
        return False
    return unit.touches().isdisjoint(earlier.touches())


async def write(connection: Connection, lane: Lane, batch: Batch, boot: float) -> Done:
    """Run the batch and read back what it did.

    Raises:
        psycopg.Error: nothing is known to be written; `journal` decides what that means.
        CommitNotVerified: nothing is written.
    """
    common = {**lane.parameters(), "batch": batch.number, "state": batch.state, "ms": str(lane.limit_ms)}
    cursors: dict[str, AsyncCursor[Row]] = {}

    async def send(statement: Statement, parameters: dict[str, Any]) -> None:
        cursor = connection.cursor()
        await cursor.execute(statement.on(lane.schema).encode(), {**common, **parameters}, prepare=True)
        cursors[statement.name] = cursor

    async with connection.pipeline():
        await connection.execute("BEGIN")
        await send(sql.LIMITS, {})
        await send(sql.FENCE, {})
        await send(sql.BEAT, {})
        if batch.units:
            await send(sql.LOCK_SAGAS, {"ids": Column(sorted({u.saga_id for u in batch.units}))})
            for statement, parameters in _writes(batch.units):
                await send(statement, parameters)
        if batch.claim is not None:
            claim = {"room": batch.claim.room, "names": batch.claim.names, "versions": batch.claim.versions}
            await send(sql.CLAIM, claim)
        commit = await connection.execute("COMMIT")
    if commit.statusmessage != "COMMIT":
        raise CommitNotVerified(f"COMMIT answered {commit.statusmessage}")
    return await _read(batch, cursors, boot)


async def _read(batch: Batch, cursors: dict[str, AsyncCursor[Row]], boot: float) -> Done:
    async def rows(statement: Statement) -> list[Row]:
        cursor = cursors.get(statement.name)
        return [] if cursor is None else await cursor.fetchall()

    now: datetime = (await rows(sql.FENCE))[0][0]
    locked = {row[0]: row for row in await rows(sql.LOCK_SAGAS)}
    taken = {tuple(row) for s in (sql.FIRST_INTENTS, sql.NEXT_INTENTS) for row in await rows(s)}
    moved = {row[0] for row in await rows(sql.SAGAS)}
    written = [_written(unit, locked.get(unit.saga_id), taken, moved, (now, boot)) for unit in batch.units]
    return Done(now, written, await rows(sql.CLAIM))


def _written(
    unit: Unit, locked: Row | None, taken: set[Row], moved: set[UUID], times: tuple[datetime, float]
) -> Written:
    _, mine, epoch, inbox, cancel, *_ = locked or (None, False, -1, 0, False)
    held = bool(mine) and epoch == unit.epoch
    intents = frozenset(
        [(i.step, i.direction) for i in unit.intents if (unit.saga_id, i.step, i.direction.value) in taken]
    )
    return Written(held, held and unit.saga_id in moved, intents, inbox, bool(cancel), *times)


def _writes(units: Sequence[Unit]) -> Iterable[tuple[Statement, dict[str, Any]]]:
    outcomes = [(u, o) for u in units for o in u.outcomes]
    if outcomes:
        yield sql.OUTCOMES, _outcomes(outcomes)
    intents = [(u, i) for u in units for i in u.intents]
    first = [(u, i) for u, i in intents if i.attempt == 1]
    if first:
        yield sql.FIRST_INTENTS, _intents(first)
    later = [(u, i) for u, i in intents if i.attempt > 1]
    if later:
        yield sql.NEXT_INTENTS, _intents(later)
    watched = [(u, w) for u in units for w in u.watches]
    if watched:
        columns = _columns([w for _, w in watched], ("step", "direction", "seconds"))
        yield sql.WATCHES, {**columns, **_claims([u for u, _ in watched])}
    yield from _moments(units)
    sagas = [u for u in units if u.saga is not None]
    if sagas:
        yield sql.SAGAS, _sagas(sagas)
    observed = [(u.saga_id, e) for u in units for e in u.evidence]
    if observed:
        yield sql.EVIDENCE, evidence_rows(observed)


def _moments(units: Sequence[Unit]) -> Iterable[tuple[Statement, dict[str, Any]]]:
    """Before the sagas' own rows, which may end the claim; one that is new may end in the same batch."""
    begun = [(u, m) for u in units for m in u.moments]
    if begun:
        columns = _columns([m for _, m in begun], ("step", "kind", "position", "seconds", "value"))
        yield MOMENTS, {**columns, **_claims([u for u, _ in begun])}
    ended = [(u, m) for u in units for m in u.moment_ends]
    if ended:
        columns = _columns([m for _, m in ended], ("step", "completion", "signal"))
        yield MOMENT_ENDS, {**columns, **_claims([u for u, _ in ended])}


def _outcomes(rows: list[tuple[Unit, OutcomeWrite]]) -> dict[str, Any]:
    columns = ("step", "direction", "attempt", "status", "result", "error", "proof", "by_statement",
               "completion", "probes", "in_doubt", "ended")  # fmt: skip
    return {**_columns([o for _, o in rows], columns), **_claims([u for u, _ in rows])}


def _intents(rows: list[tuple[Unit, Intent]]) -> dict[str, Any]:
    columns = ("step", "direction", "attempt", "intent_id", "position", "name", "service", "key",
               "request_hash", "arguments", "timeout", "key_lifetime")  # fmt: skip
    return {**_columns([i for _, i in rows], columns), **_claims([u for u, _ in rows])}


def _sagas(units: list[Unit]) -> dict[str, Any]:
    columns = ("seen", "status", "direction", "wake_at", "waiting_for", "output", "error", "degraded", "plan",
               "park_cause", "park_reason", "park_detail", "alarm", "amendment", "calm", "past_pivot")  # fmt: skip
    values = _columns([u.saga for u in units], columns)
    return {**values, **_claims(units), "write_id": Column(u.write_id for u in units)}


def evidence_rows(rows: list[tuple[UUID, EvidenceWrite]]) -> dict[str, Any]:
    """The parameters of the evidence statement."""
    columns = ("id", "step", "direction", "attempt", "kind", "body")
    return {**_columns([e for _, e in rows], columns), "saga": Column(saga_id for saga_id, _ in rows)}


def _columns(items: Sequence[object], names: Sequence[str]) -> dict[str, Any]:
    return {name: Column(map(attrgetter(name), items)) for name in names}


def _claims(units: Sequence[Unit]) -> dict[str, Any]:
    return {"saga": Column(u.saga_id for u in units), "epoch": Column(u.epoch for u in units)}


async def recover(connection: Connection, lane: Lane, batch: Batch, boot: float) -> Done | None:
    """What a batch whose COMMIT lost its reply did; None: it was never committed, run it again (S6).

    Taking the lane's row waits for the old transaction to end; its number then says which way.

    Raises:
        LookupError: the worker row is gone, the worker is declared dead.
    """
    parameters = {**lane.parameters(), "ms": str(lane.limit_ms)}
    async with verified(connection):
        await connection.execute(sql.LIMITS.on(lane.schema).encode(), parameters)
        cursor = await connection.execute(sql.LAST_BATCH.on(lane.schema).encode(), parameters)
        row = await cursor.fetchone()
    if row is None:
        raise LookupError("no worker row")
    if row[0] < batch.number:
        return None
    ids = {**parameters, "ids": [u.saga_id for u in batch.units]}
    states = await (await connection.execute(sql.SAGA_STATES.on(lane.schema).encode(), ids)).fetchall()
    intents = {"intents": [i.intent_id for u in batch.units for i in u.intents]}
    there = await (await connection.execute(sql.INTENTS_THERE.on(lane.schema).encode(), intents)).fetchall()
    locked = {r[0]: r for r in states}
    wrote = {r[5] for r in states}
    moved = {u.saga_id for u in batch.units if u.write_id is not None and u.write_id in wrote}
    taken = {tuple(r) for r in there}
    written = [_recovered(u, locked.get(u.saga_id), taken, moved, (row[1], boot)) for u in batch.units]
    claimed = await (await connection.execute(sql.MINE.on(lane.schema).encode(), parameters)).fetchall()
    return Done(row[1], written, claimed if batch.claim is not None else [])


def _recovered(
    unit: Unit, state: Row | None, taken: set[Row], moved: set[UUID], times: tuple[datetime, float]
) -> Written:
    seen = _written(unit, state, taken, moved, times)
    if unit.saga_id not in moved:
        return seen
    return Written(held=True, moved=True, intents=seen.intents, inbox=seen.inbox,
                   cancel_requested=seen.cancel_requested, now=times[0], boot=times[1])  # fmt: skip
