"""What both clients share: options of a request, the budget, and how a connection ends.

Rules that hold here: the client's deadline lies a little before the attempt's, so that it can still say
whether anything was sent; a connection is closed with a reset, and unacknowledged bytes are given up soon,
so that no request lands long after its deadline (S11, S16).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

import httpx

from saga.call import current_call

BaseUrl: TypeAlias = str | Callable[[], str]

GIVE_UP_UNACKNOWLEDGED_MS = 10_000
MARGIN_S = 0.05
MARGIN_SHARE = 0.05


class RequestOptions(TypedDict, total=False):
    """What a request may carry; the meaning is httpx's."""

    json: Any
    content: str | bytes
    data: Mapping[str, Any]
    files: Any
    params: Mapping[str, str | int | float | bool | None]
    headers: Mapping[str, str]
    cookies: dict[str, str]


SocketOption: TypeAlias = tuple[int, int, int] | tuple[int, int, bytes]


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


def address(base: BaseUrl, url: str) -> str:
    """The whole URL. A relative `url` is appended to the base, which is read now."""
    if url.startswith(("http://", "https://")):
        return url
    root = base if isinstance(base, str) else base()
    return f"{root.rstrip('/')}/{url.lstrip('/')}" if url else root


def too_late(request: httpx.Request, *, sent: bool) -> httpx.TimeoutException:
    """The deadline's exception: of the kind that is a proof only when not a byte was written."""
    if sent:
        return httpx.ReadTimeout("the deadline passed after the request was sent", request=request)
    return httpx.ConnectTimeout("the deadline passed before a byte was sent", request=request)


def is_send(event: str) -> bool:
    """Whether httpcore's trace says that it is about to write the request."""
    return event.endswith("send_request_headers.started")


Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
