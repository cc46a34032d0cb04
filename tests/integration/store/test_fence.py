"""The fence: what a worker that was declared dead sends writes nothing; and the reaper, which waits for nobody long."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from saga.store import leases
from saga.store import statements as sql
from saga.store.batch import Lane
from saga.store.changes import DeclaredDead
from saga.store.connections import Connection
from tests.support.lanes import (
    SCHEMA,
    add_sagas,
    asleep,
    engine_connection,
    hired,
    intent,
    one,
    outcome,
    own,
    register,
    rows,
    seen,
    silence,
    unit,
    until_waiting,
    witnesses,
    write_by_hand,
)

Eye = psycopg.AsyncConnection[Any]


@pytest.fixture
async def eye(database_url: str) -> AsyncIterator[Eye]:
    async with witnesses(database_url, 1) as (connection,):
        yield connection


async def begin_and_freeze(connection: Connection, lane: Lane) -> None:
    """The first statements of a batch, and then nothing: a process that was stopped in mid-transaction."""
    values = {**lane.parameters(), "ms": str(lane.limit_ms), "batch": 1, "state": "working"}
    await connection.execute("BEGIN")
    for statement in (sql.LIMITS, sql.FENCE, sql.BEAT):
        await connection.execute(statement.on(SCHEMA).encode(), values)


async def test_a_dead_workers_pipeline_writes_nothing_not_even_a_claim(database_url: str, eye: Eye) -> None:
    """Every statement behind the fence is undone: intent, outcome, rest, claim and evidence *(measured)*."""
    lane = Lane(SCHEMA, await register(eye), 0, 5000)
    mine = await add_sagas(eye, 3)
    await own(eye, mine, lane)
    ready = await add_sagas(eye, 2)
    before = await rows(eye, "SELECT * FROM saga.saga ORDER BY id")
    await eye.execute("DELETE FROM saga.worker")
    async with engine_connection(database_url) as connection:
        with pytest.raises(errors.DivisionByZero):
            await write_by_hand(
                connection, lane, unit(mine[0], intent(), seen()), unit(mine[1], outcome()),
                unit(mine[2], asleep(0)), room=10,
            )  # fmt: skip
    assert await rows(eye, "SELECT * FROM saga.saga ORDER BY id") == before
    assert await one(eye, "SELECT count(*) FROM saga.saga WHERE status = 'ready'") == len(ready)
    assert (
        await one(eye, "SELECT (SELECT count(*) FROM saga.effect) + (SELECT count(*) FROM saga.evidence)")
        == 0
    )


async def test_a_fence_that_returns_no_row_fences_nothing(database_url: str, eye: Eye) -> None:
    """Why it is an error: in a pipeline an empty result lets the UPDATE and the COMMIT behind it through *(measured)*."""
    (saga_id,) = await add_sagas(eye, 1)
    async with engine_connection(database_url) as connection, connection.pipeline():
        await connection.execute("BEGIN")
        await connection.execute("SELECT 1 FROM saga.worker WHERE id = %s FOR KEY SHARE", (saga_id,))
        await connection.execute("UPDATE saga.saga SET inbox = 99 WHERE id = %s", (saga_id,))
        await connection.execute("COMMIT")
    assert await one(eye, "SELECT inbox FROM saga.saga") == 99


async def test_a_claim_that_another_lane_holds_is_not_written(eye: Eye, database_url: str) -> None:
    """The fence does not say which sagas are mine: owner, lane and epoch do."""
    async with hired(database_url, lanes=2) as (left, right):
        ids = await add_sagas(eye, 1)
        await own(eye, ids, left.lane)
        for stranger in (unit(ids[0], intent()), unit(ids[0], outcome()), unit(ids[0], asleep(None))):
            (written,) = await right.write(stranger)
            assert not written.held
            assert not written.moved
            assert not written.intents
        assert await one(eye, "SELECT status FROM saga.saga") == "running"
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_a_unit_of_an_earlier_claim_is_not_written(eye: Eye, database_url: str) -> None:
    """The same worker may have lost the saga and got it back: a late thread writes with the old epoch."""
    async with hired(database_url) as (hand,):
        ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await hand.write(unit(ids[0], intent(), epoch=1))
        await eye.execute("UPDATE saga.saga SET epoch = 2")
        parts = (
            unit(ids[0], outcome(), epoch=1),
            unit(ids[0], intent(attempt=2), epoch=1),
            unit(ids[0], asleep(0)),
        )
        for stale in parts:
            (written,) = await hand.write(stale)
            assert not written.held
            assert not written.intents
            assert not written.moved
        assert await rows(eye, "SELECT status, attempt FROM saga.effect") == [("sent", 1)]
        assert await one(eye, "SELECT status FROM saga.saga") == "running"


async def test_s25_s33_evidence_needs_no_claim(eye: Eye, database_url: str) -> None:
    """An observation is true whoever made it: of a lost claim the evidence is written, and nothing else."""
    async with hired(database_url) as (hand,):
        (saga_id,) = await add_sagas(eye, 1)
        (written,) = await hand.write(unit(saga_id, intent(), seen()))
        assert not written.held
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 1
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_evidence_that_is_written_twice_is_there_once(eye: Eye, database_url: str) -> None:
    """Its id is its writer's: a second write changes nothing."""
    async with hired(database_url) as (hand,):
        (saga_id,) = await add_sagas(eye, 1)
        observation = seen()
        await hand.write(unit(saga_id, observation))
        await hand.write(unit(saga_id, observation))
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 1


