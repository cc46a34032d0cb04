"""A transaction in a service's own Postgres: what it refuses to guess about, beyond the table of the docs."""

import asyncio
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from saga import NotExecuted, Refused, Unknown, sql
from saga.store.urls import conninfo


@pytest.fixture
def dsn(database_url: str) -> str:
    """A database with a table of a service."""
    with psycopg.connect(conninfo(database_url), autocommit=True) as eye:
        eye.execute("CREATE TABLE account (name text PRIMARY KEY)")
    return conninfo(database_url)


def rows(dsn: str) -> int:
    with psycopg.connect(dsn) as eye:
        found = eye.execute("SELECT count(*) FROM account").fetchone()
        assert found is not None
        return int(found[0])


def engine_of(dsn: str) -> Any:
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(dsn))


def test_autocommit_and_an_open_transaction_are_refused(dsn: str) -> None:
    """What they had done already could not be told."""
    loose = psycopg.connect(dsn, autocommit=True)
    with loose, pytest.raises(ValueError, match="autocommit"), sql.transaction(loose):
        pass
    with psycopg.connect(dsn) as busy:
        busy.execute("SELECT 1")
        with pytest.raises(ValueError, match="open already"), sql.transaction(busy):
            pass
    with engine_of(dsn).connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(ValueError, match="open already"), sql.transaction(connection):
            pass


@pytest.mark.parametrize("error", [Refused("sold_out"), ValueError("a bug"), Unknown("of another service")])
def test_an_exception_of_the_step_rolls_back_and_stays_what_it_is(dsn: str, error: Exception) -> None:
    """The transaction is undone; what else the step did is for the step to say."""

    def work(connection: psycopg.Connection[Any]) -> None:
        with sql.transaction(connection):
            connection.execute("INSERT INTO account VALUES ('a')")
            raise error

    with psycopg.connect(dsn) as connection, pytest.raises(type(error)) as caught:
        work(connection)
    assert caught.value is error
    assert rows(dsn) == 0


def test_an_error_of_another_connection_proves_nothing_about_this_one(dsn: str) -> None:
    """It may have been lost behind its own COMMIT."""
    with (
        psycopg.connect(dsn) as connection,
        pytest.raises(psycopg.OperationalError) as caught,
        sql.transaction(connection),
    ):
        raise psycopg.OperationalError("the other connection is lost")
    assert sql.classify(caught.value) is None


async def test_sqlalchemys_connections_serve_as_well(dsn: str) -> None:
    """The table of the docs has their sessions."""
    with engine_of(dsn).connect() as connection, sql.transaction(connection):
        connection.execute(text("INSERT INTO account VALUES ('a')"))

    async def connect() -> Any:
        return await psycopg.AsyncConnection.connect(dsn)

    engine = create_async_engine("postgresql+psycopg://", async_creator=connect)
    async with engine.connect() as connection:
        with pytest.raises(Refused) as caught:
            async with sql.transaction(connection):
                await connection.execute(text("INSERT INTO account VALUES ('a')"))
        assert caught.value.rule == "sqlstate 23505"
    await engine.dispose()
    assert rows(dsn) == 1


def test_a_server_that_takes_nobody_executed_nothing(dsn: str) -> None:
    """A role without connections left (53300), and a database that is closed to all (08004 and its kin)."""
    with psycopg.connect(dsn, autocommit=True) as eye:
        eye.execute("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
        try:
            with pytest.raises(psycopg.OperationalError) as caught:
                psycopg.connect(dsn, user="crowd")
        finally:
            eye.execute("DROP ROLE crowd")
    found = sql.classify(caught.value)
    assert isinstance(found, NotExecuted)


async def test_a_commit_that_no_replica_confirmed_is_unknown(dsn: str) -> None:
    """A cancelled wait returns success with a mere WARNING, and a failover would lose the transaction (S6)."""

    async def work() -> None:
        async with await psycopg.AsyncConnection.connect(dsn) as connection, sql.transaction(connection):
            await connection.execute("INSERT INTO account VALUES ('a')")

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as eye:
        await eye.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await eye.execute("SELECT pg_reload_conf()")
        try:
            task = asyncio.create_task(work())
            cancelled = False
            while not cancelled and not task.done():
                found = await eye.execute(
                    "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                )
                cancelled = await found.fetchone() is not None
            with pytest.raises(Unknown, match="no replica confirmed it"):
                await task
        finally:
            await eye.execute("ALTER SYSTEM RESET synchronous_standby_names")
            await eye.execute("SELECT pg_reload_conf()")
    assert rows(dsn) == 1
