"""A database that hangs, or that only reads for a while, delays a worker and does not end it."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from saga import Engine, saga
from saga.dev.processes import wait_until
from saga.errors import DatabaseUnreachable
from saga.store import revisions
from saga.store.urls import conninfo
from tests.chaos.wires import Wire
from tests.support import rows
from tests.support.fakes import Ledger, make_step
from tests.support.proxy import Fate, Proxy
from tests.support.working import working

reserve = make_step(Ledger(), "reserve")
ROLLED_BACK = "SELECT xact_rollback AS n FROM pg_stat_database WHERE datname = current_database()"


@saga("checkout")
async def checkout(order: str) -> str:
    return await reserve(order)


async def test_a_connection_that_is_half_open_is_given_up(database_url: str) -> None:
    """Neither an answer nor its end is heard of: after the time of a lease the worker opens another, and works on."""
    there = conninfo_to_dict(conninfo(database_url))
    wire = Wire("database", lambda: f"{there['host']}/.s.PGSQL.5432", seed=1)
    await wire.open()
    url = f"postgresql://postgres@127.0.0.1:{wire.port}/{there['dbname']}?sslmode=disable&gssencmode=disable"
    async with working(url, checkout, lease="1s", lanes=1) as w:
        assert await w.run(checkout, key="before") == "a done"
        wire.strand_all()
        async with Engine(database_url, sagas=[checkout]) as shop:
            assert await (await shop.start(checkout, "a", key="after")).result("20s") == "a done"
    wire.close()


async def test_a_start_on_a_silent_connection_ends_with_a_sentence(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever starts processes can then start it again; one that waited for ever would look alive."""
    monkeypatch.setattr(revisions, "ANSWER_WITHIN_S", 1.0)
    async with Proxy(conninfo(database_url)).listening() as proxy:
        wire = conninfo_to_dict(proxy.conninfo)
        url = f"postgresql://{wire['user']}@{wire['host']}:{wire['port']}/{wire['dbname']}?sslmode=disable"
        held = proxy.trap(b"alembic_version", Fate.HOLD)
        with pytest.raises(DatabaseUnreachable):
            await Engine(url, sagas=[checkout]).prepare()
        assert held.sprung.is_set()


async def test_a_server_that_only_reads_is_waited_out(database_url: str) -> None:
    """After a switch that was too early the new primary is a standby yet: chores and lanes ask again until it writes."""
    async with working(database_url, checkout, lanes=1):
        (before,) = rows.select(database_url, ROLLED_BACK)
        await _reads_only(database_url, "on")

        def refused_often() -> bool:
            return bool(rows.select(database_url, ROLLED_BACK)[0]["n"] > before["n"] + 8)

        await asyncio.to_thread(wait_until, refused_often, 20, "writes that are refused")
        await _reads_only(database_url, "off")
        async with Engine(database_url, sagas=[checkout]) as shop:
            assert await (await shop.start(checkout, "a", key="k")).result("20s") == "a done"


async def _reads_only(url: str, word: str) -> None:
    """From now on, for every session of the database; those of the engine end."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SET default_transaction_read_only = off")
        name = connection.info.dbname
        await connection.execute(
            f'ALTER DATABASE "{name}" SET default_transaction_read_only = {word}'.encode()
        )
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = 'saga'"
        )
