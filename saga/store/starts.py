"""Starting a saga in the caller's transaction, through the caller's own object.

Rules that hold here: only the INSERT (and, for a key that is taken, one SELECT) runs, on the caller's thread;
a taken key is found without an error, so that the caller's transaction stays usable; autocommit and databases
other than Postgres are refused, because row and order would not appear together.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeGuard
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from saga.core.model import UNBEGUN
from saga.errors import SagaError
from saga.store.connections import Connection as OwnConnection
from saga.store.sql import Statement
from saga.store.wakeups import channel

START = Statement(
    "start",
    "Inserts one saga; waits while another transaction starts the same key. Zero rows: the key is taken.",
    "INSERT INTO {s}.saga (id, name, version, key, status, input, input_hash, deadline_at)"
    " VALUES (CAST(%(id)s AS uuid), %(name)s, CAST(%(version)s AS int), %(key)s, 'ready',"
    " CAST(%(input)s AS json), %(input_hash)s,"
    " now() + make_interval(secs => CAST(%(deadline)s AS float8)))"
    " ON CONFLICT (name, key) DO NOTHING RETURNING CAST(id AS text), pg_notify(%(channel)s, '')",
)
_BEGIN = (
    "(SELECT greatest(now(), coalesce(to_timestamp(CAST(%(at)s AS float8)),"
    " now() + make_interval(secs => CAST(%(after)s AS float8)))) AS at)"
)
START_WITH = Statement(
    "start_with",
    "Inserts one saga that sleeps until it begins, and its tags; else as `start`, which stays as small as it is. Its deadline counts from"
    " its begin. Zero rows: the key is taken.",
    f"WITH w AS {_BEGIN}, made AS (INSERT INTO {{s}}.saga (id, name, version, key, status, input, input_hash, deadline_at,"
    " wake_at, waiting_for)"
    " SELECT CAST(%(id)s AS uuid), CAST(%(name)s AS text), CAST(%(version)s AS int), CAST(%(key)s AS text),"
    " CASE WHEN w.at > now() THEN 'asleep' ELSE 'ready' END, CAST(%(input)s AS json), CAST(%(input_hash)s AS text),"
    " w.at + make_interval(secs => CAST(%(deadline)s AS float8)), w.at,"
    f" CASE WHEN w.at > now() THEN '{UNBEGUN}' END FROM w"
    " ON CONFLICT (name, key) DO NOTHING RETURNING id, status),"
    " tagged AS (INSERT INTO {s}.tag (saga_id, name, value)"
    " SELECT made.id, t.key, t.value FROM made, json_each_text(CAST(%(tags)s AS json)) t)"
    " SELECT CAST(id AS text), CASE WHEN status = 'ready' THEN pg_notify(%(channel)s, '') END FROM made",
)
TAKEN = Statement(
    "taken",
    "Locks the saga's key, which nothing in the engine waits for: a transaction that only reads would be acknowledged"
    " although the one whose row it found still waits for a synchronous replica, and is lost with the primary."
    " Zero rows: whoever had the key has rolled back since; start again.",
    "SELECT CAST(id AS text), input_hash FROM {s}.saga WHERE name = %(name)s AND key = %(key)s FOR KEY SHARE",
)


@dataclass(frozen=True, slots=True)
class NewSaga:
    """What is to be started. deadline: in seconds from its begin.

    after, at: when it begins, in seconds from now, or of Unix time; neither: now. tags: a JSON object of texts, as text.
    """

    id: UUID
    name: str
    version: int
    key: str
    input: str
    input_hash: str
    deadline: float | None
    after: float | None = None
    at: float | None = None
    tags: str | None = None

    @property
    def statement(self) -> Statement:
        """The one that starts it."""
        return START if self.after is None and self.at is None and self.tags is None else START_WITH

    def parameters(self, schema: str) -> dict[str, Any]:
        """For all statements; texts and numbers only, so that every driver takes them."""
        return {
            "id": str(self.id), "name": self.name, "version": self.version, "key": self.key, "input": self.input,
            "input_hash": self.input_hash, "deadline": self.deadline, "channel": channel(schema),
            "after": self.after, "at": self.at, "tags": self.tags,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Started:
    """The saga under this key: ours, or the one that was there, with the hash of its input."""

    id: UUID
    input_hash: str


Run = Callable[[Statement], "tuple[Any, ...] | None"]
RunAsync = Callable[[Statement], "Awaitable[tuple[Any, ...] | None]"]


async def start_own(connection: OwnConnection, schema: str, new: NewSaga) -> Started:
    """Start in a transaction of a connection of ours."""

    async def run(statement: Statement) -> tuple[Any, ...] | None:
        cursor = await connection.execute(statement.on(schema).encode(), used(statement, schema, new))
        return await cursor.fetchone()

    return await _start_async(run, new)


def start_sync(within: object, schema: str, new: NewSaga) -> Started | None:
    """Start through a sync object of the caller; None when `within` is not one.

    Raises:
        SagaError: autocommit, or not Postgres.
    """
    if _is_of("sqlalchemy", within):
        from saga.store import through_sqlalchemy  # noqa: PLC0415 - a worker never needs SQLAlchemy's ORM

        return through_sqlalchemy.start_sync(within, schema, new)
    if _is_of("django", within):
        from saga.store import through_django  # noqa: PLC0415 - it builds on this module

        return through_django.start_sync(within, schema, new)
    return _in_psycopg(within, schema, new) if _is_psycopg(within) else None


async def start_async(within: object, schema: str, new: NewSaga) -> Started:
    """Start through any object of the caller.

    Raises:
        SagaError: autocommit, or not Postgres.
        TypeError: not an object that SQLAlchemy, Django or psycopg made; the sentence lists those.
    """
    if _is_of("sqlalchemy", within):
        from saga.store import through_sqlalchemy  # noqa: PLC0415 - a worker never needs SQLAlchemy's ORM

        started = await through_sqlalchemy.start_async(within, schema, new)
    elif _is_async_psycopg(within):
        started = await _in_async_psycopg(within, schema, new)
    else:
        started = start_sync(within, schema, new)
    if started is None:
        raise TypeError(
            f"within={type(within).__name__} is no transaction: give a SQLAlchemy Session, AsyncSession, "
            "Connection or AsyncConnection, Django's connection, or a psycopg connection"
        )
    return started


def is_async(within: object) -> bool:
    """Whether `within` must be awaited."""
    if _is_of("sqlalchemy", within):
        from saga.store import through_sqlalchemy  # noqa: PLC0415 - a worker never needs SQLAlchemy's ORM

        return through_sqlalchemy.is_async(within)
    return _is_async_psycopg(within)


def _is_of(package: str, within: object) -> bool:
    """Whether a class of this package made it; nothing is imported to find out."""
    return any(base.__module__.partition(".")[0] == package for base in type(within).__mro__)


def _is_psycopg(within: object) -> TypeGuard[psycopg.Connection[Any]]:
    return isinstance(within, psycopg.Connection)


def _is_async_psycopg(within: object) -> TypeGuard[psycopg.AsyncConnection[Any]]:
    return isinstance(within, psycopg.AsyncConnection)


def _in_psycopg(within: psycopg.Connection[Any], schema: str, new: NewSaga) -> Started:
    refuse_autocommit(autocommit=_outside_transaction(within))

    def run(statement: Statement) -> tuple[Any, ...] | None:
        # A cursor of our own: the caller's connection may give dicts, or take no named parameters.
        with psycopg.Cursor(within, row_factory=tuple_row) as cursor:
            cursor.execute(statement.on(schema).encode(), used(statement, schema, new))
            return cursor.fetchone()

    return start(run, new)


async def _in_async_psycopg(within: psycopg.AsyncConnection[Any], schema: str, new: NewSaga) -> Started:
    refuse_autocommit(autocommit=_outside_transaction(within))

    async def run(statement: Statement) -> tuple[Any, ...] | None:
        async with psycopg.AsyncCursor(within, row_factory=tuple_row) as cursor:
            await cursor.execute(statement.on(schema).encode(), used(statement, schema, new))
            return await cursor.fetchone()

    return await _start_async(run, new)


async def _start_async(run: RunAsync, new: NewSaga) -> Started:
    row = await run(new.statement)
    while row is None:
        taken = await run(TAKEN)
        if taken is not None:
            return Started(UUID(taken[0]), taken[1])
        row = await run(new.statement)
    return Started(new.id, new.input_hash)


def start(run: Run, new: NewSaga) -> Started:
    """Insert, or find who has the key, by whatever runs a statement."""
    row = run(new.statement)
    while row is None:
        taken = run(TAKEN)
        if taken is not None:
            return Started(UUID(str(taken[0])), taken[1])
        row = run(new.statement)
    return Started(new.id, new.input_hash)


def used(statement: Statement, schema: str, new: NewSaga) -> dict[str, Any]:
    """The parameters that the statement names."""
    names = set(re.findall(r"%\((\w+)\)s", statement.text))
    return {name: value for name, value in new.parameters(schema).items() if name in names}


def _outside_transaction(connection: psycopg.Connection[Any] | psycopg.AsyncConnection[Any]) -> bool:
    return connection.autocommit and connection.info.transaction_status == TransactionStatus.IDLE


def refuse_autocommit(*, autocommit: bool) -> None:
    """Refuse what would start the saga although the caller's own writes may fail.

    Raises:
        SagaError: with the sentence.
    """
    if autocommit:
        raise SagaError(
            "within= is in autocommit: the saga would start although your own writes may fail; "
            "open a transaction and give that"
        )
