"""What lies in the tables, and waiting until it does: on connections of their own, beside the code that is tested."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from saga.dev.processes import wait_until

Row = dict[str, Any]


def select(url: str, query: str, *values: Any) -> list[Row]:
    """The rows of a query."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        return connection.execute(query.encode(), values).fetchall()


def execute(url: str, statement: str, *values: Any) -> int:
    """Change something behind the engine's back; how many rows it was."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(statement.encode(), values).rowcount


async def change(url: str, statement: str, *values: Any) -> int:
    """The same in a thread: where a worker runs in this loop, a row that it has locked must not stop the loop."""
    return await asyncio.to_thread(execute, url, statement, *values)


def saga_of(url: str, key: str) -> Row:
    """The saga's row."""
    (row,) = select(url, "SELECT * FROM saga.saga WHERE key = %s", key)
    return row


def effects_of(url: str, key: str) -> dict[tuple[str, str], Row]:
    """The saga's effects by step and direction."""
    query = "SELECT e.* FROM saga.effect e JOIN saga.saga s ON s.id = e.saga_id WHERE s.key = %s ORDER BY position"
    return {(row["step"], row["direction"]): row for row in select(url, query, key)}


def evidence_of(url: str, key: str) -> list[Row]:
    """The saga's evidence in its order."""
    query = "SELECT v.* FROM saga.evidence v JOIN saga.saga s ON s.id = v.saga_id WHERE s.key = %s ORDER BY at, v.id"
    return select(url, query, key)


async def until(url: str, key: str, condition: str, seconds: float = 15) -> Row:
    """The saga's row as soon as an SQL condition on it holds."""
    found: list[Row] = []
    query = f"SELECT * FROM saga.saga WHERE key = %s AND ({condition})"

    def watch() -> None:
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:

            def look() -> bool:
                found[:] = connection.execute(query.encode(), [key]).fetchall()
                return bool(found)

            wait_until(look, seconds, f"saga {key}: {condition}")

    await asyncio.to_thread(watch)
    return found[0]


async def parked(url: str, key: str) -> Row:
    """The saga's row as soon as it is parked."""
    return await until(url, key, "status = 'parked'")


async def wake(url: str, key: str) -> None:
    """What every wake-up does to the saga's row: an operator's retry, late evidence."""
    await change(
        url,
        "UPDATE saga.saga SET inbox = inbox + 1, wake_at = least(wake_at, now()), park_cause = NULL,"
        " park_reason = NULL, park_detail = NULL,"
        " status = CASE WHEN status IN ('asleep', 'parked') THEN 'ready' ELSE status END WHERE key = %s",
        key,
    )


async def ask_to_cancel(url: str, key: str) -> None:
    """The durable request that a cancel is."""
    await change(
        url,
        "UPDATE saga.saga SET cancel_requested = true, inbox = inbox + 1, wake_at = least(wake_at, now()),"
        " park_cause = NULL, park_reason = NULL, park_detail = NULL,"
        " status = CASE WHEN status IN ('asleep', 'parked') THEN 'ready' ELSE status END WHERE key = %s",
        key,
    )


def waits_for_a_lock(url: str) -> Callable[[], bool]:
    """Whether an INSERT waits for another's transaction."""
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        " AND datname = current_database()"
    )
    return lambda: bool(select(url, query, "%INSERT INTO%"))
