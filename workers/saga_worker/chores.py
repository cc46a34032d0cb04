"""What a worker does beside its sagas, on connections of its own: lease, reaper, sleepers, late evidence.

Rules that hold here: nothing here is in the way of a step; every chore can be done by any worker and done
twice; NOTIFY is a hint, the poll is the truth; an error of the database is waited out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import psycopg

from saga.core.evidence import Evidence
from saga.core.promises import Kind
from saga.logs import log
from saga.store import last_good, leases, sagas, services, signals, wakeups
from saga.store.connections import Connection, reusable
from saga.store.last_good import Keep, Kept
from saga.store.patience import answering, connect_within
from saga.store.sagas import Recorded, SagaRow
from saga.store.services import ServiceRow
from saga.store.signals import SignalRow
from saga_worker.effects import LiveEffect
from saga_worker.requests import serve_requests
from saga_worker.watches import serve_watches

if TYPE_CHECKING:
    from saga_worker.worker import Worker

T = TypeVar("T")

ROUND_MIN_S = 0.02
PAUSE_S = 0.2
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError)
"""No answer, or one that only this server gives, at this moment: it is a standby yet, or ended our transaction."""


class Chores:
    """The worker's other half."""

    def __init__(self, worker: Worker) -> None:
        """Open nothing yet."""
        self._worker = worker
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()
        self._reap_at = 0.0

    async def register(self, registration: leases.Registration) -> None:
        """Begin the lease."""
        await self._patiently(lambda c: leases.register(c, self._worker.schema, registration))

    async def leave(self, worker: UUID) -> None:
        """End the lease, and what is still owned is free at once."""

        async def go(connection: Connection) -> None:
            await leases.leave(connection, self._worker.schema, worker)
            await leases.ready_orphans(connection, self._worker.schema)

        await self._patiently(go)
        if self._connection is not None:
            await self._connection.close()

    async def recorded(self, ids: Sequence[UUID]) -> dict[UUID, Recorded]:
        """What is recorded of these sagas."""
        until = self._worker.clocks.now()
        found = await self._patiently(lambda c: sagas.recorded(c, self._worker.schema, ids))
        for record in found.values():
            record.heard_at = until
        return found

    async def sent(self, ids: Sequence[UUID]) -> list[SignalRow]:
        """What was sent to these sagas."""
        return await self._patiently(lambda c: signals.sent(c, self._worker.schema, ids))

    async def reload(self, worker: UUID, lane: int, saga_id: UUID, epoch: int) -> SagaRow | None:
        """The saga's row under the same claim, or None when that is lost."""
        mine = {"me": worker, "lane": lane}
        return await self._patiently(lambda c: sagas.reload(c, self._worker.schema, mine, saga_id, epoch))

    async def witness(self, worker: UUID, saga_id: UUID, effect: LiveEffect, seen: Evidence) -> None:
        """Keep evidence without a claim, wake the saga, and alarm when it contradicts what was settled."""
        schema = self._worker.schema
        write = effect.evidence_write(seen)
        judged = None if effect.policy.kind is Kind.READS else seen  # a read changes nothing, however late

        async def go(connection: Connection) -> str | None:
            return await sagas.witness(
                connection, schema, worker=worker, saga_id=saga_id, write=write, seen=judged
            )

        alarm = await self._patiently(go)
        log.warning("late_evidence", saga_id=str(saga_id), step=effect.identity, alarm=alarm)

    async def keep_values(self, values: Sequence[Keep], *, sweep: bool) -> None:
        """Keep what reads returned. sweep: and delete what nobody may take any more."""

        async def go(connection: Connection) -> None:
            await last_good.keep(connection, self._worker.schema, values)
            if sweep:
                await last_good.sweep(connection, self._worker.schema)

        await self._patiently(go)

    async def kept_values(self, hashes: Sequence[str]) -> Mapping[str, Kept]:
        """What reads returned last."""
        return await self._patiently(lambda c: last_good.find(c, self._worker.schema, hashes))

    async def read_services(self) -> None:
        """Know how services stand before anything is claimed: who has just started would call one that is open."""
        await self._patiently(self._worker.services.round)

    async def change_service(self, name: str, act: Callable[[ServiceRow], ServiceRow]) -> ServiceRow:
        """Change how a service stands; how it stands then."""
        return await self._patiently(lambda c: services.change(c, self._worker.schema, name, act))

    async def run(self) -> None:
        """Do the rounds until cancelled."""
        listener = asyncio.create_task(self._listen(), name="saga-listener")
        try:
            while True:
                pause = await self._patiently(self._round)
                await asyncio.sleep(pause)
        finally:
            listener.cancel()

    async def _round(self, connection: Connection) -> float:
        """Do what one look finds; seconds until the next round."""
        schema, boot = self._worker.schema, self._worker.clocks.boot()
        reap = boot >= self._reap_at
        found = await leases.look(connection, schema, reap=reap)
        due = self._worker.pace.round if found.due_in is None else found.due_in
        if due <= 0 and await leases.ready_due(connection, schema):
            self._worker.memory.poke()
        if found.services:
            await self._worker.services.round(connection)
        if found.asked:
            await serve_requests(connection, self._worker)
        if found.watched:
            await serve_watches(connection, self._worker)
        if found.silent or found.orphaned:
            await self._reap(connection)
        self._worker.listen()
        if reap:
            self._reap_at = boot + self._worker.pace.reap
        return min(max(due, ROUND_MIN_S), self._worker.pace.round)

    async def _reap(self, connection: Connection) -> None:
        schema = self._worker.schema
        for dead in await leases.reap(connection, schema):
            log.warning("worker_reaped", worker=str(dead))
        if await leases.ready_orphans(connection, schema):
            self._worker.memory.poke()

    async def _listen(self) -> None:
        """Poke the journals when something became ready. A connection that breaks is opened again."""
        while True:
            with contextlib.suppress(psycopg.Error):
                await wakeups.listen(
                    self._worker.engine.conninfo, self._worker.schema, self._worker.memory.poke
                )
            await asyncio.sleep(PAUSE_S)

    async def _patiently(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Do `work` on the chores' connection, again and again while the database is away, silent or read-only."""
        seconds = self._worker.patience_s
        while True:
            async with self._lock:
                try:
                    if self._connection is None or self._connection.closed:
                        self._connection = await connect_within(self._worker.engine.conninfo, seconds)
                    async with answering(self._connection, seconds):
                        return await work(self._connection)
                except AWAY as error:
                    log.warning("database_away", error=str(error).strip())
                    if self._connection is not None:
                        await self._connection.close()
                finally:
                    if self._connection is not None and not reusable(self._connection):
                        await self._connection.close()
            await asyncio.sleep(PAUSE_S)
