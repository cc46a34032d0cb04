"""Cursors, pipelines and transactions of the client, as far as production uses psycopg's.

Rules that hold here: a pipeline's answers are known at its sync, where the first error is raised; a transaction that
ends without an error sends COMMIT and, as psycopg, does not look at the answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg.pq import ExecStatus

from saga.testing.store.messages import Block, Command, Line, Refusal, Reply, Request, Result, Tag

if TYPE_CHECKING:
    from saga.testing.store.connection import Connection


class Cursor:
    """One statement, and its answer."""

    __slots__ = ("_at", "_connection", "result")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.result: Result | None = None
        self._at = 0

    async def execute(
        self, query: object, params: Mapping[str, Any] | None = None, *, prepare: bool | None = None
    ) -> Self:
        """Run a statement, or queue it where a pipeline is open. `prepare` changes nothing here.

        Raises:
            psycopg.Error: as psycopg does.
        """
        del prepare
        connection = self._connection
        command = connection.command(query, params)
        self._at = 0
        if connection.piped is not None:
            connection.piped.queue(command, self)
            return self
        reply = await connection.request(Request([command]))
        self.result = answered(reply.answers[0])
        return self

    async def fetchone(self) -> Line | None:
        """The next line, or None."""
        lines = self._lines()
        if self._at >= len(lines):
            return None
        self._at += 1
        return lines[self._at - 1]

    async def fetchall(self) -> list[Line]:
        """The lines that are left."""
        lines = self._lines()[self._at :]
        self._at += len(lines)
        return lines

    @property
    def rowcount(self) -> int:
        """How many rows it was; -1 where none is said."""
        return -1 if self.result is None else self.result.count

    @property
    def statusmessage(self) -> str | None:
        """The server's word for it."""
        return None if self.result is None else self.result.status

    async def close(self) -> None:
        """Nothing is open."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open."""

    def _lines(self) -> list[Line]:
        if self.result is None:
            raise psycopg.ProgrammingError("no result available")
        if self.result.lines is None:
            raise psycopg.ProgrammingError("the last operation didn't produce records")
        return self.result.lines


def answered(answer: Result | Refusal | None) -> Result:
    """The result.

    Raises:
        psycopg.Error: it is none.
    """
    if isinstance(answer, Refusal):
        raise answer.raised()
    assert answer is not None, "nothing is skipped before the first error, which is raised"
    return answer


class Pipeline:
    """Statements that are sent together."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._commands: list[Command] = []
        self._cursors: list[Cursor] = []

    def queue(self, command: Command, cursor: Cursor) -> None:
        """Send it with the others."""
        self._commands.append(command)
        self._cursors.append(cursor)

    async def __aenter__(self) -> Self:
        assert self._connection.piped is None, "one pipeline at a time"
        self._connection.piped = self
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.piped = None
        if error is None:
            await self._sync()
        else:  # what was queued is sent all the same
            with contextlib.suppress(psycopg.Error):
                await self._sync()

    async def _sync(self) -> None:
        if not self._commands:
            return
        reply = await self._connection.request(Request(self._commands))
        for cursor, answer in zip(self._cursors, reply.answers, strict=True):
            cursor.result = answered(answer)


class Transacting:
    """A transaction of the client. Inside another one there would be savepoints, which nobody uses."""

    BEGIN, COMMIT, ROLLBACK = Tag.BEGIN.name, Tag.COMMIT.name, Tag.ROLLBACK.name

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __aenter__(self) -> Self:
        assert self._connection.block is Block.IDLE, "savepoints are not modelled"
        await self._connection.execute(self.BEGIN)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._connection
        if connection.closed:
            return
        if error is None:
            await connection.execute(self.COMMIT)
        else:
            with contextlib.suppress(psycopg.Error):
                await connection.execute(self.ROLLBACK)


class Answered:
    """A result as a cursor of psycopg's own wants it."""

    def __init__(self, result: Result) -> None:
        self._lines = result.lines or []
        self.status = ExecStatus.COMMAND_OK if result.lines is None else ExecStatus.TUPLES_OK
        self.ntuples = len(self._lines)
        self.command_status = result.status.encode()

    def load_row(self, at: int, make: Any) -> Any:
        """One line."""
        return make(self._lines[at])

    def load_rows(self, first: int, end: int, make: Any) -> list[Any]:
        """Several."""
        return [make(line) for line in self._lines[first:end]]


def fill(cursor: Any, reply: Reply) -> None:
    """Put an answer into a cursor of psycopg's own.

    Raises:
        psycopg.Error: it is none.
    """
    answer = Answered(answered(reply.answers[0]))
    cursor.pgresult = cursor._tx = answer  # noqa: SLF001 - where such a cursor keeps its result
    cursor._pos = 0  # noqa: SLF001
    cursor._rowcount = answer.ntuples  # noqa: SLF001
    cursor._make_row = tuple  # noqa: SLF001 - starts asks for tuples
