"""An HTTP reply as a barrier sees it: which ones are final, what is kept of them, and our own.

Rules that hold here: only a final reply is kept, because it is what everybody gets for ever after; a reply
that says "not now" or "I broke" is never kept; errors of our own are JSON in one shape, but for a mismatch,
which is plain text so that nobody takes it for a refusal (S19).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias, cast

from saga.barrier.records import BarrierError, InProgress, Record, RequestMismatch, State, encoded
from saga.errors import Refused

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

NOT_FINAL = frozenset({401, 403, 408, 409, 421, 424, 425, 429})
"""Replies of 4xx that say "not now" or "not you", and so nothing about the request."""
KEPT_HEADERS = frozenset({b"content-type", b"content-language", b"content-encoding", b"location", b"etag"})
"""What of the headers is about the reply and not about the connection, the moment or the client."""
REPLAYED = (b"idempotency-replayed", b"true")
SAYS = b"saga-barrier"
"""The header by which `saga.barrier.probe.classify` tells our own 409 and 422 from the application's."""
SUCCESS_ENDS, REFUSAL_ENDS = 400, 500
BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply. body: None when it was too large to keep."""

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes | None = b""

    @property
    def succeeded(self) -> bool:
        """Whether the work was done."""
        return self.status < SUCCESS_ENDS

    @property
    def refused(self) -> bool:
        """Whether it is a final no."""
        return SUCCESS_ENDS <= self.status < REFUSAL_ENDS and self.status not in NOT_FINAL

    def kept(self) -> str:
        """What is stored of it, as JSON text."""
        headers = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in self.headers if n in KEPT_HEADERS]
        stored: dict[str, Any] = {"status": self.status, "headers": headers}
        try:
            stored["text"] = None if self.body is None else self.body.decode()
        except UnicodeDecodeError:
            stored["base64"] = base64.b64encode(self.body or b"").decode()
        return json.dumps(stored)

    def refusal(self) -> Refused:
        """The code and the message in it, in the usual shapes of an error body."""
        said = _object(json_of(self))
        one = _object(said.get("error")) or said
        return Refused(str(one.get("code") or f"http_{self.status}"), str(one.get("message") or ""))

    async def send(self, send: Send) -> None:
        """Send it, and nothing after it."""
        body = self.body or b""
        headers = [(n, v) for n, v in self.headers if n != b"content-length"]
        if self.status not in BODILESS:
            headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def replayed(stored: Mapping[str, Any]) -> Reply:
    """A stored reply, marked as such; with an empty body where that was too large to keep."""
    headers = [(n.encode("latin-1"), v.encode("latin-1")) for n, v in stored["headers"]]
    text: str | None = stored.get("text")
    body = base64.b64decode(stored["base64"]) if "base64" in stored else (text or "").encode()
    return Reply(stored["status"], [*headers, REPLAYED], body)


def json_of(reply: Reply) -> Any:
    """The JSON in a reply; None where there is none."""
    kind = dict(reply.headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind != b"application/json" and not kind.endswith(b"+json"):
        return None
    try:
        return json.loads(reply.body or b"")
    except (ValueError, RecursionError):
        return None


def as_json(status: int, value: object, *more: tuple[bytes, bytes]) -> Reply:
    """A reply of our own."""
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store"), *more]
    return Reply(status, headers, encoded(value).encode())


def error(status: int, code: str, message: str, *more: tuple[bytes, bytes]) -> Reply:
    """An error of our own."""
    return as_json(status, {"error": {"code": code, "message": message}}, *more)


def of_refusal(refused: Refused) -> Reply:
    """A refusal that was raised and not replied."""
    return error(400, str(refused.code), str(refused.message))


def of_error(problem: BarrierError) -> Reply:
    """What to say where the barrier could not even be opened."""
    match problem:
        case RequestMismatch():
            kind = (b"content-type", b"text/plain; charset=utf-8")
            headers = [kind, (b"cache-control", b"no-store"), (SAYS, b"mismatch")]
            return Reply(422, headers, f"mismatch: {problem}".encode())
        case InProgress():
            more = [(b"retry-after", b"1"), (SAYS, b"in_progress")]
            return error(409, "in_progress", str(problem), *more)
        case _:
            return error(400, "key_invalid", str(problem))


def of_record(record: Record) -> Reply:
    """The answer that a key holds: the stored reply, else one made from the stored result."""
    if record.reply is not None:
        return replayed(record.reply)
    match record.state:
        case State.DONE | State.SKIPPED:
            return as_json(200, {"state": record.state, "result": record.result}, REPLAYED)
        case State.REFUSED:
            said = Refused(record.result["code"], record.result["message"])
            return Reply(400, [*of_refusal(said).headers, REPLAYED], of_refusal(said).body)
        case State.FENCED:
            return error(410, "fenced", f"key {record.key} is fenced: this never ran and never will")
        case State.STARTED:
            return of_error(InProgress(record.key))
