"""One face for two stores, a real Postgres and the model of it, so that one test can ask the same of both.

Rules: a test makes rows with `put` and looks at them with `rows`, and does everything else through the statements and
functions of production; who waits for whom is asked and never slept for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import psycopg

from saga.store import connections
from saga.store.connections import Connection
from saga.store.schema import metadata
from saga.store.sql import Statement
from saga.store.urls import conninfo
from saga.testing.store import Database, LoopTimers

SCHEMA = "saga"
NAME = "shop"
LONG_AGO, FAR_AHEAD = datetime(2001, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
TABLES = (
    "saga", "tag", "effect", "evidence", "moment", "signal", "watch", "worker", "service", "request", "audit", "last_good",
)  # fmt: skip
PATIENCE_S = 20.0
Values = dict[str, Any]


def number(kind: int, n: int) -> UUID:
    """An id that both stores are given."""
    return UUID(int=(kind << 64) | n)


def saga_id(n: int) -> UUID:
    return number(1, n)


def worker_id(n: int) -> UUID:
    return number(2, n)


class Store(Protocol):
    """What a test needs of a store."""

    name: str

    async def connect(self) -> Connection:
        """A connection as production opens it."""
        ...

    async def put(self, table: str, values: Values) -> None:
        """A row, committed."""
        ...

    async def rows(self, table: str) -> list[Values]:
        """All committed rows of a table, in the order of their primary keys."""
        ...

    async def waits(self, connections: list[Connection]) -> list[bool]:
        """Which of these wait for a lock at this moment."""
        ...

    async def empty(self) -> None:
        """Delete every row."""
        ...

    async def close(self) -> None:
        """Close what is open."""
        ...


class Model:
    """The model."""

    name = "model"

    def __init__(self) -> None:
        self.database = Database(LoopTimers())
        self._open: list[Connection] = []

    async def connect(self) -> Connection:
        made: Any = self.database.connect()
        self._open.append(made)
        return made  # type: ignore[no-any-return]

    async def put(self, table: str, values: Values) -> None:
        kept = getattr(self.database.tables, table)
        kept.check(values)
        self.database.put(kept, values)

    async def rows(self, table: str) -> list[Values]:
        found = getattr(self.database.tables, table).rows.values()
        return _sorted(table, [row.committed for row in found if row.committed is not None])

    async def waits(self, connections: list[Connection]) -> list[bool]:
        await asyncio.sleep(0)
        return [session(connection).blocked_by is not None for connection in connections]

    async def empty(self) -> None:
        self.database = Database(LoopTimers())

    async def close(self) -> None:
        for connection in self._open:
            await connection.close()


def session(connection: Any) -> Any:
    """The server's end of a connection to the model."""
    return connection.session


class Real:
    """A Postgres."""

    name = "postgres"

    def __init__(self, url: str) -> None:
        self._where = conninfo(url)
        self._open: list[Connection] = []
        self._eye: Connection | None = None

    async def connect(self) -> Connection:
        made = await connections.connect(self._where)
        self._open.append(made)
        return made

    async def eye(self) -> Connection:
        if self._eye is None:
            self._eye = await self.connect()
        return self._eye

    async def put(self, table: str, values: Values) -> None:
        names = ", ".join(values)
        places = ", ".join(f"%({name})s" for name in values)
        text = f"INSERT INTO {SCHEMA}.{table} ({names}) VALUES ({places})"
        await (await self.eye()).execute(text.encode(), values)

    async def rows(self, table: str) -> list[Values]:
        cursor = await (await self.eye()).execute(f"SELECT * FROM {SCHEMA}.{table}".encode())
        names = [column.name for column in cursor.description or ()]
        return _sorted(table, [dict(zip(names, row, strict=True)) for row in await cursor.fetchall()])

    async def waits(self, connections: list[Connection]) -> list[bool]:
        pids = [connection.info.backend_pid for connection in connections]
        query = b"SELECT cardinality(pg_blocking_pids(pid)) > 0 FROM unnest(%s::int[]) WITH ORDINALITY AS p(pid, n) ORDER BY n"
        cursor = await (await self.eye()).execute(query, (pids,))
        return [row[0] for row in await cursor.fetchall()]

    async def empty(self) -> None:
        tables = ", ".join(f"{SCHEMA}.{table}" for table in TABLES)
        await (await self.eye()).execute(f"TRUNCATE {tables}".encode())

    async def close(self) -> None:
        for connection in self._open:
            await connection.close()


