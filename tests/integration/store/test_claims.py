"""Claims: each saga has one owner, each claim its limit, under any number of claimers at once."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from saga.core.model import Direction, SagaStatus
from saga.store import leases
from saga.store import statements as sql
from saga.store.batch import Lane
from saga.store.changes import SagaWrite
from saga.store.sql import Statement
from tests.support.lanes import (
    NAME,
    SCHEMA,
    Hand,
    add_sagas,
    engine_connection,
    hired,
    one,
    own,
    register,
    rows,
    silence,
    unit,
    witnesses,
    write_by_hand,
)

Eye = psycopg.AsyncConnection[Any]

WATCH = """
    CREATE TABLE saga.owned (number bigserial, saga uuid, epoch bigint, before uuid, after uuid);
    CREATE FUNCTION saga.note_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF OLD.owner IS DISTINCT FROM NEW.owner THEN
        INSERT INTO saga.owned (saga, epoch, before, after) VALUES (NEW.id, NEW.epoch, OLD.owner, NEW.owner);
      END IF; RETURN NULL; END $$;
    CREATE TRIGGER note_owner AFTER UPDATE ON saga.saga FOR EACH ROW EXECUTE FUNCTION saga.note_owner();
"""
RELEASED = SagaWrite(SagaStatus.READY, Direction.FORWARD, seen=None)
NAIVE = (
    "UPDATE saga.saga SET status = 'running', owner = %s, lane = 0 WHERE id IN"
    " (SELECT id FROM saga.saga WHERE status = 'ready' ORDER BY wake_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)"
)
# Nothing but nested loops without memory: the plan in which a subquery runs again for each outer row.
HOSTILE_PLANNER = (
    "SELECT set_config(name, 'off', false) FROM unnest(ARRAY['enable_hashjoin', 'enable_mergejoin',"
    " 'enable_material', 'enable_memoize', 'enable_hashagg', 'enable_sort', 'enable_indexscan',"
    " 'enable_bitmapscan']) AS name"
)


async def test_a_claim_takes_what_is_ready_due_and_served(database_url: str) -> None:
    """Nothing that sleeps, rests, runs, is of another name or version, or is not due yet."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        served = await add_sagas(eye, 3)
        other_name, other_version = await add_sagas(eye, 2)
        await eye.execute("UPDATE saga.saga SET name = 'other' WHERE id = %s", (other_name,))
        await eye.execute("UPDATE saga.saga SET version = 2 WHERE id = %s", (other_version,))
        await add_sagas(eye, 1, "asleep", "-1 s")
        await add_sagas(eye, 1, "ready", "1 h")
        await own(eye, await add_sagas(eye, 1), Lane(SCHEMA, await register(eye), 0, 1000))
        await claim(hand, 100)
        assert {row[0] for row in hand.claimed} == set(served)
        found = await rows(eye, "SELECT owner, lane, epoch FROM saga.saga WHERE id = ANY(%s)", served)
        assert set(found) == {(hand.lane.worker, 0, 1)}


async def claim(hand: Hand, room: int) -> None:
    """One batch that claims."""
    hand.room = room
    hand.journal.poke()
    await hand.more_beats(1)
    hand.room = 0


async def test_who_waited_longest_is_claimed_first(database_url: str) -> None:
    """By `wake_at`, as far as there is room."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        new, old, middle = [(await add_sagas(eye, 1, "ready", wake))[0] for wake in ("0 s", "-2 h", "-1 h")]
        await claim(hand, 2)
        assert {row[0] for row in hand.claimed} == {old, middle}
        assert await one(eye, "SELECT status FROM saga.saga WHERE id = %s", new) == "ready"


async def test_a_claim_waits_for_nobody(database_url: str) -> None:
    """A saga that somebody else has locked is passed by."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url) as (hand,):
        locked, free = await add_sagas(eye, 2)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (locked,))
            await claim(hand, 10)
            assert [row[0] for row in hand.claimed] == [free]


