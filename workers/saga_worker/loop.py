"""The saga's own event loop: a ready queue and nothing else, driven until it is idle.

Rules that hold here: nothing on this loop depends on time, sockets, threads or another loop, so that the same
results in the same order drive the same code the same way; asking for any of those raises a sentence that
names the durable form. It is driven from a plain callback of the worker's loop and never from inside a task,
because tasks do not nest on newer Pythons.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")
TURNS_LIMIT = 100_000
"""A saga function that is still busy after so many callbacks waits for nothing, and would hold the worker."""

_BY_THE_CLOCK = (
    "a saga function cannot wait by the clock, because a saga outlives its process: `await saga.sleep(…)`, "
    "give the step a `timeout=` or the saga a `deadline=`, or put the wait into a step"
)
_BY_ITSELF = "a saga function does no I/O and starts no threads: put the call into a step"


class NotInASaga(RuntimeError):
    """A saga function asked its loop for something that cannot be replayed."""


class SagaLoop(asyncio.AbstractEventLoop):
    """An event loop without a clock and without I/O. gather, TaskGroup, Event and Queue work on it."""

    def __init__(self) -> None:
        """An idle loop."""
        self._callbacks: deque[asyncio.Handle] = deque()
        self.complaints: list[dict[str, Any]] = []
        self.tasks: dict[
            asyncio.Task[Any], None
        ] = {}  # held until they end: the collector must end none, and in order
        self._failed: list[asyncio.Task[Any]] = []

    def drive(self) -> None:
        """Run until nothing is ready.

        Raises:
            NotInASaga: the function spins and waits for nothing.
        """
        before = events._get_running_loop()  # noqa: SLF001 - the documented hook for loops of one's own
        events._set_running_loop(self)  # noqa: SLF001
        try:
            for _ in range(TURNS_LIMIT):
                if not self._callbacks:
                    return
                handle = self._callbacks.popleft()
                if not handle.cancelled():
                    with contextlib.suppress(
                        SystemExit
                    ):  # its task keeps it: a bug of the saga, no end of the worker
                        handle._run()  # noqa: SLF001 - as every loop does
        finally:
            events._set_running_loop(before)  # noqa: SLF001
        raise NotInASaga("the saga function spins without waiting for a step")

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback."""
        handle = asyncio.Handle(callback, args, self, context)
        self._callbacks.append(handle)
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **_: object,
    ) -> asyncio.Task[T]:
        """A task of this loop; a context of its own, as everywhere."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self.tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self.tasks[task]
        if not task.cancelled() and _unseen(task):
            self._failed.append(task)

    def unseen(self) -> list[str]:
        """The tasks that failed, and at whose failure nobody has looked; a step's task has the step's identity."""
        return [getattr(task.get_coro(), "__name__", "a task") for task in self._failed if _unseen(task)]

    def get_debug(self) -> bool:
        """Never in debug mode."""
        return False

    def is_running(self) -> bool:
        """Whoever asks is running on it."""
        return True

    def is_closed(self) -> bool:
        """It has nothing to close."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep the complaint; the runner decides what it means."""
        self.complaints.append(context)

    def time(self) -> float:
        """There is no time here."""
        raise NotInASaga(_BY_THE_CLOCK)

    def call_later(self, *_: object, **__: object) -> asyncio.TimerHandle:
        """There is no time here."""
        raise NotInASaga(_BY_THE_CLOCK)

    def call_at(self, *_: object, **__: object) -> asyncio.TimerHandle:
        """There is no time here."""
        raise NotInASaga(_BY_THE_CLOCK)


def _unseen(task: asyncio.Task[Any]) -> bool:
    """What asyncio asks before it complains that an exception was never retrieved."""
    return bool(getattr(task, "_log_traceback", False))


def _refuse(*_: object, **__: object) -> Any:
    raise NotInASaga(_BY_ITSELF)


for _name in dir(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(SagaLoop):
        setattr(SagaLoop, _name, _refuse)  # whatever this Python's loops can do besides
