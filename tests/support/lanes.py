"""Workers of the store as tests hire them: rows, real journals, units of work; and waits on what Postgres shows.

Rule: a wait asks Postgres (who waits for whose lock, what is committed) and never a clock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg

from saga.core.evidence import EvidenceKind
from saga.core.model import Direction, EffectStatus, SagaStatus
from saga.ids import uuid7
from saga.store import leases
from saga.store.batch import Batch, ClaimRequest, Done, Lane, Row, write
from saga.store.changes import DeclaredDead, EvidenceWrite, Intent, OutcomeWrite, SagaWrite, Unit, Written
from saga.store.connections import Connection, connect
from saga.store.journal import Journal
from saga.store.urls import conninfo

SCHEMA = "saga"
NAME = "shop"
PATIENCE_S = 20.0


async def witness(url: str) -> psycopg.AsyncConnection[Any]:
    """A connection of the test itself, which is not the engine's."""
    return await psycopg.AsyncConnection.connect(
        conninfo(url), autocommit=True, application_name="the test", row_factory=psycopg.rows.tuple_row
    )


@contextlib.asynccontextmanager
async def witnesses(url: str, count: int) -> AsyncIterator[list[psycopg.AsyncConnection[Any]]]:
    """Several such connections, closed at the end whatever they were doing."""
    made = [await witness(url) for _ in range(count)]
    try:
        yield made
    finally:
        for connection in made:
            await connection.close()


async def one(connection: psycopg.AsyncConnection[Any], query: str, *values: object) -> Any:
    """The first column of the first row."""
    row = await (await connection.execute(query.encode(), values or None)).fetchone()
    assert row is not None
    return row[0]


async def rows(connection: psycopg.AsyncConnection[Any], query: str, *values: object) -> list[Row]:
    """All rows."""
    return await (await connection.execute(query.encode(), values or None)).fetchall()


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask until it holds; each question is a round trip, so nothing spins."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not await condition():
                pass
    except TimeoutError:
        raise AssertionError(f"never happened: {what}") from None


async def until_waiting(connection: psycopg.AsyncConnection[Any], count: int = 1) -> None:
    """Until so many connections of the engine wait for a lock."""

    async def waiting() -> bool:
        found: int = await one(
            connection,
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'",
        )
        return found >= count

    await until(waiting, f"{count} connections wait for a lock")


async def add_sagas(
    connection: psycopg.AsyncConnection[Any], count: int, status: str = "ready", wake: str = "0 s"
) -> list[UUID]:
    """New sagas without an owner; their ids in order."""
    ids = sorted(uuid7() for _ in range(count))
    await connection.execute(
        "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, wake_at)"
        " SELECT id, %s, 1, id::text, %s, '1', 'h', now() + %s::interval FROM unnest(%s::uuid[]) AS id",
        (NAME, status, wake, ids),
    )
    return ids


async def own(connection: psycopg.AsyncConnection[Any], ids: list[UUID], lane: Lane) -> None:
    """As a claim leaves them: running, owned by the lane, one epoch further."""
    await connection.execute(
        "UPDATE saga.saga SET status = 'running', owner = %s, lane = %s, epoch = epoch + 1 WHERE id = ANY(%s)",
        (lane.worker, lane.number, ids),
    )


async def register(
    connection: psycopg.AsyncConnection[Any], lanes: int = 1, lease: timedelta = timedelta(seconds=60)
) -> UUID:
    """The rows of a new worker."""
    worker = uuid7()
    await leases.register(connection, SCHEMA, leases.Registration(worker, "here", 1, "[]", lanes, lease))
    return worker


async def silence(connection: psycopg.AsyncConnection[Any], worker: UUID) -> None:
    """Make its last beat an hour old."""
    await connection.execute(
        "UPDATE saga.worker SET beat = now() - interval '1 hour' WHERE id = %s", (worker,)
    )


