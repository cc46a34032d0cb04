"""pgqueuer: a job queue in Postgres that takes and ends jobs in batches. One job is one step.

What a job returns is not stored, and nothing follows it; ends gather for up to 0.1 s before they are stored.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial

from benchmarks.peers import database, flow, queues, rig
from benchmarks.peers.flow import Peer
from benchmarks.peers.rig import INPUT, RESULT

try:
    import asyncpg
    from pgqueuer import AsyncpgPoolDriver, PgQueuer, Queries
    from pgqueuer.models import Job
except ImportError as missing:
    rig.not_installed("pgqueuer", missing)

ENTRYPOINT, BATCH, POOL = "work", 500, 10
OPEN = "SELECT EXISTS (SELECT FROM pgqueuer)"
FINISHED = "SELECT count(*) FROM pgqueuer_log WHERE status = 'successful' AND created >= %s::timestamptz"
SPAN = (
    "SELECT extract(epoch FROM max(created) FILTER (WHERE status = 'successful')"
    " - min(created) FILTER (WHERE status = 'picked')) FROM pgqueuer_log WHERE created >= %s::timestamptz"
)


class Jobs:
    """The application over a pool, and whether its job has run."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.queries = Queries(AsyncpgPoolDriver(pool))
        self.ran = asyncio.Event()
        self._application = PgQueuer(self.queries.driver, queries=self.queries)

        @self._application.entrypoint(ENTRYPOINT)
        async def work(job: Job) -> str:
            """Do nothing, at once."""
            del job
            self.ran.set()
            return RESULT

    async def install(self) -> None:
        """Its schema, every table durable."""
        await self.queries.install()

    async def queue(self) -> None:
        """One job."""
        await self.queries.enqueue(ENTRYPOINT, INPUT.encode())

    async def queue_many(self, count: int) -> None:
        """Many in one statement."""
        await self.queries.enqueue([ENTRYPOINT] * count, [INPUT.encode()] * count, [0] * count)

    async def serve(self) -> None:
        """Until cancelled."""
        await self._application.run(batch_size=BATCH)


@asynccontextmanager
async def jobs(url: str) -> AsyncGenerator[Jobs]:
    """With a pool of its own."""
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL) as pool:
        yield Jobs(pool)


def copy(url: str, times: int) -> None:
    """The log of its finished jobs, under new ids."""
    ((top,),) = database.rows(url, "SELECT max(job_id) FROM pgqueuer_log")
    database.multiply(url, "public.pgqueuer_log", {"job_id": f"job_id + n * {top}"}, times)
    database.run(url, "SELECT setval('pgqueuer_id_seq', max(job_id)) FROM pgqueuer_log")


PEER = Peer(
    name="pgqueuer",
    package="pgqueuer",
    unit="jobs",
    settings=(
        f"batch {BATCH}, all tables durable, an asyncpg pool of {POOL}; one at a time: until the job runs,"
        " in the process of its worker"
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
    sys.exit(flow.main(PEER, partial(queues.serve, jobs)))
