"""The engine under load, as a user runs it: `saga worker run` in processes of its own, sagas that were started before.

A throughput is read off the tables: from the first intent to the last end, by the database's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from benchmarks import server
from benchmarks.shop import INPUT, SAGAS
from saga import Engine
from saga.core.model import SagaStatus
from saga.demo.workers import WorkerProcess

CONCURRENCY, LANES = 400, 2
LOOK_EVERY_S, LIMIT_S = 0.2, 600.0
BATCH = 500
OPEN = (
    "SELECT EXISTS (SELECT FROM saga.saga WHERE status IN"
    f" ('{SagaStatus.READY}', '{SagaStatus.RUNNING}', '{SagaStatus.ASLEEP}'))"
)
SPAN = (
    "SELECT extract(epoch FROM (SELECT max(finished_at) FROM saga.saga) - (SELECT min(first_intent_at) FROM saga.effect)),"
    f" (SELECT count(*) FROM saga.saga WHERE status = '{SagaStatus.COMPLETED}')"
)


@dataclass(frozen=True, slots=True)
class Load:
    """What a run was asked for. processes: of workers."""

    sagas: int
    steps: int = 3
    processes: int = 1
    concurrency: int = CONCURRENCY
    lanes: int = LANES


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
    """All sagas of a database that holds no other.

    Raises:
        TimeoutError: it did not come to an end.
        RuntimeError: not all of them completed.
    """
    asyncio.run(_fill(url, load))
    before = server.counted(url)
    with _crew(url, load):
        _wait(url)
    counted = server.counted(url).since(before)
    ((seconds, completed),) = server.rows(url, SPAN)
    if completed != load.sagas:
        raise RuntimeError(f"{completed} of {load.sagas} sagas completed")
    return Throughput(
        load.sagas / float(seconds), counted.transactions / load.sagas, counted.wal_bytes / load.sagas
    )


def latency(url: str, sagas: int) -> Latency:
    """One saga after the other, with a worker at its default settings."""
    with _crew(url, None):
        taken = sorted(asyncio.run(_one_by_one(url, sagas)))
    return Latency(statistics.median(taken), taken[int(len(taken) * 0.99)])


def starts(url: str, sagas: int, at_once: int = 50) -> float:
    """How many sagas one client starts a second, each in a transaction of its own."""
    return asyncio.run(_start_all(url, sagas, at_once))


async def _fill(url: str, load: Load) -> None:
    definition = SAGAS[load.steps]
    async with Engine(url, sagas=[definition]) as engine:
        connection = await psycopg.AsyncConnection.connect(url)
        async with connection:
            for first in range(0, load.sagas, BATCH):
                for number in range(first, min(first + BATCH, load.sagas)):
                    await engine.start(definition, INPUT, key=f"{number:08d}", within=connection)
                await connection.commit()


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


@contextlib.contextmanager
def _crew(url: str, load: Load | None) -> Generator[None]:
    """Worker processes, tied to this one; load None: one, at its default settings."""
    options = [] if load is None else ["--concurrency", str(load.concurrency), "--lanes", str(load.lanes)]
    command = ["worker", "run", "benchmarks.shop:engine", "--database", url, *options]
    with ExitStack() as stack:
        place = Path(stack.enter_context(TemporaryDirectory(prefix="saga-bench-")))
        for number in range(1 if load is None else load.processes):
            stack.callback(WorkerProcess(command, {}, place / f"worker-{number}.log").end)
        yield


def _wait(url: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(OPEN).fetchone() == (True,):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not at its end within {LIMIT_S:g} s")
            time.sleep(LOOK_EVERY_S)
