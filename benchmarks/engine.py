"""The engine under load, as a user runs it: `saga worker run` in processes of its own, sagas that were started before.

A throughput is read off the tables: from the first intent to the last end, by the database's clock.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks import server
from benchmarks.crew import crew
from benchmarks.shop import INPUT, SAGAS
from saga import Engine, SagaDefinition
from saga.core.model import SagaStatus

CONCURRENCY, LANES = 400, 2
LOOK_EVERY_S, LIMIT_S = 0.2, 600.0
BATCH = 1000
OPEN = (
    f"SELECT EXISTS (SELECT FROM saga.saga WHERE status = '{SagaStatus.READY}')"
    f" OR EXISTS (SELECT FROM saga.saga WHERE status = '{SagaStatus.RUNNING}')"
    f" OR EXISTS (SELECT FROM saga.saga WHERE status = '{SagaStatus.ASLEEP}' AND wake_at < now() + interval '1 hour')"
)
SPAN = (
    "SELECT extract(epoch FROM max(s.finished_at) - min(e.first)), count(*) FROM saga.saga s,"
    " LATERAL (SELECT min(first_intent_at) AS first FROM saga.effect WHERE saga_id = s.id) e"
    f" WHERE s.key LIKE '{{prefix}}-%' AND s.status = '{SagaStatus.COMPLETED}'"
)


@dataclass(frozen=True, slots=True)
class Load:
    """What a run was asked for. definition: None for the no-op saga of so many steps; processes: of workers.

    prefix: of the keys, where one database sees more than one load.
    """

    sagas: int
    steps: int = 3
    processes: int = 1
    concurrency: int = CONCURRENCY
    lanes: int = LANES
    definition: SagaDefinition[str, str] | None = None
    prefix: str = "load"

    def options(self) -> tuple[str, ...]:
        """What a worker is told."""
        return ("--concurrency", str(self.concurrency), "--lanes", str(self.lanes))


@dataclass(frozen=True, slots=True)
class Throughput:
    """What it brought, a second and a saga."""

    sagas_per_s: float
    transactions: float
    wal_bytes: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Start to end of one saga at a time, in milliseconds."""

    p50_ms: float
    p99_ms: float


def throughput(url: str, load: Load) -> Throughput:
    """All sagas of a load, of which the database holds no other.

    Raises:
        TimeoutError: it did not come to an end.
        RuntimeError: not all of them completed.
    """
    asyncio.run(fill(url, load.definition or SAGAS[load.steps], load.sagas, load.prefix))
    before = server.counted(url)
    with crew(url, *load.options(), processes=load.processes):
        _wait(url)
    counted = server.counted(url).since(before)
    ((seconds, completed),) = server.rows(url, SPAN.format(prefix=load.prefix))
    if completed != load.sagas:
        raise RuntimeError(f"{completed} of {load.sagas} sagas completed")
    return Throughput(
        load.sagas / float(seconds), counted.transactions / load.sagas, counted.wal_bytes / load.sagas
    )


def latency(url: str, sagas: int) -> Latency:
    """One saga after the other, with a worker at its default settings."""
    with crew(url):
        taken = sorted(asyncio.run(_one_by_one(url, sagas)))
    return Latency(statistics.median(taken), taken[int(len(taken) * 0.99)])


def starts(url: str, sagas: int, at_once: int = 50) -> float:
    """How many sagas one client starts a second, each in a transaction of its own."""
    return asyncio.run(_start_all(url, sagas, at_once))


def starts_of_many(url: str, sagas: int) -> float:
    """How many sagas one client starts a second with `start_many`, a thousand at once."""
    began = time.perf_counter()
    asyncio.run(fill(url, SAGAS[3], sagas))
    return sagas / (time.perf_counter() - began)


async def fill(url: str, definition: SagaDefinition[Any, Any], sagas: int, prefix: str = "load") -> None:
    """Start them all, for workers that are still to come."""
    async with Engine(url, sagas=[definition]) as engine:
        for first in range(0, sagas, BATCH):
            many = [(f"{prefix}-{n:08d}", INPUT) for n in range(first, min(first + BATCH, sagas))]
            await engine.start_many(definition, many)


async def _one_by_one(url: str, sagas: int) -> list[float]:
    taken: list[float] = []
    async with Engine(url, sagas=[SAGAS[3]]) as engine:
        for number in range(sagas + sagas // 10):
            began = time.perf_counter()
            handle = await engine.start(SAGAS[3], INPUT, key=f"one-{number:06d}")
            await handle.result("30s")
            taken.append((time.perf_counter() - began) * 1000)
    return taken[sagas // 10 :]  # the first warm up


async def _start_all(url: str, sagas: int, at_once: int) -> float:
    async with Engine(url, sagas=[SAGAS[3]]) as engine:

        async def part(first: int) -> None:
            for number in range(first, sagas, at_once):
                await engine.start(SAGAS[3], INPUT, key=f"start-{number:08d}")

        await part(sagas - 1)
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for first in range(at_once):
                group.create_task(part(first))
        return sagas / (time.perf_counter() - began)


def _wait(url: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(OPEN.encode()).fetchone() == (True,):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not at its end within {LIMIT_S:g} s")
            time.sleep(LOOK_EVERY_S)
