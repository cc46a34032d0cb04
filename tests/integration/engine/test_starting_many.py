"""Many starts in one transaction: all of them or none, each key one saga."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from saga import Engine, InputError, KeyConflict
from saga.dev.processes import wait_until
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout


def keys(url: str) -> list[str]:
    return [row["key"] for row in rows.select(url, "SELECT key FROM saga.saga ORDER BY key")]


async def test_handles_come_in_the_order_of_the_inputs_and_work(engine: Engine) -> None:
    """A key that is there already, and a pair that comes twice, give the same saga."""
    before = await engine.start(checkout, "a", key="k1")
    handles = await engine.start_many(checkout, [("k3", "c"), ("k1", "a"), ("k2", "b"), ("k3", "c")])
    assert [handle.key for handle in handles] == ["k3", "k1", "k2", "k3"]
    assert handles[1].id == before.id
    assert handles[0].id == handles[3].id
    async with Worker(engine):
        found = [await handle.result("20s") for handle in handles]
    assert len(set(found)) == 3
    assert await engine.start_many(checkout, []) == []


@pytest.mark.parametrize("other", ["before", "in the same list"])
async def test_a_key_with_another_input_writes_nothing(engine: Engine, other: str) -> None:
    """All or none: the sentence names the key."""
    first = [("k2", "b")] if other == "in the same list" else []
    if other == "before":
        await engine.start(checkout, "b", key="k2")
    there = keys(engine.url)
    with pytest.raises(KeyConflict, match="'k2'"):
        await engine.start_many(checkout, [("k1", "a"), *first, ("k2", "other")])
    assert keys(engine.url) == there
    assert await engine.start_many(checkout, [("k1", "a")])


async def test_a_wrong_input_writes_nothing(engine: Engine) -> None:
    """It is refused before the database is asked."""
    with pytest.raises(InputError):
        await engine.start_many(checkout, [("k1", "a"), ("k2", 7)])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]
    assert keys(engine.url) == []


async def test_a_key_whose_first_starter_rolls_back_is_started(engine: Engine) -> None:
    """It waits for the other transaction and then starts what that has left free."""
    async with await psycopg.AsyncConnection.connect(engine.url) as first:
        dead = await engine.start(checkout, "x", key="k2", within=first)
        second = asyncio.create_task(engine.start_many(checkout, [("k1", "a"), ("k2", "b"), ("k3", "c")]))
        await asyncio.to_thread(wait_until, rows.waits_for_a_lock(engine.url), 10, "the second starter waits")
        await first.rollback()
        handles = await second
    assert dead.id not in {handle.id for handle in handles}
    assert keys(engine.url) == ["k1", "k2", "k3"]


async def test_starters_of_the_same_keys_do_not_deadlock(engine: Engine) -> None:
    """In whatever order each names them; every key is one saga."""
    pairs = [(f"k{number:03d}", "a") for number in range(200)]
    asked = await asyncio.gather(
        *(engine.start_many(checkout, order) for order in (pairs, pairs[::-1], pairs[100:] + pairs[:100]))
    )
    assert len({handle.id for handles in asked for handle in handles}) == len(pairs)


def test_the_blocking_face_starts_them_too(database_url: str) -> None:
    """The same, waiting."""
    engine = Engine(database_url, sagas=[checkout])
    try:
        handles = engine.blocking.start_many(checkout, [("k1", "a"), ("k2", "b")])
        assert [str(handle.view().status) for handle in handles] == ["processing", "processing"]
    finally:
        engine.blocking.close()
