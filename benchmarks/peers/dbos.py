"""DBOS: a workflow of durable steps, its state in Postgres, its engine in the worker's own process.

Nothing is stored before a step runs; its result is, after it. One client enqueues, the workers poll the queue.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from benchmarks.peers import database, flow, rig
from benchmarks.peers.flow import Peer
from benchmarks.peers.processes import Leash
from benchmarks.peers.rig import BATCH, INPUT, RESULT, Asked

try:
    import sqlalchemy
    from dbos import DBOS, DBOSClient, EnqueueOptions, run_dbos_database_migrations
except ImportError as missing:
    rig.not_installed("dbos", missing)

APPLICATION, QUEUE, WORKFLOW, VERSION = "bench", "load", "steps", "1"
CONCURRENCY, POLL_S, THREADS, POOL = 100, 0.1, 8, 10
STARTS_AT_ONCE = 4
OPEN = "SELECT EXISTS (SELECT FROM dbos.workflow_status WHERE status IN ('ENQUEUED', 'PENDING'))"
FINISHED = (
    "SELECT count(*) FROM dbos.workflow_status WHERE queue_name = 'load' AND status = 'SUCCESS'"
    " AND created_at >= floor(extract(epoch FROM %s::timestamptz) * 1000)"
)
SPAN = (
    "SELECT (max(w.completed_at) - min(o.started_at_epoch_ms)) / 1000.0 FROM dbos.workflow_status w"
    " JOIN dbos.operation_outputs o USING (workflow_uuid)"
    " WHERE w.queue_name = 'load' AND w.created_at >= floor(extract(epoch FROM %s::timestamptz) * 1000)"
)


@DBOS.step(name="work")
async def work(text: str) -> str:
    """Do nothing, at once."""
    del text
    return RESULT


@DBOS.workflow(name=WORKFLOW)
async def steps(text: str, count: int) -> str:
    """So many steps, one after the other."""
    for _ in range(count):
        text = await work(text)
    return text


def application(url: str) -> None:
    """This process as an executor of its own: one that shares its name takes over the other's workflows."""
    DBOS(
        config={
            "name": APPLICATION,
            "application_version": VERSION,
            "executor_id": f"executor-{os.getpid()}",
            "system_database_url": url,
            "sys_db_pool_size": POOL,
            "db_engine_kwargs": {"pool_pre_ping": False},
            "max_executor_threads": THREADS,
            "run_migrations": False,
            "log_level": "WARNING",
        }
    )


def client(url: str) -> DBOSClient:
    """From outside of the workers."""
    return DBOSClient(system_database_url=url, application_name=APPLICATION)


def options() -> EnqueueOptions:
    """Of one start."""
    return {"workflow_name": WORKFLOW, "queue_name": QUEUE, "app_version": VERSION}


def install(url: str) -> None:
    """The system tables, and the queue."""
    run_dbos_database_migrations(url)
    opened = client(url)
    opened.register_queue(QUEUE, worker_concurrency=CONCURRENCY, polling_interval_sec=POLL_S)
    opened.destroy()


def fill(asked: Asked, count: int) -> None:
    """Many in one transaction: there is no bulk call."""
    opened = client(asked.url)
    engine = sqlalchemy.create_engine(asked.url.replace("postgresql://", "postgresql+psycopg://", 1))
    for first in range(0, count, BATCH):
        with engine.begin() as connection:
            for _ in range(first, min(first + BATCH, count)):
                opened.enqueue_in_transaction(connection, options(), INPUT, asked.steps)
    engine.dispose()
    opened.destroy()


def copy(url: str, times: int) -> None:
    """Its finished rows under new ids, in all four tables."""
    for table in ("workflow_status", "workflow_input", "workflow_output", "operation_outputs"):
        database.multiply(
            url, f"dbos.{table}", {"workflow_uuid": "md5(workflow_uuid || n)::uuid::text"}, times
        )


def latencies(asked: Asked) -> Sequence[float]:
    """Started and run in this very process, which is the way without a queue and its polling."""

    async def measured() -> Sequence[float]:
        application(asked.url)
        DBOS.listen_queues([])
        DBOS.launch()

        async def one() -> None:
            handle = await DBOS.start_workflow_async(steps, INPUT, asked.steps)
            await handle.get_result()

        try:
            return await rig.one_by_one(asked.latencies, one)
        finally:
            DBOS.destroy()

    return rig.run(measured())


def starts(asked: Asked, count: int) -> float:
    """Each in a transaction of its own."""
    opened = client(asked.url)

    async def one() -> None:
        await opened.enqueue_async(options(), INPUT, asked.steps)

    try:
        return rig.run(rig.rate(count, one, STARTS_AT_ONCE))
    finally:
        opened.destroy()


def serve(asked: Asked) -> int:
    """A worker, until its command ends."""
    leash = Leash()
    application(asked.url)
    DBOS.listen_queues([QUEUE])
    leash.wait_to_begin()
    DBOS.launch()
    threading.Event().wait()
    return 0


PEER = Peer(
    name="dbos",
    package="dbos",
    unit="workflows",
    settings=(
        f"worker_concurrency={CONCURRENCY}, polling {POLL_S} s, max_executor_threads={THREADS},"
        f" sys_db_pool_size={POOL}, pool_pre_ping=False; one at a time: started in the worker's own process"
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