async def test_a_beat_that_lands_while_the_reaper_waits_saves_the_worker(database_url: str) -> None:
    """The reaper waits behind an open batch, looks again, and finds a worker that is alive *(measured)*."""
    async with witnesses(database_url, 3) as (eye, holder, reaper), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await silence(eye, hand.lane.worker)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga FOR UPDATE")
            written = hand.write(unit(ids[0], intent()))
            await until_waiting(eye, 1)
            reaped = asyncio.create_task(leases.reap(reaper, SCHEMA))
            await until_waiting(eye, 2)
        assert await reaped == []
        assert (await written)[0].intents
        assert await one(eye, "SELECT count(*) FROM saga.worker") == 1


async def test_a_batch_behind_the_reaper_writes_nothing(database_url: str) -> None:
    """The other order: the reaper has the row, the batch waits at its fence, and is refused."""
    async with witnesses(database_url, 2) as (eye, reaper), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        async with reaper.transaction():
            await reaper.execute("DELETE FROM saga.worker")
            written = hand.write(unit(ids[0], intent()))
            await until_waiting(eye, 1)
        with pytest.raises(DeclaredDead):
            await written
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_a_frozen_worker_holds_the_reaper_no_longer_than_its_limits(
    database_url: str, eye: Eye
) -> None:
    """Stopped in mid-transaction: the server ends its session, and one round of the reaper takes it *(measured)*."""
    lane = Lane(SCHEMA, await register(eye), 0, limit_ms=200)
    await silence(eye, lane.worker)
    async with engine_connection(database_url) as frozen:
        await begin_and_freeze(frozen, lane)
        assert await leases.reap(eye, SCHEMA) == [lane.worker]
        with pytest.raises(errors.IdleInTransactionSessionTimeout):
            await frozen.execute("COMMIT")
    assert await one(eye, "SELECT count(*) FROM saga.worker") == 0


async def test_the_reaper_gives_up_on_a_row_that_stays_locked(
    database_url: str, eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker without limits holds up itself and nobody else: the next one is reaped in the same round."""
    monkeypatch.setattr(leases, "REAP_LIMIT", b"SET LOCAL lock_timeout = 100")
    lanes = [Lane(SCHEMA, await register(eye), 0, limit_ms=60_000) for _ in range(3)]
    for lane in lanes:
        await silence(eye, lane.worker)
    async with engine_connection(database_url) as frozen:
        await begin_and_freeze(frozen, lanes[1])
        assert set(await leases.reap(eye, SCHEMA)) == {lanes[0].worker, lanes[2].worker}
    assert await leases.reap(eye, SCHEMA) == [lanes[1].worker]


async def test_one_silent_lane_is_the_end_of_the_worker(eye: Eye) -> None:
    """Its sagas cannot be told from those of the other lanes' process: all its rows go at once."""
    worker = await register(eye, lanes=3)
    other = await register(eye)
    await eye.execute(
        "UPDATE saga.worker SET beat = now() - interval '1 h' WHERE id = %s AND lane = 1", (worker,)
    )
    assert await leases.reap(eye, SCHEMA) == [worker]
    assert await rows(eye, "SELECT id FROM saga.worker") == [(other,)]


async def test_two_reapers_at_once_reap_once(database_url: str) -> None:
    """The second finds the row gone."""
    async with witnesses(database_url, 4) as (eye, *reapers):
        worker = await register(eye, lanes=2)
        await silence(eye, worker)
        found = await asyncio.gather(*(leases.reap(reaper, SCHEMA) for reaper in reapers))
        assert sorted(len(reaped) for reaped in found) == [0, 0, 1]


async def test_lanes_of_one_worker_do_not_wait_for_each_other(database_url: str) -> None:
    """A row a lane: while one lane is in the middle of its batch, the other commits *(measured)*."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url, lanes=2) as (left, right):
        first, second = ids = await add_sagas(eye, 2)
        await own(eye, ids[:1], left.lane)
        await own(eye, ids[1:], right.lane)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (first,))
            held_up = left.write(unit(first, intent()))
            await until_waiting(eye)
            (written,) = await right.write(unit(second, intent()))
            assert written.intents
            assert not held_up.done()
        await held_up


async def test_an_idle_lane_beats(database_url: str) -> None:
    """Without any unit the worker's row is refreshed, so that the reaper leaves it alone."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url, beat=0.01) as (hand,):
        before = await one(eye, "SELECT beat FROM saga.worker")
        await hand.more_beats(3)
        assert await one(eye, "SELECT beat FROM saga.worker") > before


async def test_a_beat_stays_on_its_page(database_url: str, eye: Eye) -> None:
    """Beats are HOT updates: no index is touched, whatever the number of sagas."""
    async with hired(database_url, beat=0.01) as (hand,):
        await hand.more_beats(20)
        page = await rows(eye, "SELECT DISTINCT (ctid::text::point)[0] FROM saga.worker")
        assert len(page) == 1
        indexed = await rows(
            eye,
            "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)"
            " WHERE i.indrelid = 'saga.worker'::regclass",
        )
        assert {name for (name,) in indexed} == {"id", "lane"}
