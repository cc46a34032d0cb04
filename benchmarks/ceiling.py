"""The bare loop: every intent durable before its step, every outcome, by group commit, and nothing else.

No evidence, no lease, no fence, no types, no logs, no compensation: what an engine in Python cannot beat as long as it stores
an intent before it acts. The goals are shares of this figure. `python -m benchmarks.ceiling URL` prints seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from dataclasses import dataclass, field
from uuid import UUID

import psycopg

from benchmarks.shop import INPUT, RESULT

TABLES = (
    "CREATE TABLE saga (id uuid PRIMARY KEY, status text NOT NULL, input json NOT NULL, output json)",
    "CREATE INDEX ON saga (id) WHERE status = 'ready'",
    "CREATE TABLE effect (saga_id uuid, step int, status text NOT NULL, result json, PRIMARY KEY (saga_id, step))",
)
FILL = (
    "INSERT INTO saga SELECT gen_random_uuid(), 'ready', to_json(%s::text), NULL FROM generate_series(1, %s)"
)
CLAIM = "SELECT id FROM saga WHERE status = 'ready'"
INTENTS = "INSERT INTO effect (saga_id, step, status) SELECT * FROM unnest(%s::uuid[], %s::int[], %s::text[])"
OUTCOMES = (
    "UPDATE effect e SET status = 'succeeded', result = to_json(u.result) FROM unnest(%s::uuid[], %s::int[], %s::text[])"
    " AS u(saga_id, step, result) WHERE e.saga_id = u.saga_id AND e.step = u.step"
)
ENDS = "UPDATE saga SET status = 'completed', output = to_json(%s::text) WHERE id = ANY(%s::uuid[])"

Line = tuple[UUID, int]


@dataclass(slots=True)
class Batch:
    """What the next commit writes, and who waits for it."""

    intents: list[Line] = field(default_factory=list[Line])
    outcomes: list[Line] = field(default_factory=list[Line])
    ends: list[UUID] = field(default_factory=list[UUID])
    waiting: list[asyncio.Future[None]] = field(default_factory=list[asyncio.Future[None]])


class Writer:
    """One connection that commits whatever has gathered."""

    def __init__(self, connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        self._connection = connection
        self._batch = Batch()
        self._work = asyncio.Event()

    def write(self, outcome: Line | None, intent: Line | None, end: UUID | None) -> asyncio.Future[None]:
        """With the next commit."""
        batch, done = self._batch, asyncio.get_running_loop().create_future()
        if outcome is not None:
            batch.outcomes.append(outcome)
        if intent is not None:
            batch.intents.append(intent)
        if end is not None:
            batch.ends.append(end)
        batch.waiting.append(done)
        self._work.set()
        return done

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            batch, self._batch = self._batch, Batch()
            await self._commit(batch)
            for done in batch.waiting:
                done.set_result(None)

    async def _commit(self, batch: Batch) -> None:
        async with self._connection.pipeline():
            await self._connection.execute("BEGIN")
            if batch.outcomes:
                ids, steps = _columns(batch.outcomes)
                await self._connection.execute(OUTCOMES, (ids, steps, [RESULT] * len(ids)))
            if batch.intents:
                ids, steps = _columns(batch.intents)
                await self._connection.execute(INTENTS, (ids, steps, ["sent"] * len(ids)))
            if batch.ends:
                await self._connection.execute(ENDS, (RESULT, batch.ends))
            await self._connection.execute("COMMIT")


def _columns(lines: list[Line]) -> tuple[list[UUID], list[int]]:
    return [saga for saga, _ in lines], [step for _, step in lines]


async def one(writer: Writer, saga: UUID, steps: int) -> None:
    """One saga: intent, step, outcome with the next intent, and so on."""
    outcome: Line | None = None
    for step in range(steps):
        await writer.write(outcome, (saga, step), None)
        await nothing()
        outcome = (saga, step)
    await writer.write(outcome, None, saga)


async def nothing() -> str:
    """The step."""
    return RESULT


async def measured(url: str, sagas: int, steps: int, writers: int, concurrency: int) -> float:
    """Seconds for all of them."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for table in TABLES:
            await connection.execute(table.encode())
        await connection.execute(FILL, (INPUT, sagas))
        ids = [UUID(str(row[0])) for row in await (await connection.execute(CLAIM)).fetchall()]
    made = [Writer(await psycopg.AsyncConnection.connect(url, autocommit=True)) for _ in range(writers)]
    loops = [asyncio.create_task(writer.run()) for writer in made]
    room = asyncio.Semaphore(concurrency)

    async def place(number: int, saga: UUID) -> None:
        async with room:
            await one(made[number % writers], saga, steps)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number, saga in enumerate(ids):
            group.create_task(place(number, saga))
    seconds = time.perf_counter() - began
    for loop in loops:
        loop.cancel()
    return seconds


def main() -> None:
    """Measure once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ceiling", description=__doc__)
    parser.add_argument("url")
    parser.add_argument("--sagas", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--concurrency", type=int, default=1000)
    options = parser.parse_args()
    seconds = asyncio.run(
        measured(options.url, options.sagas, options.steps, options.writers, options.concurrency)
    )
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
