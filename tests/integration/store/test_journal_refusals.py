"""One value that Postgres cannot take stops its own unit and no other; every other error is the batch's."""

import asyncio
from typing import Any

import pytest

from saga import Engine
from saga.core.model import SagaStatus
from saga.store.changes import DeclaredDead, NotStorable, SagaWrite, Unit
from saga.store.connections import CommitNotVerified, Connection
from saga.store.urls import conninfo
from tests.support.definitions import saga_of, sound
from tests.support.lanes import (
    add_sagas,
    asleep,
    engine_connection,
    hired,
    intent,
    one,
    outcome,
    own,
    seen,
    unit,
    until,
    until_waiting,
    witnesses,
    write_by_hand,
)
from tests.support.proxy import Fate, Proxy

BAD = [
    pytest.param("\x00", id="NUL, refused by the client"),
    pytest.param("\ud800", id="lone surrogate, refused by the client"),
    pytest.param("not json", id="22P02, refused by the server"),
]


def roll_back_instead(connection: Connection) -> None:
    """As a pooler does that ended the transaction meanwhile: the client's COMMIT meets nothing to commit."""
    real: Any = connection.execute

    async def execute(query: object, *rest: object, **more: object) -> object:
        return await real(b"ROLLBACK" if query == "COMMIT" else query, *rest, **more)

    connection.execute = execute  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("bad", BAD)
async def test_only_the_culprit_fails(database_url: str, bad: str) -> None:
    """Of nine units in one batch, the one with the bad value gets NotStorable and eight are durable."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 9)
        await own(eye, ids, hand.lane)
        units = [unit(i, intent(), seen(bad if n == 5 else "{}")) for n, i in enumerate(ids)]
        hand.write(*units).add_done_callback(lambda f: f.exception())
        found = await asyncio.gather(*(u.done for u in units), return_exceptions=True)
        assert [n for n, f in enumerate(found) if isinstance(f, NotStorable)] == [5]
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 8
        assert await one(eye, "SELECT count(*) FROM saga.effect WHERE saga_id = %s", ids[5]) == 0
        (again,) = await hand.write(unit(ids[5], intent()))
        assert again.held
        assert again.intents


async def test_two_culprits_are_both_found(database_url: str) -> None:
    """Splitting goes on until every culprit is alone; a CHECK that is broken (class 23) counts, too."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 8)
        await own(eye, ids, hand.lane)
        broken = SagaWrite(
            SagaStatus.PARKED, direction=asleep(0).direction, seen=None
        )  # parked without a cause
        units = [unit(i, seen("nonsense")) if n == 1 else unit(i, broken) if n == 6 else unit(i, seen())
                 for n, i in enumerate(ids)]  # fmt: skip
        hand.write(*units).add_done_callback(lambda f: f.exception())
        found = await asyncio.gather(*(u.done for u in units), return_exceptions=True)
        assert [n for n, f in enumerate(found) if isinstance(f, NotStorable)] == [1, 6]
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 6
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE status = 'parked'") == 0


async def test_a_claim_survives_a_culprit(database_url: str) -> None:
    """What was to be claimed is claimed by the half that is written."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 4)
        await own(eye, ids[:2], hand.lane)
        hand.room = 5
        bad, good = unit(ids[0], seen("nonsense")), unit(ids[1], seen())
        hand.write(bad, good).add_done_callback(lambda f: f.exception())
        await asyncio.gather(bad.done, good.done, return_exceptions=True)
        assert {row[0] for row in hand.claimed} == set(ids[2:])


async def test_another_error_parks_nobody(database_url: str) -> None:
    """A lock that cannot be had in time is the batch's: it is run again, and everybody gets an answer."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url, limit_ms=50) as (hand,):
        ids = await add_sagas(eye, 3)
        await own(eye, ids, hand.lane)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (ids[1],))
            answers = hand.write(*(unit(i, intent()) for i in ids))
            await until_waiting(eye)
            first = await one(eye, "SELECT min(backend_start) FROM pg_stat_activity WHERE application_name = 'saga'"
                                   " AND datname = current_database()")  # fmt: skip

            async def tried_again() -> bool:
                query = "SELECT count(*) FROM pg_stat_activity WHERE backend_start > %s AND wait_event_type = 'Lock'"
                found: int = await one(eye, query, first)
                return found > 0

            await until(tried_again, "another connection tries the batch")
        assert all(written.held and written.intents for written in await answers)
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 3


