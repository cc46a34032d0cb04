"""A server on loopback that misbehaves in one chosen way, and counts the requests that it read in full.

Rules that hold here: `complete` is what a client's claim is judged by: a request that was read in full may
have been executed, whatever the client saw afterwards; every behaviour does the same on every connection,
so that a client that sends again behind its caller's back is counted.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Self, TypeAlias

Behaviour: TypeAlias = "Callable[[Hostile, socket.socket], None]"

_JOIN_S = 5.0


class Hostile:
    """Listens on loopback; every connection gets `behaviour`. `complete` counts whole requests.

    Args:
        behaviour: one of this module's, or a function of the server and a connection, run in a thread.
        tls: speak TLS with this context. `wire` finds the plain connection below it.
    """

    def __init__(self, behaviour: Behaviour, *, tls: ssl.SSLContext | None = None) -> None:
        self.complete = 0
        self.connections = 0
        self.ended = threading.Event()
        self.saw_reset = threading.Event()
        self.was_read = threading.Event()
        self._behaviour = behaviour
        self._tls = tls
        self._lock = threading.Lock()
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._fillers: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._wires: dict[int, socket.socket] = {}

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        if self._behaviour is refuses:
            return self  # bound and not listening: nobody else gets the port, and nobody is let in
        if self._behaviour is never_accepts:
            self._fill()
            return self
        self._listener.listen()
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Close everything, and wait until all that arrived is counted. Twice is as good as once."""
        if self.ended.is_set():
            return
        self.ended.set()
        with contextlib.suppress(OSError):  # it never listened
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            opened = [*self._open, *self._fillers]
        for connection in opened:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_JOIN_S)
        for connection in opened:
            connection.close()

    def read_request(self, connection: socket.socket) -> str | None:
        """The request line of a request read in full; None when the peer is gone before."""
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := connection.recv(65536)):
                return None
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        fields = head.lower().split(b"\r\n")[1:]
        if b"expect: 100-continue" in fields:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        chunked = any(field.startswith(b"transfer-encoding:") and b"chunked" in field for field in fields)
        length = sum(int(field.split(b":")[1]) for field in fields if field.startswith(b"content-length:"))
        while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
            if not (more := connection.recv(65536)):
                return None
            body += more
        self.count()
        return head.split(b"\r\n")[0].decode("latin-1")

    def count(self) -> None:
        """One more request was read in full."""
        with self._lock:
            self.complete += 1
        self.was_read.set()

    def watch_for_reset(self, connection: socket.socket) -> None:
        """Read until the peer goes away, and note whether it went with a reset, at once or behind its last byte."""
        try:
            while connection.recv(65536):
                pass
        except ConnectionResetError:
            self.saw_reset.set()
            return
        gone = select.poll()
        gone.register(connection, 0)  # nothing but the end of both directions
        if gone.poll(_JOIN_S * 1000) and not self.ended.is_set():
            self.saw_reset.set()

    def wire(self, connection: socket.socket) -> socket.socket:
        """The plain connection below TLS; without TLS the connection itself."""
        return self._wires.get(id(connection), connection)

    def _fill(self) -> None:
        """Fill the backlog: a connection to it waits for ever."""
        self._listener.listen(0)
        for _ in range(4):
            filler = socket.socket()
            filler.settimeout(0)
            filler.connect_ex(self._listener.getsockname())
            self._fillers.append(filler)

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
            with self._lock:
                self.connections += 1
                self._open.append(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                plain = socket.socket(fileno=os.dup(connection.fileno()))
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._wires[id(connection)] = plain
                    self._open += [connection, plain]
            self._behaviour(self, connection)


def reset(connection: socket.socket) -> None:
    """Close with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def refuses(_: Hostile, connection: socket.socket) -> None:
    """Nobody listens: every connection is refused."""


def never_accepts(_: Hostile, connection: socket.socket) -> None:
    """A full backlog: no connection is ever opened."""


def resets_on_accept(_: Hostile, connection: socket.socket) -> None:
    """A reset as soon as the connection is open, perhaps before the client writes."""
    reset(connection)


def resets_unread(_: Hostile, connection: socket.socket) -> None:
    """A reset when the first bytes have arrived; nothing is read."""
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        selector.select(_JOIN_S)
    reset(connection)


def reads_all_and_resets(server: Hostile, connection: socket.socket) -> None:
    """The request is read in full, and a reset is the answer."""
    server.read_request(connection)
    reset(connection)


def reads_all_and_closes(server: Hostile, connection: socket.socket) -> None:
    """The request is read in full, and the connection is closed in good order."""
    server.read_request(connection)
    connection.shutdown(socket.SHUT_RDWR)


def never_answers(server: Hostile, connection: socket.socket) -> None:
    """The request is read in full; nothing comes back."""
    server.read_request(connection)
    server.watch_for_reset(connection)


def never_reads(server: Hostile, _: socket.socket) -> None:
    """Accepts, and reads nothing: a large request gets stuck in the middle."""
    server.ended.wait(10)


def drips_headers(server: Hostile, connection: socket.socket) -> None:
    """One header field after the other, without an end: no timeout that counts from the last byte helps."""
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.ended.wait(0.02):
        connection.sendall(b"a: b\r\n")


def drips_the_body(server: Hostile, connection: socket.socket) -> None:
    """A good head, and a body that comes byte by byte."""
    server.read_request(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
    while not server.ended.wait(0.02):
        connection.sendall(b"x")


def stalls_the_body(server: Hostile, connection: socket.socket) -> None:
    """A good head, half a body, and silence."""
    server.read_request(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n{" + b'"id"'
    )
    server.watch_for_reset(connection)


def breaks_tls(server: Hostile, connection: socket.socket) -> None:
    """The request is read in full, and the answer is a TLS record that nobody can decrypt."""
    server.read_request(connection)
    server.wire(connection).sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    server.ended.wait(10)


def closes_kept_alive(server: Hostile, connection: socket.socket) -> None:
    """Answers the first request of a connection; reads the second in full, and closes."""
    if server.read_request(connection) is None:
        return
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")
    server.read_request(connection)
    connection.shutdown(socket.SHUT_RDWR)


def says(reply: bytes, *, close: bool = False) -> Behaviour:
    """Answer every request of a connection with these bytes; close when told so, or when they say so."""

    def behaviour(server: Hostile, connection: socket.socket) -> None:
        while server.read_request(connection) is not None:
            connection.sendall(reply)
            if close or b"connection: close" in reply or b"HTTP/1.1" not in reply:
                connection.shutdown(socket.SHUT_RDWR)

    return behaviour


def answers(
    status: int, body: bytes = b"", kind: str = "application/json", headers: tuple[str, ...] = ()
) -> Behaviour:
    """A whole reply with this status and body, and an open connection after it; 3xx lead to /elsewhere."""
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}", f"content-length: {len(body)}", *headers]
    if 300 <= status < 400:  # noqa: PLR2004 - the class of redirects
        lines.append("location: /elsewhere")
    return says("\r\n".join([*lines, "", ""]).encode() + body)
