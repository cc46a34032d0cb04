"""What all our clients share: the budget, how a connection ends, and the deadline of a blocking request.

Rules that hold here: a client's deadline lies a little before the attempt's, so that it can still say
whether anything was sent; a connection is closed with a reset, and unacknowledged bytes are given up soon,
so that no request lands long after its deadline (S11, S16).
"""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from typing import Self, TypeAlias

from saga.call import current_call

GIVE_UP_UNACKNOWLEDGED_MS = 10_000
MARGIN_S = 0.05
MARGIN_SHARE = 0.05

SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes]


def budget(default_s: float) -> float:
    """Seconds for this request: what is left of the attempt, less a margin; outside one, `default_s`.

    Raises:
        NotExecuted: the attempt's budget is spent.
    """
    call = current_call.get()
    if call is None:
        return default_s
    call.check()
    left = call.remaining()
    return max(0.0, left - min(MARGIN_S, left * MARGIN_SHARE))


def socket_options() -> list[SocketOption]:
    """Close with a reset, and stop sending again what nobody acknowledges."""
    options: list[SocketOption] = [
        (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)),
    ]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_UNACKNOWLEDGED_MS))
    return options


def set_options(fileno: int) -> None:
    """Set the socket options through a second descriptor: uvloop does not lend out its sockets."""
    with socket.socket(fileno=os.dup(fileno)) as twin:
        for option in socket_options():
            twin.setsockopt(*option)


class Deadline:
    """Shuts one request's socket when its time is over, and remembers how far the request had come.

    The timeouts of blocking clients are per read, so a server that drips could hold a thread for ever. Known
    weakness: looking up a host name blocks, and cannot be interrupted.
    """

    def __init__(self, seconds: float) -> None:
        self.sent = False
        self._ends = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._socket = None

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._ends

    def left(self) -> float:
        """Seconds until then; never less than zero."""
        return max(0.0, self._ends - time.monotonic())

    def holds(self, connected: socket.socket) -> None:
        """This is the socket to shut."""
        with self._lock:
            self._socket = connected

    def _end(self) -> None:
        with self._lock:
            if self._socket is None:
                return
            try:
                # not ssl's own shutdown, which would pull the session from under the thread that reads
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                return  # it was closed meanwhile