@dataclass(eq=False)
class Hand:
    """A lane with a real journal, and what it was told."""

    lane: Lane
    room: int = 0
    claimed: list[Row] = field(default_factory=list[Row])
    beats: int = 0
    _beat: asyncio.Event = field(default_factory=asyncio.Event)
    journal: Journal = field(init=False)
    running: asyncio.Task[None] = field(init=False)

    def start(self, url: str, beat: float) -> None:
        """Open the journal."""
        self.journal = Journal(
            url, self.lane, beat=beat, wants=self._wants, claimed=self.claimed.extend, beaten=self._beaten
        )
        self.running = asyncio.get_running_loop().create_task(self.journal.run())

    def _wants(self) -> ClaimRequest | None:
        return ClaimRequest(self.room, [NAME], [1]) if self.room else None

    def _beaten(self, *_: object) -> None:
        self.beats += 1
        self._beat.set()

    async def more_beats(self, count: int) -> None:
        """Until so many more batches are committed."""
        until = self.beats + count
        while self.beats < until:
            self._beat.clear()
            await self._beat.wait()

    def write(self, *units: Unit) -> asyncio.Future[list[Written]]:
        """Submit in one turn of the loop; the answers in order."""
        for unit in units:
            self.journal.submit(unit)
        return asyncio.gather(*(unit.done for unit in units))

    async def end(self) -> None:
        """Write what is pending, and close."""
        self.journal.close()
        with contextlib.suppress(DeclaredDead, asyncio.CancelledError):
            await self.running


@contextlib.asynccontextmanager
async def hired(
    url: str, *, lanes: int = 1, limit_ms: int = 15_000, beat: float = 600.0, through: str | None = None
) -> AsyncIterator[list[Hand]]:
    """A registered worker with a journal a lane. through: another way to the database, in libpq's words."""
    async with await witness(url) as connection:
        worker = await register(connection, lanes)
    hands = [Hand(Lane(SCHEMA, worker, number, limit_ms)) for number in range(lanes)]
    for hand in hands:
        hand.start(through or conninfo(url), beat)
    try:
        yield hands
    finally:
        for hand in hands:
            await hand.end()


@contextlib.asynccontextmanager
async def engine_connection(url: str) -> AsyncIterator[Connection]:
    """A connection as the store opens it."""
    connection = await connect(conninfo(url))
    try:
        yield connection
    finally:
        await connection.close()


async def write_by_hand(
    connection: Connection, lane: Lane, *units: Unit, number: int = 1, room: int = 0
) -> Done:
    """One batch without a journal, for schedules that need a hand on each transaction."""
    claim = ClaimRequest(room, [NAME], [1]) if room else None
    return await write(connection, lane, Batch(number, "working", list(units), claim), 0.0)


def unit(saga_id: UUID, *parts: Intent | OutcomeWrite | EvidenceWrite | SagaWrite, epoch: int = 1) -> Unit:
    """What one saga writes in one turn."""
    made = Unit(saga_id, epoch, uuid7(), asyncio.get_running_loop().create_future())
    for part in parts:
        match part:
            case Intent():
                made.intents.append(part)
            case OutcomeWrite():
                made.outcomes.append(part)
            case EvidenceWrite():
                made.evidence.append(part)
            case SagaWrite():
                made.saga = part
    return made


def intent(
    step: str = "charge#1",
    attempt: int = 1,
    *,
    direction: Direction = Direction.FORWARD,
    arguments: str = "{}",
) -> Intent:
    """An attempt about to be sent."""
    return Intent(
        step, direction, attempt, uuid7(), 1, "charge", "psp", "key", "hash", arguments, timeout=5.0, key_lifetime=60.0
    )  # fmt: skip


def outcome(
    step: str = "charge#1", attempt: int = 1, *, result: str = "1", proof: str = "reply", completion: int = 1
) -> OutcomeWrite:
    """A success, as it is written."""
    return OutcomeWrite(
        step, Direction.FORWARD, attempt, EffectStatus.SUCCEEDED, ended=True, result=result, proof=proof,
        completion=completion,
    )  # fmt: skip


def seen(body: str = "{}", step: str = "charge#1") -> EvidenceWrite:
    """An observation to keep."""
    return EvidenceWrite(uuid7(), step, Direction.FORWARD, 1, EvidenceKind.LOST, body)


def asleep(inbox: int | None, **more: Any) -> SagaWrite:
    """A rest, if the inbox still stands there."""
    return SagaWrite(SagaStatus.ASLEEP, Direction.FORWARD, inbox, **more)


def turned(**more: Any) -> SagaWrite:
    """The turn backward, with its frozen plan."""
    return SagaWrite(SagaStatus.RUNNING, Direction.BACKWARD, None, plan='{"steps": []}', error="{}", **more)
