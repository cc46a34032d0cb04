"""The thin seam between the rules and the caller's connection, whatever made it.

Rules that hold here: every statement runs through the caller's own object, in the caller's transaction;
autocommit and databases other than Postgres are refused, because row and work would not commit together;
the rules are driven here and written elsewhere, once for sync and async.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeAlias, TypeGuard, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from sqlalchemy import Connection, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from saga.barrier.records import BarrierError
from saga.barrier.rules import Locked, Query, Row, Steps

T = TypeVar("T")
Run: TypeAlias = Callable[[Query], Row | None]
RunAsync: TypeAlias = Callable[[Query], Awaitable[Row | None]]

LOCK_NOT_AVAILABLE = "55P03"
KINDS = "a SQLAlchemy Session, AsyncSession, Connection or AsyncConnection, or a psycopg connection"


def is_async(connection: object) -> bool:
    """Whether the connection must be awaited.

    Raises:
        TypeError: SQLAlchemy or psycopg did not make it.
    """
    if isinstance(connection, AsyncSession | AsyncConnection) or _is_async_psycopg(connection):
        return True
    if isinstance(connection, Session | Connection) or _is_psycopg(connection):
        return False
    raise TypeError(f"{type(connection).__name__} is no transaction: give {KINDS}")


def drive(connection: object, schema: str, steps: Steps[T]) -> T:
    """Run the rules over a sync connection."""
    run = _sync(connection, schema)
    try:
        query = next(steps)
        while True:
            try:
                row = run(query)
            except Exception as error:  # noqa: BLE001 - the rules clean up and pass it on
                query = steps.throw(_told(error))
            else:
                query = steps.send(row)
    except StopIteration as end:
        value: T = end.value
        return value


async def drive_async(connection: object, schema: str, steps: Steps[T]) -> T:
    """Run the rules over a connection that is awaited; over a sync one as well, blocking."""
    run = await _async(connection, schema)
    try:
        query = next(steps)
        while True:
            try:
                row = await run(query)
            except Exception as error:  # noqa: BLE001 - the rules clean up and pass it on
                query = steps.throw(_told(error))
            else:
                query = steps.send(row)
    except StopIteration as end:
        value: T = end.value
        return value


def flush(connection: object) -> None:
    """Write what a Session has not written yet: it belongs to the work, and so before the row is final."""
    if isinstance(connection, Session):
        connection.flush()


async def flush_async(connection: object) -> None:
    """The same for what is awaited; see `flush`."""
    if isinstance(connection, AsyncSession):
        await connection.flush()
    flush(connection)


def _told(error: Exception) -> Exception:
    """A lock that was not had in time, as the rules know it; anything else untouched."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE:
        locked = Locked()
        locked.__cause__ = error
        return locked
    return error


def _sync(connection: object, schema: str) -> Run:
    if is_async(connection):
        raise TypeError(f"{type(connection).__name__} is asynchronous: write `async with`, and await")
    if _is_psycopg(connection):
        _refuse_autocommit(autocommit=_outside_transaction(connection))
        return lambda query: _in_psycopg(connection, schema, query)
    own = connection.connection() if isinstance(connection, Session) else connection
    assert isinstance(own, Connection)
    _check(own)

    def run(query: Query) -> Row | None:
        return _first(own.execute(text(_named(query.statement.on(schema))), query.values))

    return run


async def _async(connection: object, schema: str) -> RunAsync:
    if _is_async_psycopg(connection):
        _refuse_autocommit(autocommit=_outside_transaction(connection))

        async def run_psycopg(query: Query) -> Row | None:
            async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
                await cursor.execute(query.statement.on(schema).encode(), query.values)
                return await cursor.fetchone() if cursor.description else None

        return run_psycopg
    if not is_async(connection):
        blocking = _sync(connection, schema)

        async def run_blocking(query: Query) -> Row | None:
            return blocking(query)

        return run_blocking
    own = await connection.connection() if isinstance(connection, AsyncSession) else connection
    assert isinstance(own, AsyncConnection)
    await own.run_sync(_check)

    async def run(query: Query) -> Row | None:
        return _first(await own.execute(text(_named(query.statement.on(schema))), query.values))

    return run


def _in_psycopg(connection: psycopg.Connection[Any], schema: str, query: Query) -> Row | None:
    # A cursor of our own: the caller's connection may give dicts, or take no named parameters.
    with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(query.statement.on(schema).encode(), query.values)
        return cursor.fetchone() if cursor.description else None


def _first(result: CursorResult[Any]) -> Row | None:
    if not result.returns_rows:
        return None
    row = result.fetchone()
    result.close()
    return None if row is None else tuple(row)


@lru_cache
def _named(statement: str) -> str:
    """Psycopg's parameters as SQLAlchemy's `text` writes them, whatever the driver."""
    return re.sub(r"%\((\w+)\)s", r":\1", statement)


def _check(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        raise BarrierError(f"this is a connection to {connection.dialect.name}: a barrier needs Postgres")
    driver = connection.connection.dbapi_connection
    _refuse_autocommit(autocommit=getattr(driver, "autocommit", False) is True)


def _is_psycopg(connection: object) -> TypeGuard[psycopg.Connection[Any]]:
    return isinstance(connection, psycopg.Connection)


def _is_async_psycopg(connection: object) -> TypeGuard[psycopg.AsyncConnection[Any]]:
    return isinstance(connection, psycopg.AsyncConnection)


def _outside_transaction(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    return connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def _refuse_autocommit(*, autocommit: bool) -> None:
    if autocommit:
        raise BarrierError(
            "the connection is in autocommit: the row would stay although the work may fail; "
            "open a transaction and give that"
        )
