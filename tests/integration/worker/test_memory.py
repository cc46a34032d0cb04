"""Memory holds what moves and nothing else; who waits leaves it, who is due comes back, who stops gives back."""

from __future__ import annotations

import asyncio
import random

import psycopg
import pytest

from saga import Engine, Pending, Retry, saga
from saga.dev.embedded import Server
from saga_worker import Worker
from tests.support import rows
from tests.support.fakes import Gate, Ledger, away, lose_reply, make_step
from tests.support.working import working

ledger = Ledger()
reserve = make_step(ledger, "reserve", retry=Retry(attempts=3, first="1ms", most="2ms"))
charge = make_step(ledger, "charge")


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("checkout")
async def checkout(order: str) -> str:
    await reserve(order)
    return await charge(order)


@saga("other")
async def other(order: str) -> str:
    return await reserve(order)


async def asleep(url: str) -> None:
    """A saga that waits long for its next probe."""
    ledger.plan("charge", lose_reply)
    ledger.answer("charge", Pending(retry_after=3600))


async def test_a_saga_that_waits_long_leaves_memory_and_comes_back(database_url: str) -> None:
    """Asleep with a time and no owner, gone from the worker; the mover readies it when it is due, and it completes."""
    await asleep(database_url)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        row = await rows.until(w.url, "k", "status = 'asleep'")
        assert (row["owner"], row["lane"], row["waiting_for"]) == (None, None, "charge#1")
        await w.worker.memory.emptied.wait()
        assert (await handle.view()).status == "processing"
        await rows.change(w.url, "UPDATE saga.saga SET wake_at = now()")
        # the next question is still due in an hour: it comes back, sees that, and sleeps again
        again = await rows.until(w.url, "k", "status = 'asleep' AND epoch = 2")
        assert again["wake_at"] > row["updated_at"]
        await rows.change(
            w.url, "UPDATE saga.saga SET cancel_requested = true, wake_at = now(), inbox = inbox + 1"
        )
        ledger.answer("charge", Pending(retry_after=0.01))
        assert (await rows.until(w.url, "k", "epoch = 3"))["direction"] == "forward"


async def test_a_sleeper_that_is_due_is_moved_by_any_worker(database_url: str) -> None:
    """No poll sees it before, and none of its own worker is needed."""
    await asleep(database_url)
    async with working(database_url, checkout) as w:
        await w.engine.start(checkout, "a", key="k")
        await rows.until(w.url, "k", "status = 'asleep'")
    await rows.change(database_url, "UPDATE saga.saga SET wake_at = now() + interval '0.3 s'")
    async with working(database_url, other) as w:  # it serves another saga, and moves this one all the same
        row = await rows.until(w.url, "k", "status = 'ready'")
    assert row["epoch"] == 1


async def test_a_wake_up_in_the_moment_of_falling_asleep_is_not_lost(database_url: str) -> None:
    """The inbox moved while the saga went to rest: it does not sleep an hour, it looks again, in the same claim."""
    gate = Gate(lose_reply)
    ledger.plan("charge", gate)
    ledger.answer("charge", Pending(retry_after=3600))
    async with working(database_url, checkout) as w:
        await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await rows.wake(w.url, "k")  # whatever it is: a signal, a statement, late evidence
        gate.open.set()
        row = await rows.until(w.url, "k", "status = 'asleep'")
    assert (row["epoch"], row["inbox"]) == (1, 1)


async def test_a_worker_claims_only_what_it_serves(database_url: str) -> None:
    """Other names and other versions stay ready for whoever has them."""

    @saga("checkout", version=2)
    async def newer(order: str) -> str:
        return await reserve(order)

    async with Engine(database_url, sagas=[checkout, newer, other]) as engine:
        await engine.start(newer, "a", key="new")
        await engine.start(other, "a", key="other")
        await engine.start(checkout, "a", key="old")
    async with working(database_url, checkout) as w:
        assert await w.engine.handle(checkout, key="old").result("10s") == "a done"
    left = {key: rows.saga_of(database_url, key) for key in ("new", "other")}
    assert [(row["status"], row["epoch"]) for row in left.values()] == [("ready", 0)] * 2


