"""`python -m tests.chaos.customers`: starts sagas at a steady rate, looks at them, and writes down what it was told.

Rules: a start is repeated under its key until it is acknowledged; every answer that was shown is in the log, with the
moment after which it was shown; a call to a database that hangs is given up and made again, as a shop would. Its
standard input is its leash: a line `enough` ends the starting, its end ends the process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import psycopg

from saga import View
from saga.errors import SagaError
from tests.chaos.pace import pause
from tests.chaos.sagas import REFUSABLE, SAGAS, Order, engine

T = TypeVar("T")

GIVE_UP_S = 4.0
AGAIN_S = 0.3
AT_ONCE = 40
"""Calls to the database, as many as a shop's pool has connections."""
NAMES = {"checkout": 60, "trip": 25, "bundle": 15}  # of a hundred
REFUSED, CANCELLED = 0.12, 0.03
FIRST_LOOK_S, SLOWER, LONGEST_S = 1.2, 1.8, 20.0
"""Seldom in the end: thousands who ask every few seconds would keep a small machine from ever getting over a bad minute."""
LAST_LOOKS_S = 6.0


class Log:
    """One JSON line an event; CLOCK_MONOTONIC, like the ledgers."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", buffering=1)

    def write(self, what: str, key: str, **more: Any) -> None:
        """Add a line."""
        self._file.write(json.dumps({"what": what, "at": time.monotonic_ns(), "key": key, **more}) + "\n")


class Customers:
    """Everybody who buys."""

    def __init__(self, log: Log, rate: float, seed: int) -> None:
        self._log, self._rate = log, rate
        self._dice = Random(f"{seed}/customers")
        self._enough = asyncio.Event()
        self._all: set[asyncio.Task[Any]] = set()
        self._calls: set[asyncio.Future[Any]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def buy(self) -> None:
        """Until it is enough, then until everybody knows how it ended."""
        began, number = time.monotonic(), 0
        while not self._enough.is_set():
            number += 1
            self._spawn(self._one(f"s{number:06d}"))
            await pause(began + number / self._rate - time.monotonic())
        while self._all:
            await asyncio.wait(self._all)

    def enough(self) -> None:
        """Start nothing more."""
        self._enough.set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._all.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._all.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.write("broke", "", said=repr(error))

    async def _one(self, key: str) -> None:
        (name,) = self._dice.choices(list(NAMES), weights=list(NAMES.values()))
        refuse = self._dice.choice(REFUSABLE[name]) if self._dice.random() < REFUSED else None
        cancels = self._dice.random() < CANCELLED
        self._log.write("asked", key, name=name, refuse=refuse)
        await self._patiently(lambda: engine.start(SAGAS[name], Order(key, refuse), key=key))
        self._log.write("started", key)
        if cancels:
            self._spawn(self._cancel(name, key, self._dice.uniform(0.0, 1.5)))
        look = FIRST_LOOK_S
        while True:
            await self._until_next_look(look * self._dice.uniform(0.8, 1.2))
            handle = engine.handle(SAGAS[name], key=key)
            view = await self._patiently(handle.view)
            self._log.write("shown", key, word=view.status.value)
            if view.status is not View.PROCESSING or view.needs_person:
                return
            look = min(look * SLOWER, LONGEST_S)

    async def _until_next_look(self, seconds: float) -> None:
        """So long; but when nothing is started any more everybody looks, and then more often."""
        if self._enough.is_set():
            await pause(min(seconds, LAST_LOOKS_S))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._enough.wait()

    async def _cancel(self, name: str, key: str, after: float) -> None:
        await pause(after)
        self._log.write("cancelling", key)
        try:
            await self._try(
                lambda: engine.handle(SAGAS[name], key=key).cancel("the customer has changed their mind")
            )
        except (psycopg.Error, SagaError, TimeoutError):
            return  # too late, or nobody knows: cancelling is a wish

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await self._try(work)
            except (psycopg.Error, SagaError, TimeoutError):
                await pause(AGAIN_S * self._dice.uniform(0.5, 1.5))

    async def _try(self, work: Callable[[], Awaitable[T]]) -> T:
        """The answer, within a time; a call that hangs is left behind, since psycopg waits for it even if cancelled.

        Raises:
            TimeoutError: it hangs.
        """
        await self._room.acquire()
        task = asyncio.ensure_future(work())
        self._calls.add(task)
        task.add_done_callback(self._over)
        await asyncio.wait({task}, timeout=GIVE_UP_S)
        if task.done():
            return task.result()
        raise TimeoutError

    def _over(self, task: asyncio.Future[Any]) -> None:
        self._room.release()  # not before: a call that hangs holds a connection
        self._calls.discard(task)
        if not task.cancelled():
            task.exception()  # nobody waits for it any more


async def main() -> None:
    """Buy, and listen to the leash."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    asked = parser.parse_args()
    customers = Customers(Log(asked.log), asked.rate, asked.seed)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    buying = asyncio.create_task(customers.buy())
    while not buying.done():
        line = asyncio.create_task(reader.readline())
        await asyncio.wait({buying, line}, return_when=asyncio.FIRST_COMPLETED)
        if line.done() and not line.result():
            return  # whoever started us is gone
        if line.done():
            customers.enough()
    await buying


if __name__ == "__main__":
    asyncio.run(main())
