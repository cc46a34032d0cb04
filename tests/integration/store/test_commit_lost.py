"""S6: a connection that is lost around COMMIT looks the same whether it committed or not; the batch is written once.

The wire between the journal and Postgres is cut at exactly the message that each schedule names *(measured)*.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from saga.core.model import Direction
from saga.store.changes import Unit
from saga.store.urls import conninfo
from tests.support.lanes import (
    Hand,
    add_sagas,
    asleep,
    hired,
    intent,
    one,
    own,
    seen,
    turned,
    unit,
    until_waiting,
    witnesses,
)
from tests.support.proxy import COMMITTED, Fate, Proxy

Eye = psycopg.AsyncConnection[Any]
CHARGE = frozenset({("charge#1", Direction.FORWARD)})


@contextlib.asynccontextmanager
async def on_a_wire(url: str, sagas: int) -> AsyncIterator[tuple[Eye, Proxy, Hand, list[Unit]]]:
    """A journal behind a proxy, and for each of its sagas a unit with an intent and evidence."""
    async with (
        witnesses(url, 1) as (eye,),
        Proxy(conninfo(url)).listening() as wire,
        hired(url, through=wire.conninfo) as (hand,),
    ):
        ids = await add_sagas(eye, sagas)
        await own(eye, ids, hand.lane)
        yield eye, wire, hand, [unit(i, intent(), seen()) for i in ids]


async def written_once(eye: Eye, count: int) -> None:
    """Every intent and observation is there, from one transaction, and the beat is that batch's."""
    assert await one(eye, "SELECT count(*) FROM saga.effect") == count
    assert await one(eye, "SELECT count(*) FROM saga.evidence") == count
    assert await one(eye, "SELECT count(DISTINCT x) FROM (SELECT xmin::text x FROM saga.effect"
                          " UNION ALL SELECT xmin::text FROM saga.evidence) t") == 1  # fmt: skip
    assert await one(eye, "SELECT batch FROM saga.worker") == 1


async def test_s6_lost_before_commit_arrived(database_url: str) -> None:
    """COMMIT never reached Postgres: nothing was written, and the same batch is run again, once."""
    async with on_a_wire(database_url, 5) as (eye, wire, hand, units):
        cut = wire.trap(b"COMMIT", Fate.LOSE_REQUEST)
        answers = await hand.write(*units)
        assert cut.sprung.is_set()
        assert all(a.held and a.intents == CHARGE for a in answers)
        await written_once(eye, 5)


async def test_s6_lost_after_commit_was_answered(database_url: str) -> None:
    """COMMIT landed and its answer was lost: the batch is found by its number and not run again."""
    async with on_a_wire(database_url, 5) as (eye, wire, hand, units):
        cut = wire.trap(b"COMMIT", Fate.LOSE_REPLY)
        answers = await hand.write(*units)
        assert COMMITTED in cut.reply
        assert all(a.held and a.intents == CHARGE for a in answers)
        assert wire.connections == 2
        await written_once(eye, 5)


async def test_s6_commit_lands_while_recovery_waits_for_it(database_url: str) -> None:
    """COMMIT is still on its way when the journal is back: recovery waits on the worker's row, then finds it."""
    async with on_a_wire(database_url, 5) as (eye, wire, hand, units):
        stalled = wire.trap(b"COMMIT", Fate.STALL)
        answers = hand.write(*units)
        await stalled.sprung.wait()
        await until_waiting(eye)
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0, "a plain read finds nothing yet"
        stalled.let_go()
        assert all(a.held and a.intents == CHARGE for a in await answers)
        await written_once(eye, 5)


async def test_s6_a_ghost_that_begins_after_the_rerun_writes_nothing(database_url: str) -> None:
    """The whole batch was held up on the wire, was run again, and then arrives: its number is refused."""
    async with on_a_wire(database_url, 5) as (eye, wire, hand, units):
        ghost = wire.trap(b"BEGIN", Fate.STALL)
        answers = await hand.write(*units)
        assert ghost.sprung.is_set()
        assert all(a.held and a.intents == CHARGE for a in answers)
        before = await one(eye, "SELECT beat FROM saga.worker")
        ghost.let_go()
        await ghost.answered.wait()
        assert COMMITTED not in ghost.reply
        assert b"22012" in ghost.reply
        assert await one(eye, "SELECT beat FROM saga.worker") == before
        await written_once(eye, 5)


async def test_s6_a_ghost_that_lands_between_recovery_and_rerun_is_found(database_url: str) -> None:
    """Recovery saw nothing, then the ghost committed: the rerun's fence refuses, and no unit is blamed for it."""
    async with on_a_wire(database_url, 5) as (eye, wire, hand, units):
        ghost = wire.trap(b"BEGIN", Fate.STALL)
        rerun = wire.trap(b"AND batch <", Fate.HOLD)  # only a batch asks that, recovery does not
        answers = hand.write(*units)
        await ghost.sprung.wait()
        await rerun.sprung.wait()
        ghost.let_go()
        await ghost.answered.wait()
        assert COMMITTED in ghost.reply
        rerun.let_go()
        assert all(a.held and a.intents == CHARGE for a in await answers)
        await written_once(eye, 5)


@pytest.mark.parametrize("fate", [Fate.LOSE_REQUEST, Fate.LOSE_REPLY])
async def test_s6_a_claim_is_found_again(database_url: str, fate: Fate) -> None:
    """A claim whose COMMIT lost its reply is the lane's: each saga once, each one epoch further."""
    async with on_a_wire(database_url, 1) as (eye, wire, hand, units):
        ids = await add_sagas(eye, 4)
        wire.trap(b"COMMIT", fate)
        hand.room = 10
        await hand.write(*units)
        assert {row[0] for row in hand.claimed} >= set(ids)
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE id = ANY(%s) AND epoch = 1", ids) == 4


