"""A service's database for one test: the barrier's table, a table of its business, and eyes on who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from saga.barrier import ddl
from saga.dev.processes import wait_until

Psycopg = psycopg.AsyncConnection[tuple[Any, ...]]
WORK = "INSERT INTO booked VALUES ('work')"
ASYNC_KINDS = ("psycopg", "connection", "session")


@dataclass(frozen=True, slots=True)
class Place:
    """The database, and what lies in it."""

    url: str

    def set_up(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(ddl().encode())
            connection.execute("CREATE TABLE booked (what text NOT NULL)")

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[Psycopg]:
        """A transaction on a connection of its own, which ends with the block."""
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            yield connection

    def rows(self) -> list[tuple[str, str, str]]:
        """The barrier's rows: key, side, state."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            query = "SELECT key, side, state FROM saga_barrier ORDER BY key, side"
            return connection.execute(query).fetchall()

    def works(self) -> int:
        """How often the business did something."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute("SELECT count(*) FROM booked").fetchone()
            assert row is not None
            return int(row[0])

    def execute(self, statement: str, *values: Any) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode(), values)

    async def waits(self, pid: int | None = None) -> None:
        """Returns when that backend, or any, waits for a lock: real, in the server, and not a matter of time."""

        def watch() -> None:
            query = (
                "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                " AND (%s::int IS NULL OR pid = %s)"
            )
            with psycopg.connect(self.url, autocommit=True) as connection:
                wait_until(
                    lambda: connection.execute(query, [pid, pid]).fetchone() is not None, 10, "a lock wait"
                )

        await asyncio.to_thread(watch)

    @asynccontextmanager
    async def transaction(self, kind: str) -> AsyncGenerator[Any]:
        """A transaction on a connection that is awaited, of that kind."""
        if kind == "psycopg":
            async with self.begin() as connection:
                yield connection
            return
        engine = create_async_engine(
            make_url(self.url).set(drivername="postgresql+psycopg"), poolclass=NullPool
        )
        maker = AsyncConnection if kind == "connection" else AsyncSession
        async with maker(engine) as made, made.begin():
            yield made
        await engine.dispose()

    @contextmanager
    def transaction_sync(self, kind: str) -> Generator[Any]:
        """A transaction on a connection that blocks, of that kind."""
        if kind == "psycopg":
            with psycopg.connect(self.url) as connection:
                yield connection
            return
        engine = create_engine(make_url(self.url).set(drivername="postgresql+psycopg"), poolclass=NullPool)
        if kind == "connection":
            with engine.begin() as made:
                yield made
        else:
            with Session(engine) as session, session.begin():
                yield session
        engine.dispose()


def statement(kind: str, sql: str) -> Any:
    """The SQL as that kind of connection takes it."""
    return sql if kind == "psycopg" else text(sql)
