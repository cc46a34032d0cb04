"""Sagas by the million, as a database holds them: real rows of one saga that has run, copied under new ids and keys."""

from __future__ import annotations

import asyncio

import psycopg

from benchmarks import server
from benchmarks.crew import crew
from benchmarks.shop import INPUT, SAGAS
from saga import Engine
from saga.core.model import SagaStatus

PATTERN = "the-pattern"
COLUMNS = (
    "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
    " WHERE table_schema = 'saga' AND table_name = '{table}' AND column_name NOT IN ({apart})"
)
IDS = "CREATE TEMP TABLE made AS SELECT uuidv7() AS id, n FROM generate_series({first}, {last}) AS n"
OF_SAGAS = (
    "INSERT INTO saga.saga (id, key, {columns}) SELECT m.id, '{prefix}' || m.n, {columns} FROM saga.saga, made m"
    " WHERE saga.key = '{pattern}'"
)
OF_EFFECTS = (
    "INSERT INTO saga.effect (saga_id, key, {columns}) SELECT m.id, e.key || m.n, {columns} FROM made m,"
    " (SELECT * FROM saga.effect WHERE saga_id = (SELECT id FROM saga.saga WHERE key = '{pattern}')) e"
)
ASLEEP = (
    "INSERT INTO saga.saga (id, key, status, wake_at, epoch, name, version, input, input_hash, waiting_for)"
    " SELECT m.id, 'asleep-' || m.n, '{status}', now() + interval '30 days', 1, name, version, input, input_hash, 'a retry'"
    " FROM saga.saga, made m WHERE saga.key = '{pattern}'"
)
AT_ONCE = 50_000


async def _run_one(url: str) -> None:
    async with Engine(url, sagas=[SAGAS[3]]) as engine:
        handle = await engine.start(SAGAS[3], INPUT, key=PATTERN)
        await handle.result("60s")


def _pattern(connection: psycopg.Connection, url: str) -> None:
    found = connection.execute("SELECT 1 FROM saga.saga WHERE key = %s", (PATTERN,)).fetchone()
    if found is None:
        with crew(url):
            asyncio.run(_run_one(url))


def finished(url: str, sagas: int, *, first: int = 1) -> None:
    """So many more that have completed, with their effects."""
    with psycopg.connect(url, autocommit=True) as connection:
        _pattern(connection, url)
        of_saga, of_effect = (
            server.rows(url, COLUMNS.format(table=table, apart=apart))[0][0]
            for table, apart in (("saga", "'id', 'key'"), ("effect", "'saga_id', 'key'"))
        )
        for begin in range(first, first + sagas, AT_ONCE):
            _copy(
                connection,
                (begin, min(begin + AT_ONCE, first + sagas) - 1),
                OF_SAGAS.format(columns=of_saga, prefix="finished-", pattern=PATTERN),
                OF_EFFECTS.format(columns=of_effect, pattern=PATTERN),
            )
        connection.execute("VACUUM (ANALYZE) saga.saga, saga.effect")
        connection.execute("CHECKPOINT")


def asleep(url: str, sagas: int, *, first: int = 1) -> None:
    """So many more that sleep for a month."""
    with psycopg.connect(url, autocommit=True) as connection:
        _pattern(connection, url)
        _copy(
            connection, (first, first + sagas - 1), ASLEEP.format(status=SagaStatus.ASLEEP, pattern=PATTERN)
        )
        connection.execute("VACUUM (ANALYZE) saga.saga, saga.effect")


def _copy(connection: psycopg.Connection, numbers: tuple[int, int], *statements: str) -> None:
    connection.execute(IDS.format(first=numbers[0], last=numbers[1]).encode())
    for statement in statements:
        connection.execute(statement.encode())
    connection.execute("DROP TABLE made")
