"""Does what the schedule says, and writes down when.

Rules: faults of the database come one after the other, all others whenever they are due; a fault is over when what it
broke is there again, as far as it comes back at all.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.pace import pause
from tests.chaos.plan import Fault, Kind
from tests.chaos.stage import REPLICATION, WORKERS_DATABASE, Stage

TEND_EVERY_S = 0.25
LATE_SHARE, MOST_LATE_S = 0.5, 1.5
STORM_ROUNDS, STORM_PAUSE_S = 4, 0.3
READ_ONLY_S = 0.5


class Faults:
    """Runs a plan against a stage."""

    def __init__(self, here: Stage, log: Path) -> None:
        self.counts: Counter[Kind] = Counter()
        self.failed: list[str] = []
        self._here = here
        self._log = log.open("a", buffering=1)
        self._database = asyncio.Lock()
        self._began = time.monotonic()

    async def run(self, plan: list[Fault]) -> None:
        """All of it, until the last fault is over."""
        for fault in plan:
            self._log.write(f"planned {fault}\n")
        self._began = time.monotonic()
        tending = asyncio.create_task(self._tend())
        running: list[asyncio.Task[None]] = []
        for fault in plan:
            await pause(self._began + fault.at - time.monotonic())
            running.append(asyncio.create_task(self._one(fault)))
        await asyncio.gather(*running)
        tending.cancel()
        for wire in self._here.wires.values():
            self._log.write(f"wire    {wire.name}: {wire.most} connections at most\n")

    async def _tend(self) -> None:
        while True:
            await pause(TEND_EVERY_S)
            self._here.tend()

    async def _one(self, fault: Fault) -> None:
        try:
            await self._do(fault)
        except Exception as error:  # noqa: BLE001 - whatever it is, the run has failed and must say so
            self.failed.append(f"{fault}: {error!r}")
        self.counts[fault.kind] += 1
        self._log.write(f"done    {fault} at {time.monotonic() - self._began:.1f}\n")

    def _do(self, fault: Fault) -> Coroutine[Any, Any, None]:
        match fault.kind:
            case Kind.KILL:
                return self._kill(int(fault.whom))
            case Kind.STOP:
                return self._stop(int(fault.whom), fault.seconds)
            case Kind.STORM:
                return self._alone(self._storm)
            case Kind.CRASH:
                return self._alone(lambda: asyncio.to_thread(self._here.pair.crash))
            case Kind.STANDBY:
                return self._alone(lambda: asyncio.to_thread(self._here.pair.crash_standby))
            case Kind.PROMOTION:
                return self._alone(self._promote)
            case Kind.TORN:
                return self._alone(lambda: self._tear(fault.seconds))
            case Kind.SERVICE:
                return self._service(fault.whom, fault.seconds)
            case _:
                return self._wire(fault)

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async with self._database:
            await work()

    async def _kill(self, number: int) -> None:
        worker = self._here.crew[number]
        await asyncio.to_thread(worker.kill)
        worker.start()

    async def _stop(self, number: int, seconds: float) -> None:
        worker = self._here.crew[number]
        pid = worker.freeze()
        await pause(seconds)
        worker.thaw(pid)

    async def _service(self, host: str, seconds: float) -> None:
        service = self._here.services[host]
        await asyncio.to_thread(service.kill)
        await pause(seconds)
        await asyncio.to_thread(service.restart)

    async def _storm(self) -> None:
        for _ in range(STORM_ROUNDS):
            await asyncio.to_thread(self._here.pair.terminate_all)
            await pause(STORM_PAUSE_S)

    async def _promote(self) -> None:
        """Those who come between see a server that only reads, as after a switch that was too early."""
        pair = self._here.pair
        await asyncio.to_thread(pair.primary.kill)
        assert pair.standby is not None
        reads_only = pair.standby.socket
        wire = self._here.wires[WORKERS_DATABASE]
        before, wire.upstream = wire.upstream, lambda: reads_only
        await pause(READ_ONLY_S)
        await asyncio.to_thread(pair.promote)
        wire.upstream = before
        await asyncio.to_thread(pair.make_standby)

    async def _tear(self, seconds: float) -> None:
        """What was committed here alone, and seen here, is lost with the primary."""
        here = self._here
        here.replicating = False
        here.wires[REPLICATION].strand_all()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await pause(STORM_PAUSE_S)
            try:
                await asyncio.to_thread(here.pair.terminate_all)
            except psycopg.Error:
                continue
        await asyncio.to_thread(here.pair.primary.kill)
        here.replicating = True
        await self._promote()

    async def _wire(self, fault: Fault) -> None:
        wire = self._here.wires[fault.whom]
        match fault.kind:
            case Kind.RESET:
                wire.reset_all()
            case Kind.STRAND:
                wire.strand_all()
            case Kind.STALL:
                wire.stall(on=True)
                await pause(fault.seconds)
                wire.stall(on=False)
            case _:
                wire.late(share=LATE_SHARE, most_s=MOST_LATE_S)
                await pause(fault.seconds)
                wire.usual()