async def test_s6_a_rest_that_committed_is_not_taken_for_a_lost_claim(database_url: str) -> None:
    """The saga's row no longer names its owner, because this very batch put it to sleep."""
    async with on_a_wire(database_url, 1) as (eye, wire, hand, units):
        wire.trap(b"COMMIT", Fate.LOSE_REPLY)
        (answer,) = await hand.write(unit(units[0].saga_id, asleep(0)))
        assert answer.held
        assert answer.moved
        assert await one(eye, "SELECT status FROM saga.saga") == "asleep"


async def test_s6_a_rest_that_was_refused_is_still_refused_after_recovery(database_url: str) -> None:
    """The inbox had moved: recovery answers `moved=False`, as the lost reply would have."""
    async with on_a_wire(database_url, 1) as (eye, wire, hand, units):
        await eye.execute("UPDATE saga.saga SET inbox = inbox + 1")
        wire.trap(b"COMMIT", Fate.LOSE_REPLY)
        (answer,) = await hand.write(unit(units[0].saga_id, asleep(0)))
        assert answer.held
        assert not answer.moved
        assert answer.inbox == 1


async def test_s6_a_refused_intent_is_still_refused_after_recovery(database_url: str) -> None:
    """An intent that a turn forbids is absent after a lost reply, and the answer says so (S32)."""
    async with on_a_wire(database_url, 1) as (eye, wire, hand, units):
        await hand.write(unit(units[0].saga_id, turned()))
        wire.trap(b"COMMIT", Fate.LOSE_REPLY)
        (answer,) = await hand.write(units[0])
        assert answer.held
        assert not answer.intents
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_s6_a_wire_that_breaks_again_and_again(database_url: str) -> None:
    """Recovery itself may be cut, in the rerun and again: at the end the batch is there once."""
    async with on_a_wire(database_url, 3) as (eye, wire, hand, units):
        wire.trap(b"COMMIT", Fate.LOSE_REQUEST)
        wire.trap(b"SELECT batch, now()", Fate.LOSE_REQUEST)
        wire.trap(b"AND batch <", Fate.LOSE_REQUEST)
        wire.trap(b"AND batch <", Fate.LOSE_REQUEST)
        answers = await hand.write(*units)
        assert all(a.held and a.intents == CHARGE for a in answers)
        await written_once(eye, 3)


async def test_s6_every_message_of_a_batch_may_be_the_last(database_url: str) -> None:
    """Cut at each statement in turn, under a stream of batches: every unit is written once, and none twice."""
    markers = [b"set_config", b"AND batch <", b"SET beat = now()", b"ORDER BY id FOR NO KEY UPDATE",
               b".effect (saga_id", b".evidence (id", b"COMMIT"]  # fmt: skip
    async with on_a_wire(database_url, len(markers)) as (eye, wire, hand, units):
        for marker, each in zip(markers, units, strict=True):
            cut = wire.trap(marker, Fate.LOSE_REQUEST)
            # A fresh connection, on which statements are named by their text.
            connection, hand.journal._connection = hand.journal._connection, None
            if connection is not None:
                await connection.close()
            (answer,) = await hand.write(each)
            assert cut.sprung.is_set(), marker
            assert answer.intents == CHARGE, marker
        assert await one(eye, "SELECT count(*) FROM saga.effect") == len(markers)
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == len(markers)
        assert await one(eye, "SELECT batch FROM saga.worker") == len(markers)


async def test_s6_a_worker_that_died_meanwhile_learns_it_from_recovery(database_url: str) -> None:
    """The COMMIT was lost and the worker's row was reaped: the units fail with DeclaredDead, nothing is written."""
    async with on_a_wire(database_url, 2) as (eye, wire, hand, units):
        wire.trap(b"COMMIT", Fate.LOSE_REQUEST)
        back = wire.trap(b"SELECT batch, now()", Fate.HOLD)
        hand.write(*units).add_done_callback(lambda f: f.exception())
        await back.sprung.wait()
        await eye.execute("DELETE FROM saga.worker")
        back.let_go()
        found = await asyncio.gather(*(u.done for u in units), return_exceptions=True)
        assert [type(f).__name__ for f in found] == ["DeclaredDead", "DeclaredDead"]
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_s6_a_lock_that_recovery_meets_does_not_tell_that_nothing_was_written(
    database_url: str,
) -> None:
    """Whoever asks what became of a batch may have to wait longer than its limit; the batch is still not run again."""
    async with (
        witnesses(database_url, 3) as (eye, outsider, reaper),
        Proxy(conninfo(database_url)).listening() as wire,
        hired(database_url, through=wire.conninfo, limit_ms=500) as (hand,),
    ):
        ids = await add_sagas(eye, 2)
        await own(eye, ids, hand.lane)
        cut = wire.trap(b"COMMIT", Fate.LOSE_REPLY)
        async with outsider.transaction():
            await outsider.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (ids[0],))
            answers = asyncio.ensure_future(hand.write(*[unit(i, intent(), seen()) for i in ids]))
            await until_waiting(eye)
            # It comes behind the batch, and before whoever asks what became of the batch.
            locked = asyncio.ensure_future(_hold_the_worker(reaper))
            await until_waiting(eye, 2)
        await locked
        assert all(a.held and a.intents == CHARGE for a in await answers)
        assert COMMITTED in cut.reply
        await written_once(eye, 2)


async def _hold_the_worker(holder: Eye) -> None:
    async with holder.transaction():
        await holder.execute("SELECT 1 FROM saga.worker FOR UPDATE")
        await holder.execute("SELECT pg_sleep(1.5)")
