"""pgqueuer: a job queue in Postgres that takes and ends jobs in batches. One job is one step.

What a job returns is not stored, and nothing follows it; ends gather for up to 0.1 s before they are stored.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from benchmarks.peers import database, flow, rig
from benchmarks.peers.flow import Peer
from benchmarks.peers.processes import Leash
from benchmarks.peers.rig import INPUT, RESULT, Asked

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


def install(url: str) -> None:
    """Its schema, every table durable."""

    async def installed() -> None:
        async with jobs(url) as made:
            await made.queries.install()

    rig.run(installed())


def fill(asked: Asked, count: int) -> None:
    """Many in one statement."""

    async def filled() -> None:
        async with jobs(asked.url) as made:
            for first in range(0, count, rig.BATCH):
                await made.queue_many(min(rig.BATCH, count - first))

    rig.run(filled())


def finished(url: str, since: str) -> int:
    """Of the load: a finished job leaves the queue, and its log stays."""
    return int(database.rows(url, FINISHED, since)[0][0])


def seconds(url: str, since: str) -> float:
    """From the first batch taken to the last ended."""
    return float(database.rows(url, SPAN, since)[0][0])


def copy(url: str, times: int) -> None:
    """The log of its finished jobs, under new ids."""
    ((top,),) = database.rows(url, "SELECT max(job_id) FROM pgqueuer_log")
    database.multiply(url, "public.pgqueuer_log", {"job_id": f"job_id + n * {top}"}, times)
    database.run(url, "SELECT setval('pgqueuer_id_seq', max(job_id)) FROM pgqueuer_log")


def latencies(asked: Asked) -> Sequence[float]:
    """From the call that queues a job until it runs, in the process of its worker; its end is stored after that."""

    async def measured() -> Sequence[float]:
        async with jobs(asked.url) as made:
            serving = asyncio.create_task(made.serve())

            async def one() -> None:
                made.ran.clear()
                await made.queue()
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
            return await rig.rate(count, made.queue)

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
    name="pgqueuer",
    package="pgqueuer",
    unit="jobs",
    settings=(
        f"batch {BATCH}, all tables durable, an asyncpg pool of {POOL}; one at a time: until the job runs,"
        " in the process of its worker"
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
    return serve(asked) if asked.worker else rig.answer(lambda: flow.measure(PEER, asked))


if __name__ == "__main__":
    sys.exit(main())
