"""`together`: several steps at once, in a saga function.

Rule that holds here: a branch that fails never cancels its siblings. They settle first, so that what is to
be undone is known; then the failure that happened first is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar, overload

from saga.errors import only_step_failures

T = TypeVar("T")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")
T4 = TypeVar("T4")
T5 = TypeVar("T5")
T6 = TypeVar("T6")


@overload
async def together(a: Awaitable[T1], b: Awaitable[T2], /) -> tuple[T1, T2]: ...
@overload
async def together(a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], /) -> tuple[T1, T2, T3]: ...
@overload
async def together(
    a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], d: Awaitable[T4], /
) -> tuple[T1, T2, T3, T4]: ...
@overload
async def together(
    a: Awaitable[T1], b: Awaitable[T2], c: Awaitable[T3], d: Awaitable[T4], e: Awaitable[T5], /
) -> tuple[T1, T2, T3, T4, T5]: ...
@overload
async def together(
    a: Awaitable[T1],
    b: Awaitable[T2],
    c: Awaitable[T3],
    d: Awaitable[T4],
    e: Awaitable[T5],
    f: Awaitable[T6],
    /,
) -> tuple[T1, T2, T3, T4, T5, T6]: ...
@overload
async def together(*calls: Awaitable[T]) -> tuple[T, ...]: ...
async def together(*calls: Awaitable[Any]) -> tuple[Any, ...]:
    """Steps and coroutines in parallel; their results in the order in which they were given.

    Raises:
        StepFailed: the branch that failed first, after its siblings have settled. Any other exception of a
            branch is a bug and comes before it.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    ended: list[asyncio.Future[Any]] = []
    for task in tasks:
        task.add_done_callback(ended.append)
    cancelled: asyncio.CancelledError | None = None
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as cancel:
            cancelled = cancelled or cancel
            for task in tasks:
                task.cancel()
    ended += [task for task in tasks if task not in ended]  # done before we looked: never called back
    failures = [error for task in ended if (error := _error_of(task)) is not None]
    bugs = [error for error in failures if not _expected(error)]
    if bugs:
        raise bugs[0]
    if cancelled is not None:
        raise cancelled
    if failures:
        raise failures[0]
    return tuple(task.result() for task in tasks)


def _error_of(task: asyncio.Future[Any]) -> BaseException | None:
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def _expected(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) or only_step_failures(error)
