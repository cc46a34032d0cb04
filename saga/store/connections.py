"""psycopg connections as the store wants them.

Rules that hold here: `json` comes back as the text that was stored, because decoding is the business of the step's
types and because a decoded and encoded dict may not be the same text; what a transaction wrote is only taken for
written when COMMIT answered COMMIT (S6); a connection is used again only when no transaction is open on it. Whoever is
cancelled in the middle of BEGIN leaves one open, and everything after it would be taken for written and be lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus
from psycopg.types.string import TextLoader

from saga.ports import ports
from saga.store.columns import Column, ColumnDumper

Connection = AsyncConnection[tuple[Any, ...]]


async def connect(conninfo: str) -> Connection:
    """An autocommit connection.

    Raises:
        psycopg.OperationalError: nothing answers.
    """
    simulated = ports().connect
    if simulated is not None:
        found: Connection = await simulated(conninfo)
        return found
    connection = await AsyncConnection.connect(conninfo, autocommit=True, application_name="saga")
    connection.adapters.register_loader("json", TextLoader)
    connection.adapters.register_dumper(Column, ColumnDumper)
    return connection


class CommitNotVerified(psycopg.OperationalError):
    """COMMIT did not answer COMMIT: the transaction was rolled back without an error (S6). Do it again."""


@contextlib.asynccontextmanager
async def verified(connection: Connection) -> AsyncGenerator[None]:
    """One transaction, whose COMMIT is verified by its own answer. In a transaction of the caller's it is a savepoint of that.

    Raises:
        CommitNotVerified: nothing is written.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        async with connection.transaction():
            yield
        return
    try:
        await connection.execute("BEGIN")
        yield
        commit = await connection.execute("COMMIT")
    except GeneratorExit:  # the collector's: nobody can wait here
        raise
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            await connection.execute("ROLLBACK")
        if not reusable(connection):
            await connection.close()
        raise
    if commit.statusmessage != "COMMIT":
        raise CommitNotVerified(f"COMMIT answered {commit.statusmessage}")


def reusable(connection: Connection) -> bool:
    """Whether the next piece of work may use it: it is open, and no transaction is."""
    gone = connection.closed or connection.broken
    return not gone and connection.info.transaction_status == TransactionStatus.IDLE
