"""urllib3's connections under a deadline: what requests and botocore have in common.

Rules that hold here: each request has a connection of its own, whose socket a timer shuts at the deadline;
when the deadline passes before the connection is open, the exception is the kind that is a proof; TLS that
breaks after the handshake proves nothing.
"""

from __future__ import annotations

import socket
import ssl
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from saga.budgets import Deadline, SocketOption, socket_options
from saga.traces import frames, made_of

deadline: ContextVar[Deadline | None] = ContextVar("saga_wire_deadline", default=None)
"""The deadline of the request that this thread is sending."""

OPTIONS: list[SocketOption] = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *socket_options()]


def opened(connection: HTTPConnection) -> None:
    """A connection is open and nothing was written: go on, if there is time.

    Raises:
        ConnectTimeoutError: there is none.
    """
    current = deadline.get()
    if current is None or connection.sock is None:
        return
    if current.over:
        raise ConnectTimeoutError(connection, "the deadline passed before a byte was sent")
    current.holds(connection.sock)
    current.sent = True


class Connection(HTTPConnection):
    """Tells the deadline its socket."""

    def connect(self) -> None:
        """Open it, if there is time."""
        super().connect()
        opened(self)


class SecureConnection(HTTPSConnection):
    """As `Connection`, with TLS."""

    def connect(self) -> None:
        """Open it, if there is time."""
        super().connect()
        opened(self)


class Pool(HTTPConnectionPool):
    """Of connections under a deadline."""

    ConnectionCls = Connection


class SecurePool(HTTPSConnectionPool):
    """As `Pool`, with TLS."""

    ConnectionCls = SecureConnection


POOLS: dict[str, Any] = {"http": Pool, "https": SecurePool}


def never_opened(error: BaseException) -> bool:
    """Whether urllib3 says that no connection was opened, for the only attempt that it made."""
    return not retried(error) and any(
        isinstance(one, NewConnectionError | ConnectTimeoutError) for one in made_of(error)
    )


def handshake_failed(error: BaseException) -> bool:
    """Whether TLS failed in the handshake of the only attempt, and not later, in the midst of a reply."""
    return not retried(error) and any(
        isinstance(one, ssl.SSLError) and _in_handshake(one) for one in made_of(error)
    )


def retried(error: BaseException) -> bool:
    """Whether urllib3 had made another attempt before, which this error says nothing about."""
    return len(set(frames(error, ("urlopen",)))) > 1


def _in_handshake(error: ssl.SSLError) -> bool:
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_name == "do_handshake":
            return True
        at = at.tb_next
    return False