def _sorted(table: str, found: list[Values]) -> list[Values]:
    key = [column.name for column in metadata().tables[f"saga.{table}"].primary_key.columns]
    return sorted(found, key=lambda row: [row[column] for column in key])


# Rows, as both stores take them.


def a_saga(n: int, **more: Any) -> Values:
    """A saga that is ready since long ago, the lower its number the longer."""
    columns = [column.name for column in metadata().tables["saga.saga"].columns]
    at = LONG_AGO + timedelta(days=n)
    made = dict.fromkeys(columns) | {
        "id": saga_id(n), "name": NAME, "version": 1, "key": f"k{n}", "status": "ready", "direction": "forward",
        "wake_at": at, "epoch": 0, "inbox": 0, "input": "1", "input_hash": "h", "cancel_requested": False,
        "revision": 0, "created_at": at, "updated_at": at,
    }  # fmt: skip
    return made | more


def running(n: int, worker: int = 0, epoch: int = 1, **more: Any) -> Values:
    """A saga that a worker's lane owns."""
    return a_saga(n, status="running", owner=worker_id(worker), lane=0, epoch=epoch, **more)


def a_worker(n: int, lane: int = 0, **more: Any) -> Values:
    """A lane that beats, with a lease of an hour."""
    now = datetime.now(UTC) + timedelta(days=3650)
    return {
        "id": worker_id(n), "lane": lane, "host": "h", "pid": 1, "serves": "[]", "state": "working",
        "lease": timedelta(hours=1), "batch": 0, "started_at": LONG_AGO, "beat": now,
    } | more  # fmt: skip


def an_effect(n: int, step: str = "charge#1", direction: str = "forward", **more: Any) -> Values:
    """A first attempt that was sent."""
    return {
        "saga_id": saga_id(n), "step": step, "direction": direction, "position": 1, "name": "charge", "service": "psp",
        "key": f"key {n} {step}", "request_hash": "hash", "arguments": "{}", "status": "sent", "attempt": 1,
        "intent_id": number(3, n), "worker": worker_id(0), "first_intent_at": LONG_AGO, "intent_at": LONG_AGO,
        "deadline_at": LONG_AGO, "key_expires_at": None, "ended_at": None, "result": None, "error": None, "proof": None,
        "by_statement": False, "completion": None, "doubt_since": None, "probes": 0,
    } | more  # fmt: skip


# What is done to both, and what is seen.


@dataclass(frozen=True)
class Seen:
    """What came of a statement: its word and its lines, or the state of its error."""

    status: str | None
    lines: tuple[Any, ...] | None = None
    sqlstate: str | None = None
    error: str | None = None


async def execute(connection: Connection, what: Statement | str, **values: Any) -> Seen:
    """Run one statement, and what came of it in a form in which two stores can be compared."""
    text = what.encode() if isinstance(what, str) else what.on(SCHEMA).encode()
    try:
        cursor = await connection.execute(text, values or None)
    except psycopg.Error as error:
        return Seen(None, None, error.sqlstate, type(error).__name__)
    except UnicodeError as error:
        return Seen(None, None, None, type(error).__name__)
    return await outcome(cursor)


async def outcome(cursor: Any) -> Seen:
    """What a cursor shows."""
    try:
        lines = await cursor.fetchall()
    except psycopg.ProgrammingError:
        return Seen(cursor.statusmessage)
    return Seen(cursor.statusmessage, tuple(sorted((tuple(plain(line)) for line in lines), key=repr)))


def plain(line: tuple[Any, ...]) -> tuple[Any, ...]:
    """Times say only that they are there; long ago and far ahead are told from now."""
    return tuple(_plain(value) for value in line)


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat() if value.year < 2020 or value.year > 2100 else "a time"
        case timedelta():
            return "a span"
        case UUID():
            return str(value)
        case _:
            return value


Picture = Mapping[str, list[Values]]


async def picture(store: Store) -> Picture:
    """All rows of all tables; each time as its place among all times that there are."""
    found = {table: await store.rows(table) for table in TABLES}
    times = {v for rows in found.values() for row in rows for v in row.values() if isinstance(v, datetime)}
    places = {at: place for place, at in enumerate(sorted(times))}
    return {
        table: [
            {k: places[v] if isinstance(v, datetime) else v for k, v in sorted(row.items())} for row in rows
        ]
        for table, rows in found.items()
    }


async def until_it_waits(store: Store, connection: Connection) -> None:
    """Until its statement waits for a lock."""
    async with asyncio.timeout(PATIENCE_S):
        while not (await store.waits([connection]))[0]:
            pass
