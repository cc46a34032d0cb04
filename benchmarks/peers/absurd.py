"""Absurd: a task of checkpointed steps, all of whose rules are functions in Postgres.

Nothing is stored before a step runs; its result is, after it. A client polls for a result.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks.peers import database, flow, rig
from benchmarks.peers.flow import ONE_BY_ONE, Peer
from benchmarks.peers.processes import Leash
from benchmarks.peers.rig import BATCH, INPUT, RESULT, Asked

try:
    from absurd_sdk import AsyncAbsurd, AsyncTaskContext
    from absurdctl import BUNDLED_SCHEMA_SQL
    from psycopg import AsyncConnection
except ImportError as missing:
    rig.not_installed("absurd", missing)

QUEUE, TASK, ATTEMPTS = "load", "steps", 5
CLIENTS, CONCURRENCY = 4, 100
STARTS_AT_ONCE = 8
POLL_S, LOOK_S = 0.002, 0.001
"""One at a time: of the worker for a task, and of the client for its result."""
SPAWN = (
    "SELECT count(made.task_id) FROM unnest(%s::jsonb[]) AS given(params),"
    " LATERAL absurd.spawn_task(%s, %s, given.params, %s::jsonb) AS made"
)
OPEN = "SELECT EXISTS (SELECT FROM absurd.r_load WHERE state IN ('pending', 'running', 'sleeping'))"
FINISHED = "SELECT count(*) FROM absurd.t_load WHERE state = 'completed' AND enqueue_at >= %s::timestamptz"
SPAN = (
    "SELECT extract(epoch FROM max(completed_at) - min(started_at)) FROM absurd.r_load"
    " WHERE created_at >= %s::timestamptz"
)


async def work() -> str:
    """Do nothing, at once."""
    return RESULT


def worker(url: str, steps: int) -> AsyncAbsurd:
    """A client that knows the task."""
    made = AsyncAbsurd(url, queue_name=QUEUE, default_max_attempts=ATTEMPTS)

    @made.register_task(name=TASK)
    async def task(params: object, context: AsyncTaskContext) -> str:
        del params
        text = INPUT
        for number in range(steps):
            text = await context.step(f"work-{number}", work)
        return text

    return made


def install(url: str) -> None:
    """The schema that absurdctl brings, and the queue."""
    database.run(url, BUNDLED_SCHEMA_SQL, f"SELECT absurd.create_queue('{QUEUE}')")


def fill(asked: Asked, count: int) -> None:
    """By the function that the client calls, for many in one statement."""

    async def filled() -> None:
        async with await AsyncConnection.connect(asked.url, autocommit=True) as connection:
            for first in range(0, count, BATCH):
                given = [json.dumps(INPUT)] * min(BATCH, count - first)
                options = json.dumps({"max_attempts": ATTEMPTS})
                await connection.execute(SPAWN, (given, QUEUE, TASK, options))

    rig.run(filled())


def copy(url: str, times: int) -> None:
    """Its finished rows under new ids, in all three tables."""
    task, run = "md5(task_id::text || n)::uuid", "md5(run_id::text || n)::uuid"
    last, owner = "md5(last_attempt_run::text || n)::uuid", "md5(owner_run_id::text || n)::uuid"
    database.multiply(url, "absurd.t_load", {"task_id": task, "last_attempt_run": last}, times)
    database.multiply(url, "absurd.r_load", {"task_id": task, "run_id": run}, times)
    database.multiply(url, "absurd.c_load", {"task_id": task, "owner_run_id": owner}, times)


def latencies(asked: Asked) -> Sequence[float]:
    """A worker in a process of its own, that polls fast."""

    async def measured() -> Sequence[float]:
        client = AsyncAbsurd(asked.url, queue_name=QUEUE)

        async def one() -> None:
            made = await client.spawn(TASK, INPUT, queue=QUEUE)
            found = await client.fetch_task_result(made["task_id"])
            while found is None or found.state != "completed":
                await asyncio.sleep(LOOK_S)
                found = await client.fetch_task_result(made["task_id"])

        try:
            return await rig.one_by_one(asked.latencies, one)
        finally:
            await client.close()

    with flow.one_worker(PEER, asked):
        return rig.run(measured())


def starts(asked: Asked, count: int) -> float:
    """Each in a transaction of its own, over so many connections: a client has one."""

    async def measured() -> float:
        async with AsyncExitStack() as stack:
            clients = [AsyncAbsurd(asked.url, queue_name=QUEUE) for _ in range(STARTS_AT_ONCE)]
            for client in clients:
                stack.push_async_callback(client.close)

            async def one() -> None:
                client = clients.pop()
                await client.spawn(TASK, INPUT, queue=QUEUE)
                clients.append(client)

            return await rig.rate(count, one, STARTS_AT_ONCE)

    return rig.run(measured())


def serve(asked: Asked) -> int:
    """A worker, until its command ends."""
    leash = Leash()

    async def served() -> None:
        workers = [
            worker(asked.url, asked.steps) for _ in range(1 if asked.worker == ONE_BY_ONE else CLIENTS)
        ]
        poll = {"poll_interval": POLL_S} if asked.worker == ONE_BY_ONE else {}
        await asyncio.to_thread(leash.wait_to_begin)
        async with asyncio.TaskGroup() as group:
            for number, one in enumerate(workers):
                name = f"{os.getpid()}-{number}"
                group.create_task(
                    one.start_worker(name, concurrency=CONCURRENCY, batch_size=CONCURRENCY, **poll)
                )

    rig.run(served())
    return 0


PEER = Peer(
    name="absurd",
    package="absurd-sdk",
    unit="workflows",
    settings=(
        f"{CLIENTS} clients a process, concurrency and batch {CONCURRENCY}; one at a time: 1 client,"
        f" polling {POLL_S * 1000:g} ms, result looked for every {LOOK_S * 1000:g} ms"
    ),
    install=install,
    fill=fill,
    open=OPEN,
    finished=FINISHED,
    span=SPAN,
    copy=copy,
    latencies=latencies,
    starts=starts,
)


if __name__ == "__main__":
    sys.exit(flow.main(PEER, serve))
