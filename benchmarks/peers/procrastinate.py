"""procrastinate: a job queue in Postgres. One job is one step; what it returns is not stored, and nothing follows it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from benchmarks.peers import database, flow, rig
from benchmarks.peers.flow import Peer
from benchmarks.peers.processes import Leash
from benchmarks.peers.rig import BATCH, INPUT, RESULT, Asked

try:
    from procrastinate import App, PsycopgConnector
    from procrastinate.tasks import Task
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool
except ImportError as missing:
    rig.not_installed("procrastinate", missing)

QUEUE, TASK = "load", "work"
CONCURRENCY, POOL, POLL_S = 10, 10, 0.1
OPEN = "SELECT EXISTS (SELECT FROM procrastinate_jobs WHERE status IN ('todo', 'doing'))"
FINISHED = "SELECT count(*) FROM procrastinate_events WHERE type = 'succeeded' AND at >= %s::timestamptz"
SPAN = (
    "SELECT extract(epoch FROM max(at) FILTER (WHERE type = 'succeeded') - min(at) FILTER (WHERE type = 'started'))"
    " FROM procrastinate_events WHERE at >= %s::timestamptz"
)


class Jobs:
    """The application, and whether its job has run."""

    def __init__(self) -> None:
        self.app = App(connector=PsycopgConnector())
        self.ran = asyncio.Event()

        @self.app.task(name=TASK, queue=QUEUE)
        async def work(text: str) -> str:
            """Do nothing, at once."""
            del text
            self.ran.set()
            return RESULT

        self.work: Task[Any, Any, Any] = work

    async def serve(self) -> None:
        """Until cancelled."""
        await self.app.run_worker_async(
            queues=[QUEUE],
            concurrency=CONCURRENCY,
            fetch_job_polling_interval=POLL_S,
            install_signal_handlers=False,
        )


@asynccontextmanager
async def jobs(url: str) -> AsyncGenerator[Jobs]:
    """Over a pool that saves three round trips an act: no question whether the connection lives, no BEGIN, no COMMIT."""

    async def configure(connection: AsyncConnection[Any]) -> None:
        await connection.set_autocommit(True)

    pool = AsyncConnectionPool(url, min_size=POOL, max_size=POOL, configure=configure, open=False)
    async with pool:
        made = Jobs()
        async with made.app.open_async(pool):
            yield made


def install(url: str) -> None:
    """Its schema."""

    async def installed() -> None:
        async with jobs(url) as made:
            await made.app.schema_manager.apply_schema_async()

    rig.run(installed())


def fill(asked: Asked, count: int) -> None:
    """Many in one statement."""

    async def filled() -> None:
        async with jobs(asked.url) as made:
            for first in range(0, count, BATCH):
                await made.work.batch_defer_async(*[{"text": INPUT}] * min(BATCH, count - first))

    rig.run(filled())


def finished(url: str, since: str) -> int:
    """Of the load."""
    return int(database.rows(url, FINISHED, since)[0][0])


def seconds(url: str, since: str) -> float:
    """From the first begun job to the last end."""
    return float(database.rows(url, SPAN, since)[0][0])


def copy(url: str, times: int) -> None:
    """Its finished jobs under new ids, with their events."""
    ((top,),) = database.rows(url, "SELECT max(id) FROM procrastinate_jobs")
    database.multiply(url, "public.procrastinate_jobs", {"id": f"id + n * {top}"}, times)
    made = {"id": "nextval('procrastinate_events_id_seq')", "job_id": f"job_id + n * {top}"}
    database.multiply(url, "public.procrastinate_events", made, times)
    database.run(url, "SELECT setval('procrastinate_jobs_id_seq', max(id)) FROM procrastinate_jobs")


def latencies(asked: Asked) -> Sequence[float]:
    """From the call that queues a job until it runs, in the process of its worker; its end is stored after that."""

    async def measured() -> Sequence[float]:
        async with jobs(asked.url) as made:
            serving = asyncio.create_task(made.serve())

            async def one() -> None:
                made.ran.clear()
                await made.work.defer_async(text=INPUT)
                await made.ran.wait()

            try:
                return await rig.one_by_one(asked.latencies, one)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    return rig.run(measured())


def starts(asked: Asked, count: int) -> float:
    """Each in a transaction of its own."""

    async def measured() -> float:
        async with jobs(asked.url) as made:

            async def one() -> None:
                await made.work.defer_async(text=INPUT)

            return await rig.rate(count, one)

    return rig.run(measured())


def serve(asked: Asked) -> int:
    """A worker, until its command ends."""
    leash = Leash()

    async def served() -> None:
        async with jobs(asked.url) as made:
            await asyncio.to_thread(leash.wait_to_begin)
            await made.serve()

    rig.run(served())
    return 0


PEER = Peer(
    name="procrastinate",
    package="procrastinate",
    unit="jobs",
    settings=(
        f"concurrency {CONCURRENCY}, polling {POLL_S} s beside LISTEN, a pool of {POOL} without checks and in autocommit;"
        " one at a time: until the job runs, in the process of its worker"
    ),
    install=install,
    fill=fill,
    open=OPEN,
    finished=finished,
    seconds=seconds,
    copy=copy,
    latencies=latencies,
    starts=starts,
)


def main() -> int:
    """A worker, or the measurement."""
    asked = rig.asked(PEER.name)
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # it warns of an app in a main module
    return serve(asked) if asked.worker else rig.answer(lambda: flow.measure(PEER, asked))


if __name__ == "__main__":
    sys.exit(main())
