"""A wire to Postgres on which answers to COMMIT get lost: the transaction is durable, and its client never hears.

Rule: it looks at what the server says, because a prepared COMMIT has no name on its way there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"


class Scissors:
    """Listens on loopback; `url` leads through it. cuts: whether the answer to the nth COMMIT is lost, from 1."""

    def __init__(self, upstream: str) -> None:
        self._upstream = conninfo_to_dict(upstream)
        self._cuts: Callable[[int], bool] = lambda _: False
        self._tasks: set[asyncio.Task[None]] = set()
        self.commits = 0
        self.lost = 0
        self.url = ""

    def arm(self, cuts: Callable[[int], bool]) -> None:
        """Count from one again, and cut these."""
        self._cuts, self.commits, self.lost = cuts, 0, 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Scissors]:
        """Pass connections on until the end of the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        options = urlencode({"host": host, "port": port, "sslmode": "disable", "gssencmode": "disable"})
        self.url = f"postgresql://{self._upstream['user']}@/{self._upstream['dbname']}?{options}"
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        place = f"{self._upstream['host']}/.s.PGSQL.{self._upstream.get('port') or 5432}"
        server_in, server_out = await asyncio.open_unix_connection(place)
        there = asyncio.create_task(self._pass(reader, server_out, lambda _: False))
        back = asyncio.create_task(self._pass(server_in, writer, self._loses))
        try:
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, back):
                task.cancel()
            await asyncio.gather(there, back, return_exceptions=True)
            writer.close()
            server_out.close()

    def _loses(self, answer: bytes) -> bool:
        for _ in range(answer.count(COMMITTED)):
            self.commits += 1
            if self._cuts(self.commits):
                self.lost += 1
                return True
        return False

    @staticmethod
    async def _pass(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, loses: Callable[[bytes], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if loses(data):
                    return
                writer.write(data)
                await writer.drain()
