"""A server that misbehaves in one chosen way, and counts the requests that it read in full."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

Behaviour = Callable[["Hostile", socket.socket], None]


class Hostile:
    """Listens on loopback; every connection gets `behaviour`. `complete` counts whole requests."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.complete = 0
        self.ended = threading.Event()
        self.saw_reset = threading.Event()
        self._read = threading.Event()
        self._behaviour = behaviour
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)
        for connection in self._connections:
            connection.close()

    async def has_read(self) -> None:
        """Wait until a request was read in full."""
        assert await asyncio.to_thread(self._read.wait, 5)

    def read_request(self, connection: socket.socket) -> str | None:
        """The request line of a request read in full; None when the peer is gone before."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ]
        while len(body) < sum(lengths):
            if not (more := connection.recv(65536)):
                return None
            body += more
        self.complete += 1
        self._read.set()
        return head.split(b"\r\n")[0].decode()

    def watch_for_reset(self, connection: socket.socket) -> None:
        """Read until the peer goes away, and note whether it went with a reset."""
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            self.saw_reset.set()

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._behaviour(self, connection)
        except OSError:
            return


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def resets_on_accept(_: Hostile, connection: socket.socket) -> None:
    reset(connection)


def reads_all_and_resets(server: Hostile, connection: socket.socket) -> None:
    server.read_request(connection)
    reset(connection)


def reads_all_and_closes(server: Hostile, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.shutdown(socket.SHUT_RDWR)


def never_answers(server: Hostile, connection: socket.socket) -> None:
    server.read_request(connection)
    server.watch_for_reset(connection)


def never_reads(server: Hostile, _: socket.socket) -> None:
    server.ended.wait(10)


def drips_headers(server: Hostile, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.ended.wait(0.02):
        connection.sendall(b"a: b\r\n")


def drips_the_body(server: Hostile, connection: socket.socket) -> None:
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not server.ended.wait(0.02):
        connection.sendall(b"x")


def says(reply: bytes) -> Behaviour:
    """Answer every request of a connection with these bytes; close when they say so."""

    def behaviour(server: Hostile, connection: socket.socket) -> None:
        while server.read_request(connection) is not None:
            connection.sendall(reply)
            if b"connection: close" in reply or b"HTTP/1.1" not in reply:
                connection.shutdown(socket.SHUT_RDWR)

    return behaviour


def answers(status: int, body: bytes = b"", kind: str = "application/json") -> Behaviour:
    """A whole reply with this status and body, and an open connection after it."""
    head = f"HTTP/1.1 {status} Whatever\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n"
    where = "location: /elsewhere\r\n" if 300 <= status < 400 else ""
    return says(f"{head}{where}\r\n".encode() + body)
