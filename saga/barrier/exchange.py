"""One HTTP request under a key: read within a limit, handed on, and its reply caught within a limit.

Rules that hold here: nothing is buffered without bound; the application gets the request as it came, and no
extension by which a reply could pass us by.
"""

from __future__ import annotations

from dataclasses import dataclass

from saga.barrier.barrier import Barrier
from saga.barrier.records import Claim, Side
from saga.barrier.replies import App, Message, Receive, Reply, Scope, Send, error

KEY = b"idempotency-key"
SIDE = b"saga-side"


class ReplyTooLarge(Exception):
    """The application's reply is larger than what is kept; raised into the application."""


class Gone(Exception):
    """The client went away before the request was whole."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A request that was read in full, and its claim."""

    claim: Claim
    scope: Scope
    body: bytes
    receive: Receive

    async def run(self, app: App, send: Send) -> None:
        """Hand it to the application as if it had just come."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                return await self.receive()
            given = True
            return {"type": "http.request", "body": self.body, "more_body": False}

        await app({**self.scope, "extensions": {}}, receive, send)


async def read(scope: Scope, receive: Receive, barrier: Barrier, limit: int) -> Keyed | Reply | None:
    """The request with its claim; a reply where it is refused here; None where it has no key.

    Raises:
        Gone: the client went away.
        BarrierError: the key is none.
    """
    keys, sides = _headers(scope, KEY), _headers(scope, SIDE)
    if not keys:
        return None
    side = (sides or [Side.ACTION.value])[0]
    if len(keys) > 1 or len(sides) > 1 or side not in set(Side):
        return error(
            400, "key_invalid", "give one Idempotency-Key, and a Saga-Side of action or compensation"
        )
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            return error(413, "request_too_large", f"with an Idempotency-Key at most {limit} bytes are taken")
    query = scope.get("query_string", b"").decode("latin-1")
    name = f"{scope['method']} {scope['path']}" + (f"?{query}" if query else "")
    claim = barrier.claim(keys[0].strip('"'), Side(side), request=bytes(body), name=name)
    return Keyed(claim, scope, bytes(body), receive)


def _headers(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1").strip() for key, value in scope["headers"] if key == name]


class Caught:
    """Catches a reply up to `limit` bytes. through: where a larger one goes on to; None raises instead."""

    def __init__(self, limit: int, through: Send | None = None) -> None:
        self.overflowed = False
        self._limit = limit
        self._through = through
        self._start: Message | None = None
        self._body = bytearray()
        self._whole = False

    async def send(self, message: Message) -> None:
        """What the application calls.

        Raises:
            ReplyTooLarge: it is, and there is nowhere for it to go.
        """
        if message["type"] == "http.response.start":
            self._start = message
            return
        if message["type"] != "http.response.body":
            return
        self._whole = not message.get("more_body", False)
        if not self.overflowed:
            self._body += message.get("body", b"")
            if len(self._body) <= self._limit:
                return
            self.overflowed = True
            if self._through is not None and self._start is not None:
                await self._through(self._start)
                message = {**message, "body": bytes(self._body)}
            self._body.clear()
        if self._through is None:
            raise ReplyTooLarge
        await self._through(message)

    def reply(self) -> Reply | None:
        """The reply, without its body where it went on; None where the application sent no whole one."""
        if self._start is None or not self._whole:
            return None
        headers = [(bytes(n).lower(), bytes(v)) for n, v in self._start.get("headers", [])]
        return Reply(self._start["status"], headers, None if self.overflowed else bytes(self._body))
