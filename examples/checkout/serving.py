"""Running one ASGI app as a process of its own: on a port of the system's choice, tied to whoever started it.

Rules: loopback only. The port is announced once the app answers (a line on stdout, and a file if asked), so nobody
has to guess or wait. With `--tied` the process ends as soon as its standard input ends: the pipe's other end is held
by the parent, and the kernel closes it however the parent dies, kill -9 included.
"""

import argparse
import asyncio
import json
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.requests import Request
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from .processes import tie_to_parent


class BreakableProtocol(H11Protocol):
    """uvicorn's own HTTP/1.1, and each request can reach its connection: to break it, or to see that it is gone."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Puts the connection where `request.state` finds it."""
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def connection_is_open(request: Request) -> bool:
    """Whether the client still listens. A client that gave up or was killed has closed its socket by then."""
    transport: asyncio.Transport = request.state.transport
    return not transport.is_closing()


def break_connection(request: Request) -> None:
    """Resets the connection (RST, no reply), as a crashed proxy or a dropped route would."""
    transport: asyncio.Transport = request.state.transport
    sock: socket.socket | None = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an app is served and how it says so."""

    port: int
    ready: Path | None
    tied: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`--port`, `--ready` and `--tied`, alike for every process of the shop."""
    parser.add_argument(
        "--port", type=int, default=0, help="0: one that the system chooses, announced when ready"
    )
    parser.add_argument("--ready", type=Path, help="a file to write the announcement to, whole or not at all")
    parser.add_argument("--tied", action="store_true", help="end when standard input ends")


def place_of(arguments: argparse.Namespace) -> Place:
    """What was asked for with the options of `add_arguments`."""
    return Place(arguments.port, arguments.ready, arguments.tied)


class _Announcing(uvicorn.Server):
    """Says its port after it listens, and not before."""

    def __init__(self, config: uvicorn.Config, name: str, place: Place, port: int) -> None:
        super().__init__(config)
        self._name, self._place, self._port = name, place, port

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        line = json.dumps({"ready": self._name, "port": self._port, "pid": os.getpid()})
        if self._place.ready is not None:
            part = self._place.ready.with_suffix(".part")
            part.write_text(line)
            part.replace(self._place.ready)
        print(line, flush=True)


def serve(app: ASGIApp, name: str, place: Place) -> None:
    """Serves until SIGTERM or SIGINT; exit 1 with a sentence where the port is taken."""
    if place.tied:
        tie_to_parent()
    # The protocol is named, as asyncio turns Nagle's delays (40 ms a reply) off only on sockets that say TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", place.port))
    except OSError as error:
        sys.exit(f"{name}: port {place.port} is not to be had: {error.strerror}")
    listener.listen(2048)
    config = uvicorn.Config(
        app,
        http=BreakableProtocol,
        ws="none",
        loop="asyncio",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=120,  # longer than any client keeps one idle, so that we never close under a request
        timeout_graceful_shutdown=1,
    )
    _Announcing(config, name, place, listener.getsockname()[1]).run(sockets=[listener])