async def test_a_connection_that_is_terminated_loses_nothing(database_url: str) -> None:
    """An administrator ends the journal's backend in mid-batch: the batch is run again, once."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 3)
        await own(eye, ids, hand.lane)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (ids[1],))
            answers = hand.write(*(unit(i, intent(), seen()) for i in ids))
            await until_waiting(eye)
            await eye.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'saga'"
                " AND datname = current_database()"
            )
        assert all(written.held and written.intents for written in await answers)
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 3
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 3


async def test_death_in_the_middle_of_a_split_leaves_nobody_waiting(database_url: str) -> None:
    """A worker that is declared dead while its batch is being split answers every unit of it."""
    async with (
        witnesses(database_url, 1) as (eye,),
        Proxy(conninfo(database_url)).listening() as wire,
        hired(database_url, through=wire.conninfo) as (hand,),
    ):
        ids = await add_sagas(eye, 4)
        await own(eye, ids, hand.lane)
        wire.trap(b"BEGIN", Fate.HOLD).let_go()
        second = wire.trap(b"BEGIN", Fate.HOLD)  # the first half's, on a new connection
        units = [unit(i, seen("nonsense") if n == 3 else seen()) for n, i in enumerate(ids)]
        hand.write(*units).add_done_callback(lambda f: f.exception())
        await second.sprung.wait()
        await eye.execute("DELETE FROM saga.worker")
        second.let_go()
        found = await asyncio.gather(*(u.done for u in units), return_exceptions=True)
        assert all(isinstance(f, DeclaredDead) for f in found)
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 0


async def test_units_after_death_fail_at_once(database_url: str) -> None:
    """After the fence refused, nothing is queued any more."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = await add_sagas(eye, 1)
        await eye.execute("DELETE FROM saga.worker")
        with pytest.raises(DeclaredDead):
            await hand.write(unit(saga_id, seen()))
        with pytest.raises(DeclaredDead):
            await hand.running
        assert hand.journal.dead
        with pytest.raises(DeclaredDead):
            await hand.write(unit(saga_id, seen()))


async def test_a_silent_rollback_is_noticed(database_url: str) -> None:
    """COMMIT of a transaction that was aborted unseen answers ROLLBACK, without an error: it counts as not written."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,), \
            engine_connection(database_url) as connection:  # fmt: skip
        ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        roll_back_instead(connection)
        with pytest.raises(CommitNotVerified):
            await write_by_hand(connection, hand.lane, unit(ids[0], intent()))
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_a_start_that_was_silently_rolled_back_is_no_start(database_url: str) -> None:
    """Nobody is given a handle on a saga that is not there; the same start may simply be made again."""
    async with Engine(database_url, sagas=[saga_of(sound())]) as engine:
        async with engine.connection() as connection:
            roll_back_instead(connection)
        with pytest.raises(CommitNotVerified):
            await engine.start(engine.definition("one"), "a", key="k")
        await engine.close()
        handle = await engine.start(engine.definition("one"), "a", key="k")
        assert (await handle.view()).status == "processing"


async def test_the_journal_writes_again_what_was_silently_rolled_back(database_url: str) -> None:
    """A unit is acknowledged only after a COMMIT that said COMMIT."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 2)
        await own(eye, ids, hand.lane)
        await hand.write(unit(ids[0], intent()))  # now there is a connection
        connection = hand.journal._connection
        assert connection is not None
        roll_back_instead(connection)
        (written,) = await hand.write(unit(ids[1], intent()))
        assert written.intents
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 2


async def test_the_end_of_the_writer_answers_everybody(database_url: str) -> None:
    """A journal that is cancelled in the middle of a batch leaves no future pending."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 2)
        await own(eye, ids, hand.lane)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (ids[0],))
            units: list[Unit] = [unit(i, seen()) for i in ids]
            hand.write(*units).add_done_callback(lambda f: f.exception())
            await until_waiting(eye)
            hand.running.cancel()
            found = await asyncio.gather(*(u.done for u in units), return_exceptions=True)
            assert all(isinstance(f, DeclaredDead) for f in found)


async def test_a_result_that_does_not_fit_leaves_the_effect_as_it_was(database_url: str) -> None:
    """The unit fails whole: neither its outcome nor its evidence is half written."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await hand.write(unit(saga_id, intent()))
        with pytest.raises(NotStorable):
            await hand.write(unit(saga_id, outcome(result="{"), seen()))
        assert await one(eye, "SELECT status FROM saga.effect") == "sent"
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 0


async def test_a_pipeline_that_fails_holds_no_lock(database_url: str) -> None:
    """After a value was refused, the journal's connection keeps no transaction open on the worker's row."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        with pytest.raises(NotStorable):
            await hand.write(unit(saga_id, seen("\x00")))
        # The server rolls back when it sees the connection close; a lock that stayed would make this fail.
        await eye.execute("SET lock_timeout = '10 s'")
        assert await one(eye, "SELECT 1 FROM saga.worker FOR UPDATE") == 1
