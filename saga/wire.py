"""urllib3's connections under a deadline: what requests and botocore have in common.

Rules that hold here: each request has a connection of its own, whose socket a timer shuts at the deadline;
when the deadline passes before the connection is open, the exception is the kind that is a proof; TLS that
breaks after the handshake proves nothing.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Timeout

from saga.budgets import Deadline, SocketOption, socket_options
from saga.traces import frames, made_of

deadline: ContextVar[Deadline | None] = ContextVar("saga_wire_deadline", default=None)
"""The deadline of the request that this thread is sending."""

_FINAL = 200
_WITHOUT_BODY = (204, 304)
_LEAST_S = 0.001  # urllib3 knows no timeout of zero

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


def in_time(options: dict[str, Any]) -> dict[str, Any]:
    """The options of `urlopen`, with what is left until the deadline as the timeout of each stage."""
    current = deadline.get()
    return options if current is None else {**options, "timeout": Timeout(max(current.left(), _LEAST_S))}


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

    ConnectionCls = Connection  # pyright: ignore[reportAssignmentType]

    def urlopen(self, *args: Any, **options: Any) -> Any:
        """As in urllib3, in time."""
        return super().urlopen(*args, **in_time(options))


class SecurePool(HTTPSConnectionPool):
    """As `Pool`, with TLS."""

    ConnectionCls = SecureConnection  # pyright: ignore[reportAssignmentType]

    def urlopen(self, *args: Any, **options: Any) -> Any:
        """As in urllib3, in time."""
        return super().urlopen(*args, **in_time(options))


POOLS: dict[str, Any] = {"http": Pool, "https": SecurePool}


def flaw(method: str, status: int, headers: Mapping[str, str]) -> str | None:
    """What keeps a reply of http.client from being a whole final reply, as a sentence; None if nothing does.

    http.client takes 103 for the final status, and the end of the connection for the end of the headers: a
    reply that was cut off within them looks like a good one without a body.
    """
    if status < _FINAL:
        return f"{status} is no final status"
    length = headers.get("content-length")
    if length is not None and not length.strip().isdecimal():
        return "the reply's content-length is no number"
    known = length is not None or "transfer-encoding" in headers
    if method != "HEAD" and status not in _WITHOUT_BODY and not known:
        return "the reply does not say how long it is, and may be cut off"
    return None


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
    attempts = {
        frame
        for frame in frames(error, ("urlopen",))
        if frame.f_globals.get("__name__") == "urllib3.connectionpool"
    }
    return len(attempts) > 1


def _in_handshake(error: ssl.SSLError) -> bool:
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code.co_name == "do_handshake":
            return True
        at = at.tb_next
    return False