async def test_a_claim_of_a_saga_that_is_still_in_memory_is_not_dropped(database_url: str) -> None:
    """Taken away and claimed again by the same worker while its call is out: the new claim runs, the call is evidence."""
    gate = Gate()
    ledger.plan("charge", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await rows.change(w.url, "UPDATE saga.saga SET status = 'ready', owner = NULL, lane = NULL")
        await rows.until(w.url, "k", "epoch = 2")
        gate.open.set()
        assert await handle.result("20s") == "a done"
    assert set(ledger.landed.values()) == {1}


async def test_an_open_transaction_starts_its_saga_with_its_commit(database_url: str) -> None:
    """The worker is told by the commit itself, and does not wait for its next poll."""
    async with working(database_url, other) as w:
        async with await psycopg.AsyncConnection.connect(w.url) as connection:
            handle = await w.engine.start(other, "a", key="k", within=connection)
            await connection.execute("SELECT 1")
            assert ledger.calls == []
            await connection.commit()
        assert await handle.result("10s") == "a done"


async def test_a_lost_notification_delays_and_loses_nothing(database_url: str) -> None:
    """Rows that nobody announced, and a listener that was cut: polling finds them."""
    async with working(database_url, other) as w:
        await rows_until_listening(w.url)
        await rows.change(
            w.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN%%' AND datname = current_database()",
        )
        await w.engine.start(other, "a", key="seen")
        await rows.change(
            w.url,
            "INSERT INTO saga.saga (id, name, version, key, status, input, input_hash)"
            " SELECT gen_random_uuid(), name, version, 'silent', 'ready', input, input_hash FROM saga.saga",
        )
        assert await w.engine.handle(other, key="silent").result("10s") == "a done"


async def rows_until_listening(url: str) -> None:
    """The worker's listener is there."""
    from saga.dev.processes import wait_until

    query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN%%' AND datname = current_database()"
    await asyncio.to_thread(wait_until, lambda: bool(rows.select(url, query)), 10, "a listener")


async def test_a_stop_at_any_moment_gives_everything_back(database_url: str) -> None:
    """Fourteen workers, each stopped at another moment: no row keeps an owner, nothing is done twice, all ends."""
    chance = random.Random(5)
    async with Engine(database_url, sagas=[checkout]) as engine:
        for n in range(70):
            await engine.start(checkout, f"o{n}", key=f"k{n}")
    for _ in range(14):
        async with working(
            database_url, checkout, concurrency=chance.choice([3, 20, 200]), drain_within="10ms"
        ):
            for _ in range(chance.randrange(400)):
                await asyncio.sleep(0)
        owned = rows.select(database_url, "SELECT id FROM saga.saga WHERE owner IS NOT NULL")
        assert owned == []
        assert rows.select(database_url, "SELECT 1 FROM saga.worker") == []
    async with working(database_url, checkout) as w:
        for n in range(70):
            assert await w.engine.handle(checkout, key=f"k{n}").result("20s") == f"o{n} done"
    assert len(ledger.landed) == 140
    assert set(ledger.landed.values()) == {1}


async def test_a_record_that_cannot_be_read_parks_its_saga_and_no_other(database_url: str) -> None:
    """Evidence of a later release, say: that saga waits for a person, the one that was read with it goes on."""
    ledger.plan("charge", away, away)
    slow = make_step(ledger, "charge", retry=Retry(attempts=3, first="1h", most="1h"))

    @saga("sleeping")
    async def sleeping(order: str) -> str:
        return await slow(order)

    async with working(database_url, sleeping) as w:
        for key in ("bad", "good"):
            await w.engine.start(sleeping, key, key=key)
            await rows.until(w.url, key, "status = 'asleep'")
    await rows.change(
        database_url,
        "INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body)"
        " SELECT gen_random_uuid(), id, 'charge#1', 'forward', 1, 'probe', '{}' FROM saga.saga WHERE key = 'bad'",
    )
    await rows.change(
        database_url, "UPDATE saga.saga SET cancel_requested = true, status = 'ready', wake_at = now()"
    )
    async with working(database_url, sleeping) as w:
        row = await rows.parked(w.url, "bad")
        view = await w.engine.handle(sleeping, key="good").view(wait="10s")
    assert row["park_cause"] == "code_failed"
    assert "KeyError" in row["park_reason"]
    assert view.status == "declined"


async def test_a_worker_that_cannot_live_on_says_so(database_url: str) -> None:
    """`run()` raises what ended the worker; it does not wait for a stop that nobody sends."""
    async with Engine(database_url, sagas=[other]) as engine:
        worker = Worker(engine, lease="3s")
        running = asyncio.create_task(worker.run())
        await rows_until_listening(engine.url)
        await rows.change(engine.url, "DROP TABLE saga.worker")
        with pytest.raises(psycopg.errors.UndefinedTable):
            await asyncio.wait_for(running, 20)


async def test_a_worker_stops_although_its_database_is_away(
    durable_server: Server, durable_database_url: str
) -> None:
    """A stop is a courtesy: with the database gone the worker ends all the same, and the lease runs out by itself."""
    async with Engine(durable_database_url, sagas=[other]) as engine:
        worker = Worker(engine, lease="3s", drain_within="100ms")
        await worker.__aenter__()
        await rows_until_listening(engine.url)
        await asyncio.to_thread(durable_server.stop)
        await asyncio.wait_for(worker.__aexit__(), 25)
