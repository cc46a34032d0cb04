"""A wire between a client and Postgres that a test can cut, or hold, at one message that it names.

It reads the client's messages one by one (each is a letter, a length and a body), so that a cut falls exactly
before `COMMIT`, or exactly behind the answer to it. Replies are passed on as they come.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum

from psycopg.conninfo import conninfo_to_dict, make_conninfo

COMMITTED = b"C\x00\x00\x00\x0bCOMMIT\x00"
READY = b"Z\x00\x00\x00\x05"


class Fate(StrEnum):
    """What becomes of the message, of what follows it, and of the connection."""

    LOSE_REQUEST = "lose request"
    """It never arrives, and both ends see the connection close."""
    LOSE_REPLY = "lose reply"
    """It arrives and is answered; the client sees the connection close instead."""
    STALL = "stall"
    """The client sees the connection close; the message arrives when the test lets it go."""
    HOLD = "hold"
    """Everybody waits until the test lets it go."""


@dataclass(eq=False)
class Trap:
    """One message to wait for. `sprung`: it came. `answered`: the server's reply to what was let go."""

    marker: bytes
    fate: Fate
    sprung: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    reply: bytearray = field(default_factory=bytearray)
    _gate: asyncio.Event = field(default_factory=asyncio.Event)

    def let_go(self) -> None:
        """The message goes on its way."""
        self._gate.set()

    async def passed(self) -> None:
        """Until the test lets it go."""
        await self._gate.wait()


class Proxy:
    """Listens on loopback; `conninfo` leads through it. Traps spring in order, each once, on any connection."""

    def __init__(self, upstream: str) -> None:
        """Nothing is opened yet."""
        self._upstream = conninfo_to_dict(upstream)
        self._traps: list[Trap] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.conninfo = ""
        self.connections = 0

    def trap(self, marker: bytes, fate: Fate) -> Trap:
        """Wait for the next message that contains the marker."""
        made = Trap(marker, fate)
        self._traps.append(made)
        return made

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Proxy]:
        """Pass connections on until the end of the block."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()[:2]
        self.conninfo = make_conninfo(
            host=host, port=port, dbname=self._upstream["dbname"], user=self._upstream.get("user"),
            sslmode="disable", gssencmode="disable",
        )  # fmt: skip
        try:
            yield self
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        directory, port = self._upstream["host"], self._upstream.get("port") or 5432
        upstream = await asyncio.open_unix_connection(f"{directory}/.s.PGSQL.{port}")
        wire = _Wire(self._traps, reader, writer, *upstream)
        try:
            await wire.run()
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            upstream[1].close()


class _Wire:
    """One connection."""

    def __init__(
        self,
        traps: list[Trap],
        client_in: asyncio.StreamReader,
        client_out: asyncio.StreamWriter,
        server_in: asyncio.StreamReader,
        server_out: asyncio.StreamWriter,
    ) -> None:
        self._traps = traps
        self._client_in, self._client_out = client_in, client_out
        self._server_in, self._server_out = server_in, server_out
        self._sprung: Trap | None = None
        self._client_gone = False

    async def run(self) -> None:
        """Until either end closes, or the trap's fate is done."""
        back = asyncio.create_task(self._replies())
        try:
            await self._messages()
        finally:
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)

    async def _messages(self) -> None:
        message = await self._read_startup()
        while message:
            trap = self._matching(message)
            if trap is not None and not await self._spring(trap, message):
                return
            if trap is None:
                self._server_out.write(message)
                await self._server_out.drain()
            message = await self._read_message()

    def _matching(self, message: bytes) -> Trap | None:
        if self._traps and self._traps[0].marker in message:
            return self._traps.pop(0)
        return None

    async def _spring(self, trap: Trap, message: bytes) -> bool:
        """Whether the connection goes on."""
        match trap.fate:
            case Fate.LOSE_REQUEST:
                trap.sprung.set()
                return False
            case Fate.LOSE_REPLY:
                await self._deliver(trap, message)
                trap.sprung.set()
                return False
            case Fate.STALL:
                rest = await self._rest()
                self._client_gone = True
                self._client_out.close()
                trap.sprung.set()
                await trap.passed()
                await self._deliver(trap, message + rest)
                return False
            case Fate.HOLD:
                trap.sprung.set()
                await trap.passed()
                self._server_out.write(message)
                return True

    async def _rest(self) -> bytes:
        """What follows up to the sync that ends the pipeline."""
        rest = b""
        while not rest.endswith(b"S\x00\x00\x00\x04"):
            rest += await self._read_message()
        return rest

    async def _deliver(self, trap: Trap, message: bytes) -> None:
        """To the server, and wait for its answer, which the client never sees."""
        self._client_gone = True
        self._sprung = trap
        self._server_out.write(message)
        if not message.endswith(b"S\x00\x00\x00\x04"):
            self._server_out.write(await self._rest())
        await trap.answered.wait()

    async def _replies(self) -> None:
        while data := await self._server_in.read(65536):
            if self._sprung is not None:
                self._sprung.reply += data
                if READY in self._sprung.reply:
                    self._sprung.answered.set()
            elif not self._client_gone:
                self._client_out.write(data)
        if self._sprung is not None:
            self._sprung.answered.set()  # the server closed: that is an answer, too
        elif not self._client_gone:
            self._client_out.close()

    async def _read_startup(self) -> bytes:
        head = await self._client_in.readexactly(4)
        return head + await self._client_in.readexactly(int.from_bytes(head, "big") - 4)

    async def _read_message(self) -> bytes:
        head = await self._client_in.readexactly(5)
        return head + await self._client_in.readexactly(int.from_bytes(head[1:], "big") - 4)
