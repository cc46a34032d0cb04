"""One key is one saga, however many start it at once; and who starts where under which key."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from saga import Engine, KeyConflict, NotFoundError, saga
from saga.dev.processes import wait_until
from saga.store import migrate
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout, ledger, reserve
from tests.support.fakes import Gate, lose_reply


async def second_starter(engine: Engine, order: str) -> asyncio.Task[object]:
    """A start of the same key that hangs on the first one's open transaction."""
    second: asyncio.Task[object] = asyncio.create_task(engine.start(checkout, order, key="k"))
    await asyncio.to_thread(wait_until, rows.waits_for_a_lock(engine.url), 10, "the second starter waits")
    assert not second.done()
    return second


async def test_a_second_starter_waits_for_the_firsts_transaction(engine: Engine) -> None:
    """While the first caller has not decided, the second waits; after the commit it gets the same saga."""
    async with await psycopg.AsyncConnection.connect(engine.url) as first:
        handle = await engine.start(checkout, "a", key="k", within=first)
        second = await second_starter(engine, "a")
        await first.commit()
        assert getattr(await second, "id", None) == handle.id


async def test_a_second_starter_with_other_input_conflicts_after_the_commit(engine: Engine) -> None:
    """The conflict is found when the first has committed, and not guessed before."""
    async with await psycopg.AsyncConnection.connect(engine.url) as first:
        await engine.start(checkout, "a", key="k", within=first)
        second = await second_starter(engine, "b")
        await first.commit()
        with pytest.raises(KeyConflict):
            await second


async def test_a_second_starter_starts_when_the_first_rolls_back(engine: Engine) -> None:
    """A first caller that rolls back leaves the key free, and the second's saga is the one."""
    async with await psycopg.AsyncConnection.connect(engine.url) as first:
        dead = await engine.start(checkout, "a", key="k", within=first)
        second = await second_starter(engine, "b")
        await first.rollback()
        started = await second
    assert getattr(started, "id", None) != dead.id
    assert rows.saga_of(engine.url, "k")["input"] == "b"


async def test_a_serialization_failure_is_passed_on_untouched(engine: Engine) -> None:
    """Under REPEATABLE READ a key that another took meanwhile is 40001, which the caller's own retry handles."""
    async with await psycopg.AsyncConnection.connect(engine.url) as within:
        await within.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await within.execute("SELECT 1 FROM saga.saga")
        await engine.start(checkout, "a", key="k")
        with pytest.raises(psycopg.errors.SerializationFailure):
            await engine.start(checkout, "a", key="k", within=within)


async def test_forty_starters_at_once_make_one_saga(engine: Engine) -> None:
    """All of them get the same id, and there is one row."""
    handles = await asyncio.gather(*(engine.start(checkout, "a", key="k") for _ in range(40)))
    assert len({handle.id for handle in handles}) == 1
    assert len(rows.select(engine.url, "SELECT 1 FROM saga.saga")) == 1


async def test_a_key_is_unique_per_saga_and_not_over_all(database_url: str) -> None:
    """The same business key may start two different sagas."""

    @saga("refunding")
    async def refunding(order: str) -> str:
        return await reserve(order)

    async with Engine(database_url, sagas=[checkout, refunding]) as engine:
        one = await engine.start(checkout, "a", key="k")
        other = await engine.start(refunding, "a", key="k")
    assert one.id != other.id


async def test_a_saga_that_the_engine_does_not_know_is_refused(engine: Engine) -> None:
    """Starting what was not given to the engine is a sentence that names what it has, and writes nothing."""

    @saga("unknown")
    async def unknown(order: str) -> str:
        return await reserve(order)

    with pytest.raises(NotFoundError, match="checkout"):
        await engine.start(unknown, "a", key="k")
    assert rows.select(engine.url, "SELECT 1 FROM saga.saga") == []


async def test_two_engines_in_one_database_do_not_meet(database_url: str) -> None:
    """Another schema is another engine: the same key twice, and each worker runs only its own."""
    migrate.upgrade(database_url, "tenant")
    async with (
        Engine(database_url, sagas=[checkout]) as one,
        Engine(database_url, sagas=[checkout], schema="tenant") as other,
    ):
        first = await one.start(checkout, "a", key="two-engines")
        second = await other.start(checkout, "b", key="two-engines")
        async with Worker(other, lease="3s"):
            assert await second.result("10s") == "b done"
        assert (await first.view()).status == "processing"
        with pytest.raises(NotFoundError):
            await other.handle(checkout, key="nowhere").view()


def forward_key(url: str, key: str) -> str:
    return str(rows.effects_of(url, key)["reserve#1", "forward"]["key"])


async def keys_of(url: str, business_key: str, **options: Any) -> str:
    """The idempotency key that a service sees for one business key, under an engine built with `options`."""
    async with Engine(url, sagas=[checkout], **options) as engine, Worker(engine, lease="3s"):
        await (await engine.start(checkout, business_key, key=business_key)).result("10s")
    return forward_key(url, business_key)


async def test_secret_and_namespace_change_keys(empty_database_url: str, database_url: str) -> None:
    """Equal sagas have equal keys under one secret and namespace, in any database, and other keys under others."""
    migrate.upgrade(empty_database_url, "saga")
    here = await keys_of(database_url, "k", secret="s", namespace="n")
    there = await keys_of(empty_database_url, "k", secret="s", namespace="n")
    assert here == there
    rows.execute(empty_database_url, "TRUNCATE saga.saga, saga.effect")
    other_secret = await keys_of(empty_database_url, "k", secret="t", namespace="n")
    rows.execute(empty_database_url, "TRUNCATE saga.saga, saga.effect")
    other_space = await keys_of(empty_database_url, "k", secret="s", namespace="m")
    rows.execute(empty_database_url, "TRUNCATE saga.saga, saga.effect")
    assert len({here, other_secret, other_space, await keys_of(empty_database_url, "k")}) == 4


async def test_the_stored_key_wins_after_the_secret_was_rotated(database_url: str) -> None:
    """An effect that was in doubt when the secret changed is resent under its old key, and so lands once (S7)."""
    gate = Gate(lose_reply)
    ledger.plan("reserve", gate)
    async with Engine(database_url, sagas=[checkout], secret="old") as engine:
        async with Worker(engine, lease="3s", drain_within="10ms"):
            await engine.start(checkout, "rotated", key="rotated")
            await gate.reached.wait()
        before = forward_key(database_url, "rotated")
    ledger.answer("reserve", ConnectionError("the first probe fails"))
    async with Engine(database_url, sagas=[checkout], secret="new") as engine, Worker(engine, lease="3s"):
        handle = engine.handle(checkout, key="rotated")
        assert await handle.result("10s") == "rotated done"
    assert forward_key(database_url, "rotated") == before
    assert ledger.landed[before] == 1
    assert [key for _, key in ledger.calls[-2:]] == [before, before]
