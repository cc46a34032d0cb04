"""Virtual time for many processes in one thread: each process is an event loop of its own, and can be killed.

Rules that hold here: nothing takes time but what was scheduled; a process keeps asyncio's order of callbacks,
which is documented, and the order between processes is that of virtual time; what a killed process had queued
never runs; a frozen one (SIGSTOP) runs it all when it is thawed. No clock, no thread, no socket: the same
schedule gives the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import heapq
import itertools
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextvars import Context
from typing import Any, TypeVar

from saga.ports import Ports, run_on

T = TypeVar("T")
TURNS_LIMIT = 1_000_000
"""Callbacks of one process at one moment: more means that it spins."""


class Spinning(AssertionError):
    """A process is busy for ever at one moment of virtual time."""


class Timer:
    """Something that will happen."""

    __slots__ = ("act", "cancelled")

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act
        self.cancelled = False

    def cancel(self) -> None:
        """It will not happen."""
        self.cancelled = True


class Machine:
    """The clock, and everything that will happen. now: virtual seconds since the beginning."""

    def __init__(self) -> None:
        """The beginning."""
        self.now = 0.0
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._busy: deque[Process] = deque()
        self.processes: list[Process] = []

    def later(self, seconds: float, act: Callable[[], object]) -> Timer:
        """Let something happen, outside every process."""
        timer = Timer(act)
        heapq.heappush(self._heap, (self.now + max(0.0, seconds), next(self._numbers), timer))
        return timer

    def process(self, name: str, ports: Ports) -> Process:
        """A new process. Nothing runs in it yet."""
        process = Process(self, name, ports)  # type: ignore[abstract]  # what a loop can do besides is refused
        self.processes.append(process)
        return process

    def ready(self, process: Process) -> None:
        """The process has something to run at this moment."""
        self._busy.append(process)

    def run(self, until: float, done: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until then, or until `done`, or until nothing will happen any more."""
        while True:
            while self._busy:
                self._busy.popleft().turn()
            if done() or not self._heap or self._heap[0][0] > until:
                break
            when, _, timer = heapq.heappop(self._heap)
            if not timer.cancelled:
                self.now = max(self.now, when)
                timer.act()
        if not done() and self.now < until:
            self.now = until

    def close(self) -> None:
        """End everything; what was under way is dropped without a word."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.bury()
        self._heap.clear()
        self._busy.clear()


class Process(asyncio.AbstractEventLoop):
    """One process: its event loop, and what it takes to kill it. alive: it was not killed."""

    def __init__(self, machine: Machine, name: str, ports: Ports) -> None:
        """Idle."""
        self._machine = machine
        self._callbacks: deque[asyncio.Handle] = deque()
        self._queued = False
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._context = contextvars.copy_context()
        self.name = name
        self.alive = True
        self.frozen = False
        self.complaints: list[dict[str, Any]] = []
        run_on(ports, self._context)

    # What the simulation does to it.

    def main(self, coro: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run this in the process."""
        task: asyncio.Task[T] = self._context.run(self.create_task, coro)
        return task

    def begin(self, coro: Coroutine[Any, Any, object]) -> None:
        """Run this in the process; nobody waits for it."""
        _ = self._context.run(self.create_task, coro)

    def inside(self, call: Callable[..., object], *args: Any) -> None:
        """Call this in the process, soon."""
        self.call_soon(call, *args, context=self._context)

    def kill(self) -> None:
        """Kill -9: nothing of it runs any more."""
        self.alive = False
        self._callbacks.clear()

    def freeze(self) -> None:
        """SIGSTOP."""
        self.frozen = True

    def thaw(self) -> None:
        """SIGCONT: what has become due meanwhile runs now."""
        self.frozen = False
        self._ready()

    def bury(self) -> None:
        """Forget what a killed process held; its clean-up code finds nobody to talk to."""
        for task in list(self._tasks):
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - it was killed
            with contextlib.suppress(BaseException):
                task.get_coro().close()
        self._tasks.clear()
        self._callbacks.clear()

    def turn(self) -> None:
        """Run all that is ready at this moment."""
        self._queued = False
        if not self.alive or self.frozen:
            return
        before = events._get_running_loop()  # noqa: SLF001 - the documented hook for loops of one's own
        events._set_running_loop(self)  # noqa: SLF001
        callbacks = self._callbacks
        try:
            for _ in range(TURNS_LIMIT):
                if not callbacks or self.frozen:
                    return
                handle = callbacks.popleft()
                if not handle._cancelled:  # noqa: SLF001 - as every loop does
                    handle._run()  # noqa: SLF001
        finally:
            events._set_running_loop(before)  # noqa: SLF001
        raise Spinning(f"{self.name} is busy for ever")

    def _ready(self) -> None:
        if not self._queued and self._callbacks:
            self._queued = True
            self._machine.ready(self)

    # What asyncio asks of a loop.

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Queue a callback; a dead process has no queue."""
        handle = asyncio.Handle(callback, args, self, context)
        if self.alive:
            self._callbacks.append(handle)
            if not self._queued:
                self._queued = True
                self._machine.ready(self)
        return handle

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """There is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback when so many virtual seconds have passed."""
        return self.call_at(self._machine.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Queue a callback at that virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if self.alive and not handle._cancelled:  # noqa: SLF001
                self._callbacks.append(handle)
                self._ready()

        self._machine.later(when - self._machine.now, due)
        return handle

    def time(self) -> float:
        """Virtual seconds."""
        return self._machine.now

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this process."""
        return asyncio.Future(loop=self)

    def create_task(  # type: ignore[override]
        self,
        coro: Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
        **_: object,
    ) -> asyncio.Task[T]:
        """A task of this process; held until it ends, because whoever kills the process ends it, and not the collector."""
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def run_in_executor(  # type: ignore[override]
        self, _executor: object, call: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Call it at once: there are no threads here."""
        future: asyncio.Future[T] = asyncio.Future(loop=self)
        future.set_result(call(*args))
        return future

    def get_debug(self) -> bool:
        """Never in debug mode."""
        return False

    def is_running(self) -> bool:
        """Whoever asks is running on it."""
        return True

    def is_closed(self) -> bool:
        """A dead process still takes calls, and drops them."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep the complaint."""
        if self.alive:
            self.complaints.append(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is skipped when its time comes."""

    async def shutdown_asyncgens(self) -> None:
        """They end with the process."""


class Threads(Executor):
    """Where `def` bodies run in a simulated process: at once, in the only thread there is."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Call it and hold what came of it."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - whoever waits for the future sees it
            future.set_exception(error)
        return future
