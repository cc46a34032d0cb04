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
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from saga.core.durations import Duration, parse
from saga.core.evidence import Evidence
from saga.engine import Engine
from saga.ids import uuid7
from saga.logs import log
from saga.store import leases
from saga.store.batch import Lane
from saga.store.changes import DeclaredDead
from saga.store.journal import Journal
from saga.store.services import ServiceRow
from saga_worker.chores import Chores
from saga_worker.clocks import Clocks, Pace
from saga_worker.effects import LiveEffect
from saga_worker.last_good import LastGood
from saga_worker.memory import Memory
from saga_worker.performer import Performer
from saga_worker.runner import Run
from saga_worker.services import Services

LEAVE_S, CRASHED_S = 2.0, 0.5
"""How long a worker that stops, or that has crashed, waits for a database that is away."""


class Worker:
    """Claims sagas of `engine` and runs them until it is stopped.

    Args:
        engine: what it serves, and where.
        concurrency: sagas in memory at once.
        lanes: writers of the journal; sagas are split between them.
        lease: a worker that is silent for so long is declared dead.
        drain_within: how long a stop waits for calls in flight.
        threads: how many `def` steps run at once.
        pace: how often it looks when nothing happens.
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
        pace: Pace | None = None,
    ) -> None:
        """Open nothing yet; `async with` or `run` does."""
        self.engine = engine
        self.schema = engine.schema
        self.id = uuid7()
        self.draining = False
        self.pace = pace or Pace()
        self.clocks = Clocks(parse(lease))
        self.performer = Performer(threads)
        self._lease = parse(lease)
        self.patience_s = self._lease.total_seconds()
        self._drain_within = parse(drain_within)
        self._lane_count = lanes
        self._chores = Chores(self)
        self.services = Services(self)
        self.memory = Memory(self, self._chores, concurrency)
        self.last_good = LastGood(self, self._chores)
        self._life: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._background: set[asyncio.Task[Any]] = set()

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
        """Work until `stop`.

        Raises:
            Exception: whatever ended the worker before it was stopped; it does not wait on without a life.
        """
        async with self:
            assert self._life is not None, "it was started"
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait({self._life, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()

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
        await self._chores.read_services()
        limit_ms = int(self._lease.total_seconds() * 1000 / 4)
        lanes = [Lane(self.schema, self.id, n, limit_ms) for n in range(self._lane_count)]
        self.memory.open([self._journal_of(lane) for lane in lanes])
        journals = [asyncio.create_task(j.run(), name="saga-journal") for j in self.memory.journals]
        chores = asyncio.create_task(self._chores.run(), name="saga-chores")
        stopping = asyncio.create_task(self._stop.wait())
        log.info("worker_started", worker=str(self.id), lanes=len(lanes))
        started.set()
        await asyncio.wait({*journals, chores, stopping}, return_when=asyncio.FIRST_COMPLETED)
        crashed = [t for t in (*journals, chores) if t.done()]
        if not crashed:
            await self._drain()
        for journal in self.memory.journals:
            journal.close()
        await self._end_all_runs()
        chores.cancel()
        stopping.cancel()
        await self._finish(journals, crashed=bool(crashed))
        results = await asyncio.gather(*journals, chores, return_exceptions=True)
        dead = any(isinstance(r, DeclaredDead) for r in results)
        for failure in results:
            if isinstance(failure, Exception) and not isinstance(failure, DeclaredDead):
                raise failure
        await self._settle_background()
        if not dead:
            await self._leave()
            log.info("worker_stopped", worker=str(self.id))
        return dead and not self._stop.is_set()

    async def _finish(self, journals: list[asyncio.Task[None]], *, crashed: bool) -> None:
        """Let journals write what is pending, for a while: a database that is away must not hold up a stop."""
        _, pending = await asyncio.wait(journals, timeout=CRASHED_S if crashed else LEAVE_S)
        for journal in pending:
            journal.cancel()

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._chores.leave(self.id)
        except TimeoutError:  # the database is away: the lease runs out, and the reaper gives our sagas back
            log.warning("worker_left_without_leave", worker=str(self.id))

    def _registration(self) -> leases.Registration:
        serves = json.dumps([f"{name} v{version}" for name, version in self.engine.registry.sagas])
        return leases.Registration(
            self.id, socket.gethostname(), os.getpid(), serves, self._lane_count, self._lease
        )

    def _journal_of(self, lane: Lane) -> Journal:
        def beaten(before: float, after: float, now: datetime) -> None:
            self.clocks.observe(lane.number, before, after, now)

        return Journal(
            self.engine.conninfo,
            lane,
            beat=min(self._lease.total_seconds() * self.pace.share, self.pace.beat),
            wants=lambda: self.memory.wants(lane.number),
            claimed=lambda rows: self.memory.claimed(lane.number, rows),
            beaten=beaten,
        )

    async def _drain(self) -> None:
        """Claim nothing more, let calls in flight end, give everything back."""
        self.draining = True
        for journal in self.memory.journals:
            journal.state = "draining"
            journal.poke()
        for run in self.memory:
            run.go_on()
        self.memory.emptied.clear()
        if len(self.memory):
            try:
                async with asyncio.timeout(self._drain_within.total_seconds()):
                    await self.memory.emptied.wait()
            except TimeoutError:
                log.warning("worker_drain_incomplete", sagas=len(self.memory))

    async def _end_all_runs(self) -> None:
        for run in self.memory.close():
            if self.draining:
                await run.stop()
            else:
                run.lose()  # its calls in flight go on, and what they bring is evidence
                run.testify()

    async def _settle_background(self) -> None:
        if self._background:
            await asyncio.wait(self._background, timeout=1.0)

    # What runs report.

    async def witness(self, run: Run, effect: LiveEffect, seen: Evidence) -> None:
        """Keep evidence about a saga that is not ours (S25, S33)."""
        await self.keep(run.saga.id, effect, seen)

    async def keep(self, saga_id: UUID, effect: LiveEffect, seen: Evidence) -> None:
        """Keep evidence, wake the saga, alarm where it contradicts."""
        await self._chores.witness(self.id, saga_id, effect, seen)

    async def change_service(self, name: str, act: Callable[[ServiceRow], ServiceRow]) -> ServiceRow:
        """Change how a service stands, for all workers."""
        return await self._chores.change_service(name, act)

    def witness_soon(self, run: Run, effect: LiveEffect, seen: Evidence) -> None:
        """The same, from a callback."""
        self.in_background(self.witness(run, effect, seen))

    async def hear(self, runs: Sequence[Run]) -> None:
        """Read what was sent to sagas that are in memory, and tell them."""
        until = self.clocks.now()
        sent = await self._chores.sent([run.saga.id for run in runs])
        for run in runs:
            if not run.lost:
                run.moments.hear([signal for signal in sent if signal.saga_id == run.saga.id], until)

    def listen(self) -> None:
        """The same, soon, of every saga in memory that waits for a signal beside other things."""
        runs = [run for run in self.memory if run.moments.listens]
        if runs:
            self.in_background(self.hear(runs))

    def in_background(self, work: Any) -> None:
        """Run a coroutine that nobody waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)

    def _background_done(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("worker_background_failed", exc_info=task.exception())
