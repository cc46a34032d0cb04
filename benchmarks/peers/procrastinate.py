"""procrastinate: a job queue in Postgres. One job is one step; what it returns is not stored, and nothing follows it."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from benchmarks.peers import database, flow, queues, rig
from benchmarks.peers.flow import Peer
from benchmarks.peers.rig import INPUT, RESULT

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

    async def install(self) -> None:
        """Its schema."""
        await self.app.schema_manager.apply_schema_async()

    async def queue(self) -> None:
        """One job."""
        await self.work.defer_async(text=INPUT)

    async def queue_many(self, count: int) -> None:
        """Many in one statement."""
        await self.work.batch_defer_async(*[{"text": INPUT}] * count)

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


def copy(url: str, times: int) -> None:
    """Its finished jobs under new ids, with their events."""
    ((top,),) = database.rows(url, "SELECT max(id) FROM procrastinate_jobs")
    database.multiply(url, "public.procrastinate_jobs", {"id": f"id + n * {top}"}, times)
    made = {"id": "nextval('procrastinate_events_id_seq')", "job_id": f"job_id + n * {top}"}
    database.multiply(url, "public.procrastinate_events", made, times)
    database.run(url, "SELECT setval('procrastinate_jobs_id_seq', max(id)) FROM procrastinate_jobs")


PEER = Peer(
    name="procrastinate",
    package="procrastinate",
    unit="jobs",
    settings=(
        f"concurrency {CONCURRENCY}, polling {POLL_S} s beside LISTEN, a pool of {POOL} without checks and in autocommit;"
        " one at a time: until the job runs, in the process of its worker"
    ),
    install=partial(queues.install, jobs),
    fill=partial(queues.fill, jobs),
    open=OPEN,
    finished=FINISHED,
    span=SPAN,
    copy=copy,
    latencies=partial(queues.latencies, jobs),
    starts=partial(queues.starts, jobs),
)


if __name__ == "__main__":
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # it warns of an app in a main module
    sys.exit(flow.main(PEER, partial(queues.serve, jobs)))
