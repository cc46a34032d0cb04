"""One worker: its lanes, the sagas in its memory, its lease, and what it does besides.

Rules that hold here: the worker's rows are the lease on all its sagas; a worker that was declared dead stops
all work, writes nothing but evidence, and begins a new life under a new id; a stop is a courtesy and never
relied upon (S34). Use it in a process of its own (`saga worker run`) or as `async with Worker(engine)`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import structlog

from saga.core.durations import Duration, parse
from saga.core.evidence import Evidence
from saga.engine import Engine
from saga.ids import uuid7
from saga.store import leases
from saga.store.batch import ClaimRequest, Lane, Row
from saga.store.changes import DeclaredDead
from saga.store.journal import Journal
from saga.store.sagas import SagaRow
from saga_worker.chores import Chores
from saga_worker.clocks import Clocks
from saga_worker.effects import LiveEffect
from saga_worker.performer import Performer
from saga_worker.runner import Run

log = structlog.get_logger("saga")

BEATS_PER_LEASE = 5
POLL_FAST_S, POLL_SLOW_S = 0.02, 0.5


class Worker:
    """Claims sagas of `engine` and runs them until it is stopped.

    Args:
        engine: what it serves, and where.
        concurrency: sagas in memory at once.
        lanes: writers of the journal; sagas are split between them.
        lease: a worker that is silent for so long is declared dead.
        drain_within: how long a stop waits for calls in flight.
        threads: how many `def` steps run at once.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        concurrency: int = 200,
        lanes: int = 2,
        lease: Duration = "15s",
        drain_within: Duration = "10s",
        threads: int = 64,
    ) -> None:
        """Open nothing yet; `async with` or `run` does."""
        self.engine = engine
        self.schema = engine.schema
        self.id = uuid7()
        self.draining = False
        self.clocks = Clocks(parse(lease))
        self.performer = Performer(threads)
        self._lease = parse(lease)
        self._drain_within = parse(drain_within)
        self._concurrency = concurrency
        self._lane_count = lanes
        self._journals: list[Journal] = []
        self._runs: dict[UUID, Run] = {}
        self._epochs: dict[UUID, int] = {}
        self._loading = 0
        self._polls: list[float] = []
        self._pauses: list[float] = []
        self._chores = Chores(self)
        self._life: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._empty = asyncio.Event()
        self._background: set[asyncio.Task[Any]] = set()
        self._names, self._versions = engine.registry_serves()

    # Life and death.

    async def __aenter__(self) -> Self:
        """Start in this event loop."""
        await self.engine.prepare()
        started = asyncio.Event()
        self._life = asyncio.create_task(self._live(started), name="saga-worker")
        waiter = asyncio.create_task(started.wait())
        await asyncio.wait({self._life, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self._life.done():
            await self._life
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain, then stop."""
        self.stop()
        if self._life is not None:
            await self._life

    async def run(self) -> None:
        """Work until `stop`."""
        async with self:
            await self._stop.wait()

    def stop(self) -> None:
        """Begin to drain. Safe to call from a signal handler of the loop."""
        self._stop.set()

    async def _live(self, started: asyncio.Event) -> None:
        """One life after the other, until stopped."""
        while True:
            dead = await self._one_life(started)
            if not dead:
                self.performer.shutdown()
                return
            log.warning("worker_declared_dead", worker=str(self.id))
            self.id = uuid7()

    async def _one_life(self, started: asyncio.Event) -> bool:
        """Register, work, leave; True when it ended by being declared dead."""
        await self._chores.register(self._registration())
        limit_ms = int(self._lease.total_seconds() * 1000 / 4)
        lanes = [Lane(self.schema, self.id, n, limit_ms) for n in range(self._lane_count)]
        self._polls, self._pauses = [0.0] * len(lanes), [POLL_FAST_S] * len(lanes)
        self._journals = [self._journal_of(lane) for lane in lanes]
        journals = [
            asyncio.create_task(j.run(), name=f"saga-journal-{n}") for n, j in enumerate(self._journals)
        ]
        chores = asyncio.create_task(self._chores.run(), name="saga-chores")
        stopping = asyncio.create_task(self._stop.wait())
        log.info("worker_started", worker=str(self.id), lanes=len(lanes), concurrency=self._concurrency)
        started.set()
        await asyncio.wait({*journals, chores, stopping}, return_when=asyncio.FIRST_COMPLETED)
        crashed = [t for t in (*journals, chores) if t.done()]
        if not crashed:
            await self._drain()
        for journal in self._journals:
            journal.close()
        await self._end_all_runs()
        chores.cancel()
        stopping.cancel()
        results = await asyncio.gather(*journals, chores, return_exceptions=True)
        dead = any(isinstance(r, DeclaredDead) for r in results)
        for failure in results:
            if isinstance(failure, Exception) and not isinstance(failure, DeclaredDead):
                raise failure
        await self._settle_background()
        if not dead:
            await self._chores.leave(self.id)
            log.info("worker_stopped", worker=str(self.id))
        return dead and not self._stop.is_set()

    def _registration(self) -> leases.Registration:
        serves = json.dumps([f"{n} v{v}" for n, v in zip(self._names, self._versions, strict=True)])
        return leases.Registration(
            self.id, socket.gethostname(), os.getpid(), serves, self._lane_count, self._lease
        )

    def _journal_of(self, lane: Lane) -> Journal:
        def beaten(before: float, after: float, now: datetime) -> None:
            self.clocks.observe(lane.number, before, after, now)

        return Journal(
            self.engine.conninfo,
            lane,
            beat=min(self._lease.total_seconds() / BEATS_PER_LEASE, POLL_SLOW_S),
            wants=lambda: self._wants(lane.number),
            claimed=lambda rows: self._claimed(lane.number, rows),
            beaten=beaten,
        )

    async def _drain(self) -> None:
        """Claim nothing more, let calls in flight end, give everything back."""
        self.draining = True
        for journal in self._journals:
            journal.state = "draining"
            journal.poke()
        for run in list(self._runs.values()):
            run.go_on()
        self._empty.clear()
        if self._runs or self._loading:
            try:
                async with asyncio.timeout(self._drain_within.total_seconds()):
                    await self._empty.wait()
            except TimeoutError:
                log.warning("worker_drain_incomplete", sagas=len(self._runs))

    async def _end_all_runs(self) -> None:
        runs, self._runs = list(self._runs.values()), {}
        self._epochs.clear()
        await asyncio.gather(*(run.stop() if self.draining else self._orphan(run) for run in runs))

    @staticmethod
    async def _orphan(run: Run) -> None:
        run.lose()  # its calls in flight go on, and what they bring is evidence

    async def _settle_background(self) -> None:
        if self._background:
            await asyncio.wait(self._background, timeout=1.0)

    # Claims.

    def journal(self, lane: int) -> Journal:
        """The journal of one lane."""
        return self._journals[lane]

    def poke(self) -> None:
        """There may be something to claim: look now."""
        for lane, journal in enumerate(self._journals):
            self._polls[lane] = 0.0
            journal.poke()

    def _room(self) -> int:
        return self._concurrency - len(self._runs) - self._loading

    def _wants(self, lane: int) -> ClaimRequest | None:
        """Whether this batch should claim: when there is room, and it is time to look."""
        now = self.clocks.boot()
        if self.draining or now < self._polls[lane]:
            return None
        room = self._room()
        share = max(1, room // self._lane_count)
        if room <= 0:
            return None
        self._polls[lane] = now + self._pauses[lane]
        return ClaimRequest(share, self._names, self._versions)

    def _claimed(self, lane: int, rows: list[Row]) -> None:
        """A claim is durable: fresh sagas begin at once, others when their record is read."""
        sagas = [s for s in (SagaRow(*row) for row in rows) if self._take(s)]
        self._pauses[lane] = POLL_FAST_S if sagas else min(self._pauses[lane] * 1.5, POLL_SLOW_S)
        if not sagas:
            self._poll_later(lane)
            return
        self._polls[lane] = 0.0
        fresh = [s for s in sagas if s.epoch == 1]
        for saga in fresh:
            self._start(Run(self, lane, saga, self.engine.definition(saga.name, saga.version), None))
        known = [s for s in sagas if s.epoch != 1]
        if known:
            self._loading += len(known)
            self.in_background(self._load(lane, known))
        self._journals[lane].poke()

    def _take(self, saga: SagaRow) -> bool:
        """Whether this claim is news: a recovered batch names sagas that we have, under the same epoch."""
        if self._epochs.get(saga.id, 0) >= saga.epoch:
            return False
        self._epochs[saga.id] = saga.epoch
        stale = self._runs.pop(saga.id, None)
        if stale is not None:  # it went to rest, and the news of the next claim came first
            stale.lose()
        return True

    def _poll_later(self, lane: int) -> None:
        asyncio.get_running_loop().call_later(self._pauses[lane], self._journals[lane].poke)

    async def _load(self, lane: int, sagas: list[SagaRow]) -> None:
        journal = self._journals[lane]
        try:
            records = await self._chores.recorded([s.id for s in sagas])
        finally:
            self._loading -= len(sagas)
        if journal.dead or journal is not self._journals[lane]:
            return
        for saga in sagas:
            if self._epochs.get(saga.id) != saga.epoch:
                continue
            definition = self.engine.definition(saga.name, saga.version)
            self._start(Run(self, lane, saga, definition, records[saga.id]))

    def _start(self, run: Run) -> None:
        self._runs[run.saga.id] = run
        asyncio.get_running_loop().call_soon(run.begin)

    # What runs report.

    def forget(self, run: Run) -> None:
        """The saga rests or has ended: it leaves memory."""
        run.lose()
        if self._runs.get(run.saga.id) is run:
            del self._runs[run.saga.id]
            del self._epochs[run.saga.id]
        if not self._runs and not self._loading:
            self._empty.set()
        self.poke_for_room(run.lane)

    def poke_for_room(self, lane: int) -> None:
        """A place is free: claim soon, but not for each single place."""
        if self._polls and self._pauses[lane] <= POLL_FAST_S:
            self._polls[lane] = 0.0
            self._journals[lane].poke()

    def lost(self, run: Run) -> None:
        """The claim was lost to another worker."""
        log.warning("saga_claim_lost", saga_id=str(run.saga.id))
        self.forget(run)

    def restart(self, run: Run) -> None:
        """The inbox moved while the saga went to rest: read it again, under the same claim."""
        run.lose()
        if self._runs.get(run.saga.id) is run:
            self.in_background(self._restart(run))

    async def _restart(self, run: Run) -> None:
        lane = self._journals[run.lane]
        saga = await self._chores.reload(self.id, run.lane, run.saga.id, run.saga.epoch)
        if saga is None or lane.dead or self._epochs.get(saga.id) != saga.epoch:
            self.forget(run)
            return
        records = await self._chores.recorded([saga.id])
        self._start(Run(self, run.lane, saga, run.definition, records[saga.id]))

    async def witness(self, run: Run, effect: LiveEffect, seen: Evidence) -> None:
        """Keep evidence about a saga that is not ours (S25, S33)."""
        await self.keep(run.saga.id, effect, seen)

    async def keep(self, saga_id: UUID, effect: LiveEffect, seen: Evidence) -> None:
        """Keep evidence, wake the saga, alarm where it contradicts."""
        await self._chores.witness(self.id, saga_id, effect, seen)

    def witness_soon(self, run: Run, effect: LiveEffect, seen: Evidence) -> None:
        """The same, from a callback."""
        self.in_background(self.witness(run, effect, seen))

    def in_background(self, work: Any) -> None:
        """Run a coroutine that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("worker_background_failed", exc_info=task.exception())
