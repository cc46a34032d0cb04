"""A Postgres of one's own, fresh databases in it, and what they have counted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import psycopg

from saga.dev import embedded
from saga.dev.embedded import Server
from saga.store import migrate, urls

SETTINGS = {
    "shared_buffers": "1GB",
    "synchronous_commit": "on",
    "fsync": "on",
    "max_connections": "200",
    "max_wal_size": "8GB",
}
"""Durable, and with room: the settings under which every contender runs."""
COUNTERS_S = 1.5
"""So long do backends keep what they counted to themselves."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Since the database was made: transactions, and bytes of WAL of the whole server."""

    transactions: int
    wal_bytes: int

    def since(self, before: Counted) -> Counted:
        """What came in between."""
        return Counted(self.transactions - before.transactions, self.wal_bytes - before.wal_bytes)


@contextlib.contextmanager
def server() -> Generator[Server]:
    """One server for the whole run."""
    with embedded.temporary(settings=SETTINGS) as started:
        yield started


def fresh(url: str, name: str, *, migrated: bool) -> str:
    """A new database; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        connection.execute(f"CREATE DATABASE {name}".encode())
        connection.execute("CHECKPOINT")
    made = urls.parse(url).set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    if migrated:
        migrate.upgrade(made)
    return made


def counted(url: str) -> Counted:
    """What the database and its server have counted, once every backend has told."""
    time.sleep(COUNTERS_S)
    ((transactions, wal_bytes),) = rows(
        url,
        "SELECT d.xact_commit, w.wal_bytes::bigint FROM pg_stat_database d, pg_stat_wal w WHERE d.datname = current_database()",
    )
    return Counted(int(transactions), int(wal_bytes))


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask once."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query.encode()).fetchall()


def version(url: str) -> str:
    """Of the server."""
    return str(rows(url, "SHOW server_version")[0][0])
