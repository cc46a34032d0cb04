"""Giving up on a connection whose other end is silent.

Rules that hold here: a half-open connection (a peer that lost its power, a proxy that hangs) tells nobody anything for a
quarter of an hour and longer, so whoever needs an answer says within what time. The server is asked to cancel first,
because it may be alive and wait for a lock or a replica; then the socket is shut down, and whoever waits gets the
ordinary error of a broken connection. Nothing is cancelled in the event loop: psycopg would go on waiting.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncGenerator, Generator

import psycopg

from saga.logs import log
from saga.store.connections import Connection, connect

ANSWER_WITHIN_S = 20.0
"""Who asks for itself, and no lease runs: after so many seconds without an answer there is none."""
GRACE_S = 0.5
"""So long the server may take to cancel, and then to say so."""


async def connect_within(conninfo: str, seconds: float) -> Connection:
    """A connection, or an error in so many seconds.

    Raises:
        psycopg.OperationalError: nothing answers.
    """
    try:
        async with asyncio.timeout(seconds):
            return await connect(conninfo)
    except TimeoutError:
        raise psycopg.OperationalError(f"no connection within {seconds:g} s") from None


@contextlib.asynccontextmanager
async def answering(connection: Connection, seconds: float) -> AsyncGenerator[None]:
    """What is asked in this block is answered within so many seconds, or fails as on a broken connection."""
    loop = asyncio.get_running_loop()
    given_up: list[asyncio.Task[None]] = []
    timer = loop.call_later(seconds, lambda: given_up.append(loop.create_task(_give_up(connection, seconds))))
    try:
        yield
    finally:
        timer.cancel()
        for task in given_up:
            task.cancel()


async def _give_up(connection: Connection, seconds: float) -> None:
    log.warning("database_silent", seconds=seconds)
    with contextlib.suppress(psycopg.Error, OSError):
        await connection.cancel_safe(timeout=GRACE_S)
    await asyncio.sleep(GRACE_S)
    with contextlib.suppress(psycopg.Error):
        _hang_up(connection.fileno())


@contextlib.contextmanager
def hung_up_after(number: int, seconds: float) -> Generator[None]:
    """The same for a blocking connection, by the number of its socket: broken when the block lasts too long."""
    timer = threading.Timer(seconds, _hang_up, [number])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _hang_up(number: int) -> None:
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as own:
        own.shutdown(socket.SHUT_RDWR)
