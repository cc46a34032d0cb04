"""The rows of the hostile server: what it does, and what a client may claim about it.

Rules that hold here: N not executed, F refused, U unknown, S succeeded; whatever was read in full allows no
N and no F, unless `why` gives the reason; nothing that is broken allows S.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from saga.testing import hostile
from saga.testing.hostile import Behaviour

Letter: TypeAlias = Literal["N", "F", "U", "S"]
WORDS: dict[Letter, str] = {"N": "not executed", "F": "refused", "U": "unknown", "S": "succeeded"}

OWN_ERROR = b'{"error": {"code": "hostile", "message": "No."}}'
HTML = b"<h1>No</h1>"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that the server does.

    may: what may be claimed. why: where N or F may be said after a full read. reads: whether it reads requests.
    """

    name: str
    behaviour: Behaviour
    may: frozenset[Letter]
    why: str = ""
    reads: bool = True


def _row(name: str, behaviour: Behaviour, may: str, why: str = "", *, reads: bool = True) -> Row:
    letters: dict[str, Letter] = {"N": "N", "F": "F", "U": "U", "S": "S"}
    return Row(name, behaviour, frozenset(letters[one] for one in may), why, reads)


def _partial(head: str, body: bytes) -> bytes:
    return f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\n".encode() + body


MISBEHAVIOUR: tuple[Row, ...] = (
    _row("refuses the connection", hostile.refuses, "NU", reads=False),
    _row("never accepts", hostile.never_accepts, "NU", reads=False),
    _row("resets on accept", hostile.resets_on_accept, "NU", reads=False),
    _row("resets before it reads", hostile.resets_unread, "NU", reads=False),
    _row("reads all and resets", hostile.reads_all_and_resets, "U"),
    _row("reads all and closes", hostile.reads_all_and_closes, "U"),
    _row("reads all and never answers", hostile.never_answers, "U"),
    _row("replies garbage", hostile.says(b"SSH-2.0-OpenSSH\r\n"), "U"),
    _row(
        "replies a status line that is none",
        hostile.says(b"HTTP/1.1 OK 200\r\nconnection: close\r\n\r\n"),
        "U",
    ),
    _row(
        "replies a bad header",
        hostile.says(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\nconnection: close\r\n\r\n{}"),
        "U",
    ),
    _row("truncates the headers", hostile.says(b"HTTP/1.1 200 OK\r\ncontent-t", close=True), "U"),
    _row(
        "truncates the body",
        hostile.says(_partial("content-length: 99\r\nconnection: close\r\n", b'{"id"')),
        "U",
    ),
    _row(
        "truncates a chunk",
        hostile.says(_partial("transfer-encoding: chunked\r\nconnection: close\r\n", b'ff\r\n{"id"')),
        "U",
    ),
    _row("stalls the body", hostile.stalls_the_body, "U"),
    _row("drips the headers", hostile.drips_headers, "U"),
    _row("drips the body", hostile.drips_the_body, "U"),
    _row("bad gzip", hostile.says(_partial("content-encoding: gzip\r\ncontent-length: 4\r\n", b"zzzz")), "U"),
    _row("replies 103 and nothing else", hostile.says(b"HTTP/1.1 103 Early Hints\r\n\r\n"), "U"),
    _row("closes kept-alive connections", hostile.closes_kept_alive, "US"),
)

_WITHOUT_BODY = 304
_BEFORE = "the service judges this before it executes anything"
_ORIGIN = "only the service itself says this, in whatever format"
_OWN = "the API says no in its own error format"
_SHED = "a profile may say that the service sheds before it executes"
_MAY: dict[int, tuple[str, str]] = {
    **dict.fromkeys((401, 403, 421), ("NUF", _BEFORE)),
    **dict.fromkeys((402, 412), ("FU", _ORIGIN)),
    **dict.fromkeys((400, 404, 405, 406, 410, 411, 413, 414, 415, 417, 422, 428, 431), ("FU", _OWN)),
    **dict.fromkeys((429, 503), ("NU", _SHED)),
    **dict.fromkeys((408, 409, 418, 424, 425, 451, 500, 501, 502, 504, 507, 520, 524, 527), ("U", "")),
    **dict.fromkeys((300, 301, 302, 303, 304, 307, 308), ("U", "")),
}
STATUSES: tuple[int, ...] = tuple(sorted(_MAY))


def statuses(body: bytes = OWN_ERROR, kind: str = "application/json") -> Iterator[Row]:
    """A row for every status that is no success."""
    for status in STATUSES:
        may, why = _MAY[status]
        reply = hostile.answers(status, b"" if status == _WITHOUT_BODY else body, kind)
        yield _row(f"replies {status}", reply, may, why)


def every_row() -> Iterator[Row]:
    """What `prove_client` runs through."""
    yield from MISBEHAVIOUR
    yield from statuses()
    for row in statuses(HTML, "text/html"):
        yield Row(f"{row.name} in HTML", row.behaviour, row.may, row.why)
