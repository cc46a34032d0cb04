"""A wire to Postgres, in threads, that is cut at one statement: before it arrives, or behind the answer to it.

It knows the simple protocol, in which psycopg writes BEGIN and COMMIT, and serves blocking clients as well as loops.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

READY = b"Z\x00\x00\x00\x05"


class CutWire:
    """`conninfo` leads through it. Each connection is cut at the first message that contains `marker`."""

    def __init__(self, upstream: str, marker: bytes, when: Literal["before", "behind"]) -> None:
        self._upstream = conninfo_to_dict(upstream)
        self._marker, self._when = marker, when
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []

    @property
    def conninfo(self) -> str:
        return make_conninfo(
            host="127.0.0.1", port=self._listener.getsockname()[1], dbname=self._upstream["dbname"],
            user=self._upstream.get("user"), sslmode="disable", gssencmode="disable",
        )  # fmt: skip

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut(*self._open)
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()

    def _spawn(self, target: object, *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(f"{self._upstream['host']}/.s.PGSQL.{self._upstream.get('port') or 5432}")
            self._open += [client, server]
            hush = threading.Event()
            self._spawn(self._back, client, server, hush)
            self._spawn(self._forth, client, server, hush)

    def _forth(self, client: socket.socket, server: socket.socket, hush: threading.Event) -> None:
        with contextlib.suppress(OSError):
            message = self._message(client, startup=True)
            while message:
                if self._marker in message:
                    if self._when == "behind":
                        hush.set()
                        server.sendall(message)
                    else:
                        self._cut(client, server)
                    return
                server.sendall(message)
                message = self._message(client)
        if not hush.is_set():
            self._cut(client, server)

    def _back(self, client: socket.socket, server: socket.socket, hush: threading.Event) -> None:
        """Replies; after the cut they are read up to the end of the answer, and never passed on."""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not hush.is_set():
                    client.sendall(data)
                elif READY in data:
                    break
        self._cut(client, server)

    def _cut(self, *ends: socket.socket) -> None:
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _message(self, client: socket.socket, *, startup: bool = False) -> bytes:
        head = self._exactly(client, 4 if startup else 5)
        return head + self._exactly(client, int.from_bytes(head[-4:], "big") - 4) if head else b""

    def _exactly(self, client: socket.socket, length: int) -> bytes:
        data = b""
        while len(data) < length:
            if not (more := client.recv(length - len(data))):
                return b""
            data += more
        return data
