"""`saga check --against-db` beside living workers: it reads in pages, holds nothing, writes nothing, and needs few rights."""

from __future__ import annotations

import psycopg
import pytest

from saga import Engine
from saga.store import unfinished
from saga_worker.checking import check
from saga_worker.rehearsal import Unfit
from tests.support import rows
from tests.support.checking import checked
from tests.support.code_changes import checkout, ledger, right, stopped_at_charge


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


async def test_sagas_come_in_pages_and_each_once(database_url: str) -> None:
    """So that a hundred thousand need no memory; what has ended is not among them."""
    async with Engine(database_url, sagas=[checkout(right)]) as engine:
        await engine.start_many(checkout(right), [(f"k{n}", "a") for n in range(7)])
        rows.execute(
            database_url,
            "UPDATE saga.saga SET status = 'abandoned', finished_at = now() WHERE key = 'k3'",
        )
        pages = [[one.saga.key for one in page] async for page in check(engine, page=3)]
    assert [len(page) for page in pages] == [3, 3]
    assert {key for page in pages for key in page} == {f"k{n}" for n in range(7) if n != 3}


async def test_a_long_past_costs_nothing(database_url: str) -> None:
    """A page is read by the partial indexes, or by the ids; never by walking through the table."""
    rows.execute(
        database_url,
        "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash, finished_at)"
        " SELECT gen_random_uuid(), 'old', 1, 'k' || n, 'completed', '1', 'h', now() FROM generate_series(1, 20000) n",
    )
    rows.execute(database_url, "ANALYZE saga.saga")
    with psycopg.connect(database_url) as connection:
        text = f"EXPLAIN {unfinished.UNFINISHED.on('saga')}".encode()
        values = {"after": "00000000-0000-0000-0000-000000000000", "page": 500}
        plan = "\n".join(row[0] for row in connection.execute(text, values))
    assert "Seq Scan on saga" not in plan, plan


async def test_a_record_that_cannot_be_read_is_its_own_sagas_trouble(database_url: str) -> None:
    """The others of its page are replayed."""
    await stopped_at_charge(database_url)
    async with Engine(database_url, sagas=[checkout(right)]) as engine:
        await engine.start(checkout(right), "a", key="other")
    rows.execute(database_url, "DELETE FROM saga.evidence")
    rows.execute(
        database_url,
        "INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body)"
        " SELECT gen_random_uuid(), id, 'charge#1', 'forward', 1, 'reply', '{\"odd\": 1}' FROM saga.saga WHERE key = 'k'",
    )
    found = {one.saga.key: one.misfit for one in await checked(database_url, checkout(right))}
    assert found["other"] is None
    assert found["k"] is not None
    assert found["k"].kind is Unfit.CODE_FAILED


async def test_postgres_itself_refuses_to_write_in_a_check(database_url: str) -> None:
    """Each page is read in a read-only transaction."""
    async with Engine(database_url, sagas=[checkout(right)]) as engine:
        connection = await engine.connect()
        async with connection:
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                async with unfinished.snapshot(connection):
                    await connection.execute("UPDATE saga.saga SET inbox = 1")


async def test_a_role_that_may_only_read_is_enough(database_url: str) -> None:
    """Whoever checks a deploy needs no more rights than whoever looks."""
    await stopped_at_charge(database_url)
    for grant in (
        "DO $$ BEGIN CREATE ROLE looking; EXCEPTION WHEN duplicate_object THEN NULL; END $$",
        "GRANT USAGE ON SCHEMA saga TO looking",
        "GRANT SELECT ON ALL TABLES IN SCHEMA saga TO looking",
    ):
        rows.execute(database_url, grant)
    there = f"{database_url}{'&' if '?' in database_url else '?'}options=--role%3Dlooking"
    async with Engine(there, sagas=[checkout(right)]) as engine:
        async with engine.connection() as connection:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute("UPDATE saga.saga SET inbox = 1")
        assert [one.misfit async for page in check(engine) for one in page] == [None]
