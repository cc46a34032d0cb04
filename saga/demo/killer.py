"""The killer: kill -9 of workers while attempts of theirs are in flight, and a new worker in each one's place.

Rules: a victim is a worker whose sagas have an effect *sent* and not settled, by the database. After the kill the
database is read again: a dead worker writes nothing, so an effect that still is *sent* under it was in flight when
it died. Only such a kill counts.
"""

import asyncio
import os
from collections.abc import Sequence
from random import Random

import psycopg

from saga.demo.workers import WorkerProcess

LOOK_EVERY = 0.02

# Reads only, locks nothing. No row: no worker has an attempt in flight at this moment.
IN_FLIGHT = """
SELECT DISTINCT w.id, w.pid FROM saga.worker w JOIN saga.saga s ON s.owner = w.id
JOIN saga.effect e ON e.saga_id = s.id WHERE s.status = 'running' AND e.status = 'sent' AND e.worker = w.id
"""
# Reads only. Zero: it had none in flight when it died.
LEFT_BY = """
SELECT count(*) FROM saga.saga s JOIN saga.effect e ON e.saga_id = s.id
WHERE e.worker = %s AND e.status = 'sent'
"""


class Killer:
    """Kills `planned` times, as evenly as it can over `seconds`."""

    def __init__(
        self, database: str | None, workers: Sequence[WorkerProcess], planned: int, seconds: float, seed: int
    ) -> None:
        self.kills = 0
        self._database, self._workers = database, workers
        self._planned, self._pause = planned, seconds / max(planned, 1)
        self._dice = Random(f"killer/{seed}")

    async def kill(self) -> None:
        """Runs until all planned kills are done. Cancel it when there is nobody left to serve."""
        if self._database is None or not self._planned:
            return
        async with await psycopg.AsyncConnection.connect(self._database, autocommit=True) as connection:
            while self.kills < self._planned:
                await asyncio.sleep(self._pause)
                while not await self._kill_one(connection):  # noqa: ASYNC110  # the database rings no bell for this
                    await asyncio.sleep(LOOK_EVERY)
                self.kills += 1

    async def _kill_one(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> bool:
        found = await (await connection.execute(IN_FLIGHT)).fetchall()
        busy = [(owner, process) for owner, pid in found if (process := self._process_of(pid)) is not None]
        if not busy:
            return False
        owner, process = self._dice.choice(busy)
        process.kill()
        left = await (await connection.execute(LEFT_BY, (owner,))).fetchone()
        process.start()
        return left is not None and left[0] != 0

    def _process_of(self, pid: object) -> WorkerProcess | None:
        assert isinstance(pid, int)
        try:
            group = os.getpgid(pid)
        except ProcessLookupError:
            return None  # killed before, and its row not reaped yet
        return next((worker for worker in self._workers if worker.pid == group), None)
