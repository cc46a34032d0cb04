"""ASGI middlewares for `Idempotency-Key`: one that shares the application's transaction, and one that cannot.

`BarrierMiddleware` opens the transaction, gives its connection to the application, and commits the work, the
row and the stored reply together: a request happens once, and its reply is the same for ever.
`SeparateBarrierMiddleware` knows nothing of the application's transaction. It stores `started` before and the
reply after, and says what that is worth: a request never runs twice, but after a crash between the two nobody
knows whether it ran, and it stays in progress until a person looks.

Rules that hold here: no byte of a reply is sent before its row is committed; requests and replies are
buffered up to a limit and no further; a reply that is not final is never stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saga.barrier import replies, rules, seam
from saga.barrier.barrier import Barrier, Begin
from saga.barrier.exchange import Caught, Gone, Keyed, ReplyTooLarge, read
from saga.barrier.guard import LARGEST, Held
from saga.barrier.records import BarrierError, Claim, State, encoded
from saga.barrier.replies import App, Receive, Reply, Scope, Send
from saga.barrier.status import Status
from saga.errors import Refused

METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_PLACE = "saga.barrier"


@dataclass(frozen=True, slots=True)
class Current:
    """What the application may use. connection: in the transaction of the row. held: `keep` a result here."""

    connection: Any
    held: Held


def current(scope: Scope) -> Current:
    """The transaction of this request, from its ASGI scope (`request.scope` in Starlette and FastAPI).

    Raises:
        LookupError: there is none: no key was given, or the middleware is not there.
    """
    if _PLACE not in scope:
        raise LookupError("no barrier holds this request: no Idempotency-Key, or no BarrierMiddleware")
    found: Current = scope[_PLACE]
    return found


class _Middleware:
    """What both have in common: which requests are theirs, and the status route."""

    def __init__(
        self,
        app: App,
        *,
        barrier: Barrier,
        begin: Begin[Any],
        status: str = "/barrier",
        required: bool = True,
        largest: int = LARGEST,
    ) -> None:
        """Wrap `app`.

        Args:
            app: the application.
            barrier: whose table.
            begin: gives a connection in a transaction, such as `AsyncEngine.begin`.
            status: the path of the status route; authentication belongs outside of this middleware.
            required: whether a request that changes something and has no key is refused (400).
            largest: bytes that are taken of a request and kept of a reply.
        """
        self._app = app
        self._barrier = barrier
        self._begin = begin
        self._status = Status(barrier, begin, status)
        self._required = required
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._status.serves(scope):
            return await self._status(scope, receive, send)
        if scope["type"] != "http" or scope["method"] not in METHODS:
            return await self._app(scope, receive, send)
        try:
            request = await read(scope, receive, self._barrier, self._largest)
        except Gone:
            return None
        except BarrierError as problem:
            return await replies.of_error(problem).send(send)
        if request is None and not self._required:
            return await self._app(scope, receive, send)
        if request is None:
            request = replies.error(400, "key_missing", "this request needs an Idempotency-Key")
        if isinstance(request, Reply):
            return await request.send(send)
        try:
            reply = await self._perform(request, send)
        except BarrierError as problem:
            reply = replies.of_error(problem)
        return None if reply is None else await reply.send(send)

    async def _perform(self, request: Keyed, send: Send) -> Reply | None:
        raise NotImplementedError


class _RolledBack(Exception):
    """Leaves the transaction with a reply that does not commit it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__(reply.status)


class BarrierMiddleware(_Middleware):
    """Row, reply and work commit together: use `current(scope).connection` for everything that counts.

    A final refusal (a 4xx that is not "not now") rolls the work back, and is then stored. A 5xx, and an
    exception, roll back and store nothing: the next request with the key runs anew. Background tasks of the
    application run before the commit, and writes on other connections are not covered.
    """

    async def _perform(self, request: Keyed, send: Send) -> Reply | None:
        del send
        try:
            async with self._begin() as connection, self._barrier.guard(connection, request.claim) as held:
                if held.mine:
                    return_ = await self._call(request, Current(connection, held))
                    held.reply = return_.kept()
                else:
                    return_ = replies.of_record(held.record)
        except _RolledBack as left:
            return await self._stored(request.claim, left.reply) if left.reply.refused else left.reply
        return return_

    async def _call(self, request: Keyed, here: Current) -> Reply:
        """The application's reply, when it is a success.

        Raises:
            _RolledBack: it is none. Whatever the application raises goes through.
        """
        caught = Caught(self._largest)
        request.scope[_PLACE] = here
        try:
            await request.run(self._app, caught.send)
        except Refused as refused:
            raise _RolledBack(replies.of_refusal(refused)) from refused
        except ReplyTooLarge:
            pass
        if caught.overflowed:
            said = f"the reply is larger than the {self._largest} bytes that are kept; nothing was done"
            raise _RolledBack(replies.error(500, "reply_too_large", said))
        reply = caught.reply()
        if reply is None:
            raise _RolledBack(replies.error(500, "no_reply", "the application sent no whole reply"))
        if not reply.succeeded:
            raise _RolledBack(reply)
        return reply

    async def _stored(self, claim: Claim, reply: Reply) -> Reply:
        """Store a refusal in a transaction of its own; what is stored is the answer, whoever stored it."""
        kept = reply.kept()
        async with self._begin() as connection:
            record = await self._barrier.refuse_async(connection, claim, reply.refusal(), kept)
        stored = replies.of_record(record)
        ours = record.state is State.REFUSED and stored.body == reply.body and stored.status == reply.status
        return reply if ours else stored


class SeparateBarrierMiddleware(_Middleware):
    """Never twice, and not always known: for applications whose transaction cannot be shared.

    It promises: two requests with a key never both run; a final reply that was stored is the reply for ever.
    It does not promise that a request that ran is known to have run: after a crash, an exception, or a reply
    that is not final and not "not now", the key stays `started`, is answered with 409, and its effect is for
    a person to look up. Where the application replies "not now" (401, 403, 408, 409, 421, 424, 425, 429), it
    says by that that it did nothing, and the key is given back.
    """

    async def _perform(self, request: Keyed, send: Send) -> Reply | None:
        claim = request.claim
        async with self._begin() as connection:
            entered = await self._drive(connection, rules.enter(claim, self._barrier.wait_ms))
            if entered.mine:
                await self._drive(connection, rules.leave(entered, State.STARTED))
        if not entered.mine:
            return replies.of_record(entered.record)
        caught = Caught(self._largest, through=send)
        try:
            await request.run(self._app, caught.send)
            reply = caught.reply()
        except Refused as refused:
            reply = replies.of_refusal(refused)
        if reply is None and caught.overflowed:
            return None  # it broke off after it had begun to reach the client
        if reply is None:
            return replies.error(500, "no_reply", "the application sent no whole reply; its work is in doubt")
        await self._settle(claim, reply)
        return None if caught.overflowed else reply

    async def _settle(self, claim: Claim, reply: Reply) -> None:
        if not reply.succeeded and not reply.refused and reply.status not in replies.NOT_FINAL:
            return
        async with self._begin() as connection:
            if reply.status in replies.NOT_FINAL:
                await self._drive(connection, rules.forget(claim))
                return
            state, result = State.DONE, None
            if reply.refused:
                refused = reply.refusal()
                state, result = State.REFUSED, encoded({"code": refused.code, "message": refused.message})
            await self._drive(connection, rules.finish(claim, state, result, reply.kept()))

    async def _drive(self, connection: Any, steps: rules.Steps[seam.T]) -> seam.T:
        return await seam.drive_async(connection, self._barrier.schema, steps)
