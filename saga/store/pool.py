"""The connections of one engine: kept between pieces of work, and so many at most.

Rules that hold here: whoever comes when all are taken waits for their turn, because a database that is slow must not be
given a new session for each caller on top; nobody holds one and asks for another; each event loop has its own; a
connection with an open transaction is not used again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field

from saga.store.connections import Connection, reusable


@dataclass(slots=True)
class _Place:
    """What one event loop has."""

    room: asyncio.Semaphore
    idle: list[Connection] = field(default_factory=list[Connection])


class Pool:
    """Opens connections by `connect`, `most` at once in each event loop."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], most: int) -> None:
        """Nothing is opened yet."""
        self._connect = connect
        self._most = most
        self._places: dict[asyncio.AbstractEventLoop, _Place] = {}

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """A connection for one piece of work."""
        loop = asyncio.get_running_loop()
        place = self._places.get(loop)
        if place is None:
            place = self._places[loop] = _Place(asyncio.Semaphore(self._most))
        async with place.room:
            connection = place.idle.pop() if place.idle else await self._connect()
            try:
                yield connection
            finally:
                if reusable(connection) and self._places.get(loop) is place:
                    place.idle.append(connection)
                else:
                    await connection.close()

    async def close(self) -> None:
        """Close those of this event loop; one that is in use is closed when its work ends."""
        place = self._places.pop(asyncio.get_running_loop(), None)
        for connection in [] if place is None else place.idle:
            await connection.close()

    def forget(self) -> None:
        """Their loops are gone, and they with them."""
        self._places.clear()
