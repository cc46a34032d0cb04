"""Starting a saga through the caller's own SQLAlchemy object.

Rules that hold here: as in `starts`. It is loaded when the first such object is seen: who passes none does not wait for
SQLAlchemy's ORM to load.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import Session

from saga.errors import SagaError
from saga.store import starts
from saga.store.sql import Statement
from saga.store.starts import NewSaga, Started


def is_async(within: object) -> bool:
    """Whether it must be awaited."""
    return isinstance(within, AsyncSession | AsyncConnection)


def start_sync(within: object, schema: str, new: NewSaga) -> Started | None:
    """Through a sync object; None when it is not one.

    Raises:
        SagaError: autocommit, or not Postgres.
    """
    match within:
        case Session():
            return _start(within.connection(), schema, new)
        case Connection():
            return _start(within, schema, new)
        case _:
            return None


async def start_async(within: object, schema: str, new: NewSaga) -> Started | None:
    """Through any object; None when it is none of SQLAlchemy's that a saga starts in.

    Raises:
        SagaError: autocommit, or not Postgres.
    """
    match within:
        case AsyncSession():
            connection = await within.connection()
            return await connection.run_sync(_start, schema, new)
        case AsyncConnection():
            return await within.run_sync(_start, schema, new)
        case _:
            return start_sync(within, schema, new)


def _start(connection: Connection, schema: str, new: NewSaga) -> Started:
    if connection.dialect.name != "postgresql":
        raise SagaError(
            f"within= is a connection to {connection.dialect.name}: a saga starts in its Postgres only"
        )
    driver = connection.connection.dbapi_connection
    starts.refuse_autocommit(autocommit=getattr(driver, "autocommit", False) is True)

    def run(statement: Statement) -> tuple[Any, ...] | None:
        sql = text(_named(statement.on(schema)))
        row = connection.execute(sql, starts.used(statement, schema, new)).fetchone()
        return None if row is None else tuple(row)

    return starts.start(run, new)


def _named(statement: str) -> str:
    """Psycopg's parameters as SQLAlchemy's `text` writes them, whatever the driver."""
    return re.sub(r"%\((\w+)\)s", r":\1", statement)
