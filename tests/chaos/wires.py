"""TCP proxies that break: resets, stalls, half-open connections, bytes that come late.

Rules: a wire passes bytes on and knows no protocol, so that a fault falls anywhere. A *stranded* connection is one of
which neither end hears again: what they send is swallowed and nobody is told, not even that the other end is gone.
The far end is let go after a while, as its keepalive would; the near end only where the wire says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import cast

Upstream = Callable[[], str | tuple[str, int]]
FAR_END_FINDS_OUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Chances:
    """What may happen at each piece of data that a client sends."""

    reset: float = 0.0
    strand: float = 0.0
    late: float = 0.0
    most_late_s: float = 0.0


NEVER = Chances()


class Wire:
    """One proxy. `near_finds_out_s`: when the client of a stranded connection is told; None: never."""

    def __init__(
        self,
        name: str,
        upstream: Upstream,
        seed: int,
        chances: Chances = NEVER,
        near_finds_out_s: float | None = None,
    ) -> None:
        self.name = name
        self.port = 0
        self.chances = self._usual = chances
        self.near_finds_out_s = near_finds_out_s
        self.dice = Random(f"{seed}/{name}")
        self.upstream = upstream
        self.links: set[Link] = set()
        self.counts = {"reset": 0, "strand": 0, "late": 0}
        self.stalled = False
        self.most = 0
        self._server: asyncio.Server | None = None
        self._dialling: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen on a port of the system's choice."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Near(self), "127.0.0.1", 0, backlog=512)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
        for link in list(self.links):
            link.reset()

    def dial(self, link: Link) -> None:
        """Connect to what is behind the wire."""
        task = asyncio.get_running_loop().create_task(self._dial(link))
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    async def _dial(self, link: Link) -> None:
        place, loop = self.upstream(), asyncio.get_running_loop()
        try:
            if isinstance(place, str):
                await loop.create_unix_connection(lambda: Far(link), place)
            else:
                await loop.create_connection(lambda: Far(link), *place)
        except OSError:
            link.reset()

    def reset_all(self) -> None:
        """RST to both ends of everything."""
        for link in list(self.links):
            self.counts["reset"] += 1
            link.reset()

    def strand_all(self) -> None:
        """Every present connection is half-open from now on; new ones work."""
        for link in list(self.links):
            self.counts["strand"] += 1
            link.strand()

    def late(self, *, share: float, most_s: float) -> None:
        """So much of the data comes late, until `usual`."""
        self.chances = replace(self._usual, late=share, most_late_s=most_s)

    def usual(self) -> None:
        """As it began."""
        self.chances = self._usual

    def calm(self) -> None:
        """No fault comes of itself any more. Who is stranded stays so."""
        self.chances = self._usual = NEVER

    def stall(self, *, on: bool) -> None:
        """Nothing moves while it is on, and everything after."""
        self.stalled = on
        for link in list(self.links):
            link.stall(on=on)


class Link:
    """One connection from end to end."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.near: asyncio.Transport | None = None
        self.far: asyncio.Transport | None = None
        self.stranded = False
        self.early = bytearray()
        self._late: deque[tuple[asyncio.Transport, bytes]] = deque()
        wire.links.add(self)
        wire.most = max(wire.most, len(wire.links))

    def from_near(self, data: bytes) -> None:
        """What the client sends, and what the dice say of it."""
        if self.stranded:
            return
        if self.far is None:
            self.early += data
            return
        thrown, chances = self.wire.dice.random(), self.wire.chances
        if thrown < chances.reset:
            self.wire.counts["reset"] += 1
            self.reset()
        elif thrown < chances.reset + chances.strand:
            self.wire.counts["strand"] += 1
            self.strand()
        elif thrown < chances.reset + chances.strand + chances.late:
            self.wire.counts["late"] += 1
            self._later(self.far, data)
        else:
            self._pass(self.far, data)

    def from_far(self, data: bytes) -> None:
        """What the server sends."""
        if not self.stranded and self.near is not None:
            self._pass(self.near, data)

    def connected(self, far: asyncio.Transport) -> None:
        """Both ends are there."""
        self.far = far
        if self.near is None or self.near.is_closing():
            far.abort()
            return
        if self.early:
            far.write(bytes(self.early))
        self.stall(on=self.wire.stalled)

    def lost(self, *, near: bool) -> None:
        """One end is gone: tell the other, unless nobody hears on this wire."""
        if near:
            self.near = None
        else:
            self.far = None
        other = self.far if near else self.near
        if other is not None and not self.stranded:
            other.close()
        if other is None:
            self.wire.links.discard(self)

    def strand(self) -> None:
        """Neither end hears again."""
        if self.stranded:
            return
        self.stranded = True
        self._late.clear()
        loop = asyncio.get_running_loop()
        if self.far is not None:
            loop.call_later(FAR_END_FINDS_OUT_S, self.far.abort)
        if self.near is not None and self.wire.near_finds_out_s is not None:
            loop.call_later(self.wire.near_finds_out_s, self.near.abort)

    def stall(self, *, on: bool) -> None:
        """Stop or go on reading at both ends."""
        for end in (self.near, self.far):
            if end is not None and not end.is_closing():
                with contextlib.suppress(RuntimeError):
                    (end.pause_reading if on else end.resume_reading)()

    def reset(self) -> None:
        """RST to both."""
        self.wire.links.discard(self)
        for end in (self.near, self.far):
            if end is not None:
                _linger_zero(end)
                end.abort()

    def _pass(self, end: asyncio.Transport, data: bytes) -> None:
        if self._late:
            self._late.append((end, data))  # behind what is late already: a stream keeps its order
        elif not end.is_closing():
            end.write(data)

    def _later(self, end: asyncio.Transport, data: bytes) -> None:
        self._late.append((end, data))
        after = self.wire.dice.uniform(0.0, self.wire.chances.most_late_s)
        asyncio.get_running_loop().call_later(after, self._deliver)

    def _deliver(self) -> None:
        while self._late:
            end, data = self._late.popleft()
            if not end.is_closing():
                end.write(data)


class Near(asyncio.Protocol):
    """The client's end."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._link: Link | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link = Link(self._wire)
        self._link.near = cast("asyncio.Transport", transport)
        self._wire.dial(self._link)

    def data_received(self, data: bytes) -> None:
        assert self._link is not None
        self._link.from_near(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        assert self._link is not None
        self._link.lost(near=True)


class Far(asyncio.Protocol):
    """The server's end."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._link.connected(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._link.from_far(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._link.lost(near=False)


def _linger_zero(end: asyncio.Transport) -> None:
    sock: socket.socket | None = end.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_INET and not end.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
