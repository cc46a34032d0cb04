"""The hostile server for gRPC: enough of HTTP/2 to read a call in full and to answer it wrongly.

Rule that holds here: a request is complete when its stream has ended; headers are written without
compression and never read, so that no library is needed. Use the rows with
`prove_client(step, rows=http2.ROWS)`; the URL's host and port are the channel's target.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

from saga.testing import hostile
from saga.testing.hostile import Behaviour, Hostile
from saga.testing.rows import Row

Answer: TypeAlias = Callable[[socket.socket, int], None]

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def fields(**named: str) -> bytes:
    """Literal fields that are never indexed (RFC 7541, section 6.2.3); `_` is a hyphen, and comes first for `:`."""
    block = b""
    for name, value in named.items():
        key, text = name.replace("pseudo_", ":").replace("_", "-").encode(), value.encode()
        block += b"\x10" + bytes([len(key)]) + key + bytes([len(text)]) + text
    return block


def reads_and(answer: Answer) -> Behaviour:
    """Read whole calls, and answer each with what `answer` writes on its stream."""

    def behaviour(server: Hostile, connection: socket.socket) -> None:
        _exactly(connection, len(_PREFACE))
        connection.sendall(frame(_SETTINGS, 0, 0))
        while True:
            head = _exactly(connection, 9)
            payload = _exactly(connection, int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind in (_SETTINGS, _PING) and not flags & _ACK:
                connection.sendall(frame(kind, _ACK, 0, payload if kind == _PING else b""))
            elif kind in (_DATA, _HEADERS) and flags & _END_STREAM:
                server.count()
                answer(connection, stream)

    return behaviour


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        if not (more := connection.recv(length - len(data))):
            raise ConnectionError("the peer is gone")
        data += more
    return data


_HEAD = fields(pseudo_status="200", content_type="application/grpc")


def status(code: int, *, message: bytes | None = None, encoding: str = "") -> Answer:
    """A gRPC status, after a message if one is given; message: framed as gRPC frames it."""

    def answer(connection: socket.socket, stream: int) -> None:
        head = _HEAD + (fields(grpc_encoding=encoding) if encoding else b"")
        connection.sendall(frame(_HEADERS, _END_HEADERS, stream, head))
        if message is not None:
            connection.sendall(frame(_DATA, 0, stream, message))
        trailers = fields(grpc_status=str(code), grpc_message="hostile")
        connection.sendall(frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, trailers))

    return answer


def http_status(code: int) -> Answer:
    """The status of a proxy that speaks no gRPC."""

    def answer(connection: socket.socket, stream: int) -> None:
        block = fields(pseudo_status=str(code))
        connection.sendall(frame(_HEADERS, _END_HEADERS | _END_STREAM, stream, block))

    return answer


def resets_the_stream(code: int) -> Answer:
    """RST_STREAM with this error code (RFC 9113, section 7)."""

    def answer(connection: socket.socket, stream: int) -> None:
        connection.sendall(frame(_RESET, 0, stream, code.to_bytes(4, "big")))

    return answer


def goes_away(connection: socket.socket, _: int) -> None:
    """GOAWAY which says that no stream was processed, whether or not that is so."""
    connection.sendall(frame(_GOAWAY, 0, 0, bytes(8)))


def resets(connection: socket.socket, _: int) -> None:
    """A reset of the connection."""
    hostile.reset(connection)


def nothing(_: socket.socket, __: int) -> None:
    """No answer."""


STATUSES = {
    1: "CANCELLED", 2: "UNKNOWN", 3: "INVALID_ARGUMENT", 4: "DEADLINE_EXCEEDED", 5: "NOT_FOUND", 6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED", 8: "RESOURCE_EXHAUSTED", 9: "FAILED_PRECONDITION", 10: "ABORTED", 11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED", 13: "INTERNAL", 14: "UNAVAILABLE", 15: "DATA_LOSS", 16: "UNAUTHENTICATED",
}  # fmt: skip
_REFUSALS = {"INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"}
_JUDGED_BEFORE = {"PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"}


def _row(name: str, behaviour: Behaviour | Answer, *may: str, why: str = "", reads: bool = True) -> Row:
    letters = frozenset(may)
    return Row(name, behaviour, letters, why, reads)  # type: ignore[arg-type]


def _of_status(code: int, name: str) -> Row:
    row = f"says {name}"
    if name in _REFUSALS:
        return _row(row, reads_and(status(code)), "F", "U", why="only the application says this")
    if name in _JUDGED_BEFORE:
        return _row(
            row, reads_and(status(code)), "N", "U", why="the server judges this before it executes anything"
        )
    return _row(row, reads_and(status(code)), "U")


ROWS: tuple[Row, ...] = (
    _row("refuses the connection", hostile.refuses, "N", "U", reads=False),
    _row("never accepts", hostile.never_accepts, "N", "U", reads=False),
    _row("resets on accept", hostile.resets_on_accept, "N", "U", reads=False),
    _row("reads all and resets", reads_and(resets), "U"),
    _row("reads all and never answers", reads_and(nothing), "U"),
    _row("resets the stream: INTERNAL_ERROR", reads_and(resets_the_stream(2)), "U"),
    _row("resets the stream: REFUSED_STREAM", reads_and(resets_the_stream(7)), "U"),
    _row("resets the stream: CANCEL", reads_and(resets_the_stream(8)), "U"),
    _row("resets the stream: ENHANCE_YOUR_CALM", reads_and(resets_the_stream(11)), "U"),
    _row("resets the stream: INADEQUATE_SECURITY", reads_and(resets_the_stream(12)), "U"),
    _row("goes away, and says that nothing was processed", reads_and(goes_away), "U"),
    _row("says OK without a message", reads_and(status(0)), "U"),
    _row("says OK after half a message", reads_and(status(0, message=b"\0\0\0\0\x09a")), "U"),
    _row("says OK after two messages", reads_and(status(0, message=b"\0\0\0\0\1a" * 2)), "U", "S"),
    _row("says OK after bad gzip", reads_and(status(0, message=b"\1\0\0\0\1a", encoding="gzip")), "U"),
    *(
        _row(f"a proxy says {code}", reads_and(http_status(code)), "U")
        for code in (400, 404, 429, 502, 503, 504)
    ),
    *(
        _row(
            f"a proxy says {code}",
            reads_and(http_status(code)),
            "N",
            "U",
            why="judged before it is passed on",
        )
        for code in (401, 403)
    ),
    *(_of_status(code, name) for code, name in STATUSES.items()),
)
