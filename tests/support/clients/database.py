"""One transaction in a service's own Postgres, over psycopg and SQLAlchemy, blocking and not, and what goes wrong."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from saga import sql
from saga.errors import NotExecuted, Refused, Unknown
from saga.store.urls import conninfo
from tests.support.clients.cut_wire import CutWire
from tests.support.clients.sections import table

SCHEMA = """
    CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, owner text REFERENCES account DEFERRABLE INITIALLY DEFERRED);
    TRUNCATE account; INSERT INTO account VALUES ('taken')
"""
INSERT = "INSERT INTO account (name) VALUES ('new')"


def raising(state: str) -> str:
    """A statement that fails in this way."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'hostile' USING ERRCODE = '{state}'; END $$"


def by_psycopg(dsn: str, statements: list[str]) -> None:
    with psycopg.connect(dsn) as connection, sql.transaction(connection):
        for statement in statements:
            _run(connection.execute, statement.encode())


async def by_psycopg_async(dsn: str, statements: list[str]) -> None:
    async with await psycopg.AsyncConnection.connect(dsn) as connection, sql.transaction(connection):
        for statement in statements:
            with _swallowing(statement):
                await connection.execute(statement.encode())


def by_session(dsn: str, statements: list[str]) -> None:
    engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn), poolclass=NullPool)
    with Session(engine) as session, sql.transaction(session):
        for statement in statements:
            _run(session.execute, text(statement))


async def by_async_session(dsn: str, statements: list[str]) -> None:
    async def connect() -> Any:
        return await psycopg.AsyncConnection.connect(dsn)

    engine = create_async_engine("postgresql+psycopg://", async_creator=connect, poolclass=NullPool)
    async with AsyncSession(engine) as session, sql.transaction(session):
        for statement in statements:
            with _swallowing(statement):
                await session.execute(text(statement))


WAYS: dict[str, Callable[[str, list[str]], Any]] = {
    "psycopg": by_psycopg,
    "psycopg, async": by_psycopg_async,
    "SQLAlchemy": by_session,
    "SQLAlchemy, async": by_async_session,
}


@contextlib.contextmanager
def _swallowing(statement: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        if "swallowed" not in statement:
            raise


def _run(execute: Callable[[Any], object], statement: Any) -> None:
    with _swallowing(str(statement)):
        execute(statement)


class Trouble(NamedTuple):
    """What goes wrong. landed: whether the row is in the table afterwards."""

    name: str
    statements: list[str]
    cut: tuple[bytes, Literal["before", "behind"]] | None = None
    landed: bool = False
    refused: bool = False


TROUBLES: tuple[Trouble, ...] = (
    Trouble("nothing", [INSERT], landed=True),
    Trouble("the connection is refused", [INSERT], refused=True),
    Trouble("the connection breaks before a statement", [INSERT], (b"INSERT", "before")),
    Trouble("the connection breaks behind a statement", [INSERT], (b"INSERT", "behind")),
    Trouble("the connection breaks before COMMIT arrives", [INSERT], (b"COMMIT", "before")),
    Trouble("the connection breaks behind COMMIT", [INSERT], (b"COMMIT", "behind"), landed=True),
    Trouble("a constraint says no (23505)", ["INSERT INTO account VALUES ('taken')"]),
    Trouble("a constraint says no at COMMIT (23503)", ["INSERT INTO account VALUES ('new', 'nobody')"]),
    Trouble("serialization failure (40001)", [INSERT, raising("40001")]),
    Trouble("deadlock (40P01)", [INSERT, raising("40P01")]),
    Trouble("a statement that is none (42601)", [INSERT, "SELEKT"]),
    Trouble("a failed statement whose error was swallowed", [INSERT, "SELECT 1/0 -- swallowed"]),
)


async def attempt(way: str, trouble: Trouble, url: str) -> BaseException | None:
    """What one attempt raises. Whether the row landed must fit the trouble, else the trouble was not what it says."""
    dsn = conninfo(url)
    with psycopg.connect(dsn, autocommit=True) as eye:
        eye.execute(SCHEMA)
        with contextlib.ExitStack() as stack:
            if trouble.cut is not None:
                dsn = stack.enter_context(CutWire(dsn, *trouble.cut)).conninfo
            if trouble.refused:
                taken = stack.enter_context(socket.socket())
                taken.bind(("127.0.0.1", 0))
                dsn = f"host=127.0.0.1 port={taken.getsockname()[1]}"
            caught: BaseException | None = None
            try:
                running = WAYS[way](dsn, trouble.statements)
                if running is not None:
                    await running
            except Exception as error:  # noqa: BLE001 - what it raises is what is looked at
                caught = error
        landed = eye.execute("SELECT 1 FROM account WHERE name = 'new'").fetchone() is not None
        assert landed == trouble.landed, (way, trouble.name)
    return caught


def claim(caught: BaseException | None) -> str:
    """N, F, U or S, by the exception itself or by the classifier."""
    if caught is None:
        return "S"
    found = caught if isinstance(caught, Refused | NotExecuted | Unknown) else sql.classify(caught)
    return "N" if isinstance(found, NotExecuted) else "F" if isinstance(found, Refused) else "U"


async def database_table(url: str) -> str:
    """A line for each trouble, a column for each way to talk to Postgres."""
    lines = []
    for trouble in TROUBLES:
        claims = [claim(await attempt(way, trouble, url)) for way in WAYS]
        assert not trouble.landed or not set(claims) & {"N", "F"}, trouble.name
        assert trouble.landed or "S" not in claims, trouble.name
        lines.append([trouble.name, *claims])
    return table(["trouble", *WAYS], lines)
