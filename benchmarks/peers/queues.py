"""The two job queues, which are asked the same: one job is one step.

One at a time is from the call that queues a job until it runs, in the process of its worker; its end is stored after that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from benchmarks.peers import rig
from benchmarks.peers.processes import Leash
from benchmarks.peers.rig import BATCH, Asked


class Jobs(Protocol):
    """A queue with one kind of job. ran: one has run."""

    ran: asyncio.Event

    async def install(self) -> None:
        """Its schema."""

    async def queue(self) -> None:
        """One job."""

    async def queue_many(self, count: int) -> None:
        """Many in one statement."""

    async def serve(self) -> None:
        """Until cancelled."""


Opened = Callable[[str], AbstractAsyncContextManager[Jobs]]
"""The queue at a URL."""


def install(jobs: Opened, url: str) -> None:
    """Its schema."""

    async def installed() -> None:
        async with jobs(url) as made:
            await made.install()

    rig.run(installed())


def fill(jobs: Opened, asked: Asked, count: int) -> None:
    """A batch in one statement."""

    async def filled() -> None:
        async with jobs(asked.url) as made:
            for first in range(0, count, BATCH):
                await made.queue_many(min(BATCH, count - first))

    rig.run(filled())


def latencies(jobs: Opened, asked: Asked) -> Sequence[float]:
    """With a worker in this very process."""

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


def starts(jobs: Opened, asked: Asked, count: int) -> float:
    """Each in a transaction of its own."""

    async def measured() -> float:
        async with jobs(asked.url) as made:
            return await rig.rate(count, made.queue)

    return rig.run(measured())


def serve(jobs: Opened, asked: Asked) -> int:
    """A worker, until its command ends."""
    leash = Leash()

    async def served() -> None:
        async with jobs(asked.url) as made:
            await asyncio.to_thread(leash.wait_to_begin)
            await made.serve()

    rig.run(served())
    return 0
