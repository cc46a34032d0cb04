"""What a saga costs the database: transactions, bytes of WAL, statements. Counted and not timed, so a regression fails."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from benchmarks.shop import INPUT, SAGAS
from saga import Call, Engine, NotExecuted, Retry, Service, saga, step
from saga.store.changes import Unit
from saga.store.journal import Journal
from saga_worker import Worker
from tests.support import rows

COUNT, CONCURRENCY = 2_000, 400
AT_ONCE = timedelta(microseconds=1)
WAL_LIMIT = 4_700
"""Bytes a saga of three steps, from its claim to its end: 4,225 when this was written, of which the intents are 1,800."""
BATCHES_LIMIT = 1.0
"""Transactions a saga. Alone it takes five; 0.1 where four hundred are under way, 0.25 where the machine is so busy that the
worker holds less."""


@pytest.mark.timeout(120)
async def test_a_saga_of_three_steps_costs_so_much_and_no_more(database_url: str) -> None:
    """Two thousand of them, four hundred at a time, on one lane; what they cost is read off the database's own counters."""
    definition = SAGAS[3]
    async with Engine(database_url, sagas=[definition]) as engine:
        handles = await engine.start_many(definition, [(f"{n:06d}", INPUT) for n in range(COUNT)])
        before = _written(database_url)
        async with Worker(engine, concurrency=CONCURRENCY):
            for handle in handles:
                await handle.result("60s")
            (batches,) = rows.select(database_url, "SELECT sum(batch)::int AS n FROM saga.worker")
        after = _written(database_url)
    assert (after - before) / COUNT < WAL_LIMIT
    assert batches["n"] / COUNT < BATCHES_LIMIT


async def test_a_fresh_saga_reads_nothing_that_it_cannot_need(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is read for a saga that nobody had before: the claim has brought all there is."""
    read: list[int] = []
    definition = SAGAS[3]
    async with Engine(database_url, sagas=[definition]) as engine, Worker(engine) as worker:
        original = worker._chores.recorded  # pyright: ignore[reportPrivateUsage]

        async def counted(ids: list[object]) -> object:
            read.append(len(ids))
            return await original(ids)  # type: ignore[arg-type]

        monkeypatch.setattr(worker._chores, "recorded", counted)  # pyright: ignore[reportPrivateUsage]
        handles = await engine.start_many(definition, [(f"{n:06d}", INPUT) for n in range(20)])
        await asyncio.gather(*(handle.result("60s") for handle in handles))
    assert read == []


class _SlowStart:
    """A service whose first answer is that it did nothing."""

    def __init__(self) -> None:
        self.asked = 0

    def away(self) -> bool:
        self.asked += 1
        return self.asked == 1


slow_start = _SlowStart()
shop = Service("shop", remembers="all", key_lifetime="7d", lateness="1s")


@step(shop, timeout="10s", undo="nothing", retry=Retry(first=AT_ONCE, most=AT_ONCE))
async def buy(call: Call, what: str) -> str:
    """Not at once."""
    del call
    if slow_start.away():
        raise NotExecuted("not yet")
    return what


@saga("one")
async def one(what: str) -> str:
    """One step."""
    return await buy(what)


async def test_a_second_attempt_is_written_with_what_was_seen_of_the_first(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three units, and so three commits: the intent, the first reply with the second intent, the end."""
    units: list[Unit] = []
    original = Journal.submit

    def submit(journal: Journal, unit: Unit) -> None:
        units.append(unit)
        original(journal, unit)

    monkeypatch.setattr(Journal, "submit", submit)
    async with Engine(database_url, sagas=[one]) as engine, Worker(engine):
        assert await (await engine.start(one, "a book", key="k")).result("60s") == "a book"
    assert slow_start.asked == 2
    assert [(len(u.outcomes), len(u.intents), u.saga is not None) for u in units if u.intents or u.saga] == [
        (0, 1, False),
        (1, 1, False),
        (1, 0, True),
    ]


def _written(url: str) -> int:
    """Bytes of WAL so far."""
    (found,) = rows.select(url, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint AS n")
    return int(found["n"])
