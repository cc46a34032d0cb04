"""The saga's own loop has no clock, no sockets and no threads, and says so in a sentence."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from saga_worker.flow import Broke, Returned
from saga_worker.loop import NotInASaga, SagaLoop
from tests.support.driving import charge, started

Forbidden = Callable[[], Coroutine[Any, Any, Any]]


async def _timeout() -> None:
    async with asyncio.timeout(1):
        await charge("a")


async def _executor() -> None:
    await asyncio.get_running_loop().run_in_executor(None, print)


async def _new_server() -> None:
    await asyncio.start_server(lambda *_: None, "localhost", 0)


async def _signal() -> None:
    asyncio.get_running_loop().add_signal_handler(2, print)


async def _from_a_thread() -> None:
    asyncio.get_running_loop().call_soon_threadsafe(print)


BY_THE_CLOCK: list[Forbidden] = [
    lambda: asyncio.sleep(1),
    lambda: asyncio.wait_for(charge("a"), 1),
    lambda: asyncio.wait([asyncio.ensure_future(charge("a"))], timeout=1),
    _timeout,
]
BY_ITSELF: list[Forbidden] = [
    _executor,
    lambda: asyncio.to_thread(print),
    lambda: asyncio.open_connection("localhost", 1),
    lambda: asyncio.create_subprocess_exec(sys.executable),
    _new_server,
    _signal,
    _from_a_thread,
]


def broken(forbidden: Forbidden) -> str:
    async def function(_: None) -> None:
        await forbidden()

    end = started(function).end
    assert isinstance(end, Broke), end
    assert isinstance(end.error, NotInASaga)
    return str(end.error)


@pytest.mark.parametrize("forbidden", BY_THE_CLOCK)
def test_waiting_by_the_clock_raises_and_names_the_durable_form(forbidden: Forbidden) -> None:
    """asyncio.sleep, timeout and wait_for raise in a saga function, and the sentence names timeout= and deadline=."""
    said = broken(forbidden)
    assert "timeout=" in said
    assert "deadline=" in said


@pytest.mark.parametrize("forbidden", BY_ITSELF)
def test_io_and_threads_raise_and_name_the_step(forbidden: Forbidden) -> None:
    """Sockets, subprocesses, threads and signals raise in a saga function, and the sentence says: a step."""
    assert "put the call into a step" in broken(forbidden)


def test_giving_way_is_allowed() -> None:
    """asyncio.sleep(0), Event, Lock and Queue depend on nothing outside, and work."""

    async def function(_: None) -> list[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        said, lock = asyncio.Event(), asyncio.Lock()

        async def other() -> None:
            async with lock:
                await asyncio.sleep(0)
                await queue.put("there")
            said.set()

        task = asyncio.create_task(other())
        await said.wait()
        await task
        return [await queue.get()]

    assert started(function).end == Returned(["there"], ())


def test_a_function_that_spins_is_stopped() -> None:
    """A function that is busy for ever and waits for no step does not hold the worker for ever."""

    async def function(_: None) -> None:
        while True:
            await asyncio.gather(asyncio.sleep(0))

    with pytest.raises(NotInASaga, match="spins without waiting"):
        started(function)


def test_a_process_exit_in_a_function_ends_nobody_else() -> None:
    """sys.exit() in a saga function is that function's bug, and never the worker's end."""

    async def function(_: None) -> None:
        sys.exit(3)

    end = started(function).end
    assert isinstance(end, Broke)
    assert isinstance(end.error, SystemExit)


def test_the_loop_leaves_the_callers_loop_as_it_was() -> None:
    """Driving a saga from a callback of a running loop gives that loop back, also when the saga spins."""

    async def main() -> asyncio.AbstractEventLoop:
        done: asyncio.Future[asyncio.AbstractEventLoop] = asyncio.get_running_loop().create_future()

        def callback() -> None:
            inner = SagaLoop()  # type: ignore[abstract]  # its methods are set below the class
            inner.call_soon(lambda: None)
            inner.drive()
            done.set_result(asyncio.get_running_loop())

        asyncio.get_running_loop().call_soon(callback)
        assert await done is asyncio.get_running_loop()
        return await done

    assert not isinstance(asyncio.run(main()), SagaLoop)


def test_two_loops_in_two_threads_do_not_meet() -> None:
    """Sagas that are driven in two threads at once each see their own loop."""
    seen: list[object] = []
    together = threading.Barrier(2)

    def drive() -> None:
        async def function(_: None) -> None:
            together.wait(5)
            seen.append(asyncio.get_running_loop())
            together.wait(5)

        started(function)

    threads = [threading.Thread(target=drive) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len({id(loop) for loop in seen}) == 2
