"""The client's end of a session, with the part of psycopg's connection that production uses.

Rules that hold here: a value that cannot be a text of Postgres is refused by the client, before anything is sent; one
request is on its way at a time; whoever cancels a call that waits asks the server to stop, and waits for its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg.sql import Composable

from saga.testing.store.cursor import Cursor, Pipeline, Transacting, fill
from saga.testing.store.messages import Block, Command, Notice, Notification, Refusal, Reply, Request
from saga.testing.store.values import as_text, has_texts

if TYPE_CHECKING:
    from saga.testing.store.session import Session
    from saga.testing.store.wire import Unasked, Wire

CANCEL_S = 5.0
"""So long does a client that was cancelled wait for the server's last answer, as psycopg does."""
_STATUS = {
    Block.IDLE: TransactionStatus.IDLE,
    Block.OPEN: TransactionStatus.INTRANS,
    Block.FAILED: TransactionStatus.INERROR,
}


class Info:
    """What a connection says of itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def transaction_status(self) -> TransactionStatus:
        """How the last reply left it."""
        if self._connection.closed:
            return TransactionStatus.UNKNOWN
        return _STATUS[self._connection.block]


class Connection:
    """One connection, in autocommit. `session`: its other end; `wire`: what is between.

    It says that it is a `psycopg.AsyncConnection`, because production asks for that before it starts a saga within a
    caller's transaction.
    """

    autocommit = True
    row_factory = staticmethod(tuple_row)
    pgconn = cast("Any", None)  # a cursor of psycopg's own keeps it, and never looks
    adapters = psycopg.adapters
    _pipeline = None

    def __init__(self, session: Session, wire: Wire) -> None:
        self.session = session
        self.wire = wire
        self.block = Block.IDLE
        self.lock = asyncio.Lock()
        self.info = Info(self)
        self.piped: Pipeline | None = None
        self._closed = False
        self._lost: Refusal | None = None
        self._broken = False
        self._waiter: asyncio.Future[Reply] | None = None
        self._number = 0
        self._handlers: list[Callable[[Any], None]] = []
        self._heard: deque[Notification] = deque()
        self._listener: asyncio.Future[None] | None = None
        session.heard = lambda said: wire.push(said, self._hear)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride] - nobody sets it
        """What production takes it for."""
        return psycopg.AsyncConnection

    # What production calls.

    async def execute(
        self, query: object, params: Mapping[str, Any] | None = None, *, prepare: bool | None = None
    ) -> Cursor:
        """Run one statement, or queue it where a pipeline is open."""
        return await Cursor(self).execute(query, params, prepare=prepare)

    def cursor(self, **_: object) -> Cursor:
        """A cursor for one statement."""
        return Cursor(self)

    def pipeline(self) -> Pipeline:
        """Queue statements, and send them all at the end."""
        return Pipeline(self)

    def transaction(self) -> Transacting:
        """BEGIN, then COMMIT, or ROLLBACK where an error leaves it."""
        return Transacting(self)

    def add_notice_handler(self, handler: Callable[[Any], None]) -> None:
        """Call `handler` with each warning of the server."""
        self._handlers.append(handler)

    async def notifies(self) -> AsyncGenerator[Notification]:
        """What listeners are told, until the connection breaks.

        Raises:
            psycopg.OperationalError: it broke.
        """
        async with self.lock:
            while True:
                while self._heard:
                    yield self._heard.popleft()
                self._check_open()
                self._listener = asyncio.get_running_loop().create_future()
                await self._listener

    async def close(self) -> None:
        """Say goodbye, and never wait for an answer."""
        if not self._closed:
            self._closed = True
            if self._lost is None:
                self.wire.close(self.session)
            self.lose(Refusal(None, "the connection is closed"))

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Ask the server to stop what is running; whether it hears it is the wire's business."""
        del timeout
        self.wire.cancel(self.session)

    def fileno(self) -> int:
        """No socket. Production asks for its number to shut it down (`saga.store.patience`), so that is what it does.

        Raises:
            psycopg.OperationalError: it is closed already.
        """
        self._check_open()
        self.wire.close(self.session)
        self.lose()
        return -1

    async def commit(self) -> None:
        """End a transaction that is open."""
        if self.block is not Block.IDLE:
            await self.execute(Transacting.COMMIT)

    async def rollback(self) -> None:
        """Undo a transaction that is open."""
        if self.block is not Block.IDLE:
            await self.execute(Transacting.ROLLBACK)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.closed:
            return
        if kind is None:
            await self.commit()
        else:
            with contextlib.suppress(Exception):
                await self.rollback()
        await self.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed, or is known to be lost."""
        return self._closed or self._lost is not None

    @property
    def broken(self) -> bool:
        """Whether it was lost and not closed."""
        return self._broken

    # What wires and cursors call.

    def lose(self, why: Refusal | None = None) -> None:
        """The client finds the connection broken, now; the server may know nothing of it."""
        lost = why or Refusal(None, "server closed the connection unexpectedly")
        if self._waiter is not None:
            self._deliver(self._number, Reply([], Block.IDLE, ended=lost))
        elif self._lost is None:
            self._lost = lost
            self._broken = not self._closed
        if self._listener is not None and not self._listener.done():
            self._listener.set_exception(psycopg.OperationalError(str(lost)))

    def command(self, query: object, params: Mapping[str, Any] | None) -> Command:
        """A statement as it is sent.

        Raises:
            psycopg.DataError, UnicodeEncodeError: a value that is no text of Postgres.
            UnknownStatement: it is not modelled.
        """
        text = query if isinstance(query, bytes | str) else cast("Composable", query).as_bytes(None)
        model = self.session.database.model_of(text)
        if not model.names:
            return Command(model, dict(params or {}))
        assert params is not None, f"{model.name} has parameters"
        values = {name: params[name] for name in model.names}
        for name, value in values.items():
            if isinstance(value, str):
                values[name] = as_text(value)
            elif value.__class__ is list and value and has_texts(value):
                values[name] = [as_text(item) if isinstance(item, str) else item for item in value]
        return Command(model, values)

    async def request(self, request: Request) -> Reply:
        """Send a request, and wait for its reply.

        Raises:
            psycopg.Error: the connection is closed, or was lost.
        """
        async with self.lock:
            self._check_open()
            waiter: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
            self._waiter = waiter
            self._number += 1
            number = self._number
            self.wire.send(self.session, request, lambda reply: self._deliver(number, reply))
            try:
                reply = await waiter
            except asyncio.CancelledError:
                await self._give_up()
                raise
            self._waiter = None
        if reply.ended is not None:
            raise reply.ended.raised()
        return reply

    async def _give_up(self) -> None:
        """Ask the server to stop, and wait for its last answer, but not for ever."""
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        self.wire.cancel(self.session)
        try:
            async with asyncio.timeout(CANCEL_S):
                await waiter
        except TimeoutError:
            await self.close()
        finally:
            self._waiter = None

    def _deliver(self, number: int, reply: Reply) -> None:
        waiter = self._waiter
        if number != self._number or waiter is None or waiter.done() or self._lost is not None:
            return
        if reply.ended is not None:
            self._lost = reply.ended
            self._broken = not self._closed
        self.block = reply.block
        for notice in reply.notices:
            self._tell(notice)
        waiter.set_result(reply)

    def _tell(self, notice: Notice) -> None:
        for handler in self._handlers:
            handler(notice)

    def _hear(self, said: Unasked) -> None:
        if self._closed:
            return
        if isinstance(said, Notification):
            self._heard.append(said)
            if self._listener is not None and not self._listener.done():
                self._listener.set_result(None)
        elif self._listener is not None and not self._listener.done():
            self._broken = True
            self._lost = said  # only who listens reads what comes unasked
            self._listener.set_exception(psycopg.OperationalError(str(said)))

    def _check_open(self) -> None:
        if self._closed or self._lost is not None:
            raise psycopg.OperationalError("the connection is closed")

    async def wait(self, gen: Any) -> None:
        """What a cursor of psycopg's own runs on: its statement is taken out of it, and the answer put in."""
        call = gen.gi_frame.f_locals
        gen.close()
        reply = await self._alone(self.command(call["query"], call["params"]))
        fill(call["self"], reply)

    async def _alone(self, command: Command) -> Reply:
        self.lock.release()  # psycopg's cursor holds it, and `request` takes it again
        try:
            return await self.request(Request([command]))
        finally:
            await self.lock.acquire()