async def test_a_limit_is_kept_whatever_the_plan(database_url: str) -> None:
    """MATERIALIZED: with a planner that would run the subquery for each row, room for one claims one *(measured)*."""
    async with witnesses(database_url, 1) as (eye,), engine_connection(database_url) as connection:
        lane = Lane(SCHEMA, await register(eye), 0, 5000)
        await add_sagas(eye, 200)
        await connection.execute(HOSTILE_PLANNER.encode())
        done = await write_by_hand(connection, lane, room=1)
        assert len(done.claimed) == 1
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE status = 'running'") == 1


async def test_the_naive_claim_takes_more_than_its_limit(database_url: str) -> None:
    """Why: written as `IN (SELECT … LIMIT 1 … SKIP LOCKED)`, one claim took every saga *(measured)*."""
    async with witnesses(database_url, 1) as (eye,):
        worker = await register(eye)
        await add_sagas(eye, 200)
        await eye.execute(HOSTILE_PLANNER.encode())
        claimed = await eye.execute(NAIVE.encode(), (worker,))
        assert claimed.rowcount > 1


async def test_many_claimers_never_share_a_saga(database_url: str) -> None:
    """Eight lanes claim, release and claim again, a worker dies in between: intervals of ownership never overlap."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url, lanes=4) as first, \
            hired(database_url, lanes=4) as second:  # fmt: skip
        await eye.execute(WATCH.encode())
        ids = await add_sagas(eye, 40)
        dead = await register(eye)
        await own(eye, ids[:10], Lane(SCHEMA, dead, 0, 1000))
        await silence(eye, dead)
        hands = [*first, *second]
        burying = asyncio.create_task(bury(database_url))
        for sizes in await asyncio.gather(*(churn(hand) for hand in hands)):
            assert all(0 < size <= 3 for size in sizes)
        await burying
        await check_intervals(eye, ids)
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE owner = %s", dead) == 0


async def churn(hand: Hand) -> list[int]:
    """Claim with room for three, give back, thirty times; how many each claim brought."""
    sizes: list[int] = []
    for _ in range(30):
        await claim(hand, 3)
        taken = list(hand.claimed)
        hand.claimed.clear()
        if taken:
            sizes.append(len(taken))
            answers = await hand.write(*(unit(row[0], RELEASED, epoch=row[4]) for row in taken))
            assert all(written.moved for written in answers)
    return sizes


async def bury(url: str) -> None:
    """Reap the silent and ready their sagas, again and again."""
    async with witnesses(url, 1) as (reaper,):
        for _ in range(20):
            await leases.reap(reaper, SCHEMA)
            await leases.ready_orphans(reaper, SCHEMA)


async def check_intervals(eye: Eye, ids: list[UUID]) -> None:
    """Each saga's owners come one after the other, each with an epoch of its own."""
    changes = 0
    for saga_id in ids:
        history = await rows(
            eye, "SELECT before, after, epoch FROM saga.owned WHERE saga = %s ORDER BY number", saga_id
        )
        owner, epoch = (history[0][0], history[0][2] - 1) if history else (None, 0)
        for before, after, at in history:
            assert before == owner, "it began to be owned while another had it"
            assert (before is None) != (after is None), "it went from hand to hand without being free"
            assert at == epoch + (after is not None), "a claim is one epoch further, a release is not"
            owner, epoch = after, at
        changes += len(history)
    assert changes > 100


async def test_a_saga_that_its_own_batch_gives_back_may_be_claimed_by_it(database_url: str) -> None:
    """Released and claimed in one transaction: it comes back one epoch further, so that the old unit is stale."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        hand.room = 1
        (written,) = await hand.write(unit(saga_id, RELEASED))
        assert written.moved
        assert [(row[0], row[4]) for row in hand.claimed] == [(saga_id, 2)]


@pytest.mark.parametrize("statement", [sql.CLAIM, leases.DUE, leases.ORPHANS], ids=lambda s: s.name)
def test_every_statement_with_a_limit_is_materialized(statement: Statement) -> None:
    """And passes by what is locked."""
    assert "AS MATERIALIZED" in statement.text
    assert "SKIP LOCKED" in statement.text
    assert NAME not in statement.text
