"""A worker in the test's own loop that can be killed, and the loop's time in the place of a machine's.

Rule that holds here: a killed worker's tasks end where they stand; its journals write nothing more, nothing is drained,
and what it had sent to the services arrives.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from saga_worker import Worker


class LoopMachine:
    """The loop's time, in the place of a simulated machine's."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun = self._loop.time()

    @property
    def now(self) -> float:
        """Seconds since the world began."""
        return self._loop.time() - self._begun

    def later(self, seconds: float, act: Callable[[], object]) -> asyncio.TimerHandle:
        """Let something happen."""
        return self._loop.call_later(seconds, act)


class LoopProcess:
    """A worker in the test's loop, in the place of a simulated process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self._loop = asyncio.get_running_loop()

    def inside(self, call: Callable[..., object], *args: Any) -> None:
        """Call this, unless the worker is dead."""
        if self.alive:
            self._loop.call_soon(call, *args)


_crew: contextvars.ContextVar[set[asyncio.Task[Any]] | None] = contextvars.ContextVar(
    "saga_crew", default=None
)
"""The tasks of the worker that this code runs in."""


def enrol(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any) -> Any:
    """A task factory that knows which tasks are a worker's: they are made in its context."""
    task = asyncio.Task(coro, loop=loop, **options)
    crew = _crew.get()
    if crew is not None:
        crew.add(task)
        task.add_done_callback(crew.discard)
    return task


class Crew:
    """One worker that can be killed."""

    def __init__(self, name: str, worker: Worker) -> None:
        self.process = LoopProcess(name)
        self.worker = worker
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """Let it work."""
        context = contextvars.copy_context()
        context.run(_crew.set, self._tasks)
        self._main = asyncio.get_running_loop().create_task(self.worker.run(), context=context)
        self._tasks.add(self._main)

    def kill(self) -> None:
        """End every task of it where it stands; its journals write nothing more."""
        self.process.alive = False
        for journal in self.worker.memory.journals:
            journal.dead = True
        for task in list(self._tasks):
            task.cancel()

    def check(self) -> None:
        """Raise what has ended the worker by itself."""
        if self.process.alive and self._main.done():
            self._main.result()

    async def end(self) -> None:
        """Drain and stop, or wait for what a kill has left."""
        if self.process.alive:
            self.worker.stop()
        with suppress(asyncio.CancelledError):
            await self._main
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1.0)
