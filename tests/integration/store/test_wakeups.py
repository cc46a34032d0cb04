"""No lost wake-ups: whatever wakes a saga while it goes to rest keeps it awake, in both orders and with real locks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from saga.core.lifecycle import Event, after
from saga.core.model import ENDS, Direction, ParkCause, SagaStatus
from saga.store import leases
from saga.store.changes import SagaWrite
from saga.store.sagas import WAKE
from tests.support.lanes import (
    SCHEMA,
    Hand,
    add_sagas,
    asleep,
    hired,
    one,
    own,
    rows,
    unit,
    until_waiting,
    witnesses,
)

Eye = psycopg.AsyncConnection[Any]
Scene = tuple[Eye, Eye, Hand, UUID]


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[Scene]:
    """The test's eye, somebody who wakes, a lane, and a saga that it runs."""
    async with witnesses(database_url, 2) as (eye, waker), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        yield eye, waker, hand, saga_id


async def wake(connection: Eye, saga_id: UUID) -> None:
    await connection.execute(WAKE.on(SCHEMA).encode(), {"id": saga_id})


RESTS = [
    pytest.param(asleep(0), id="sleep"),
    pytest.param(
        SagaWrite(SagaStatus.PARKED, Direction.FORWARD, 0, park_cause=ParkCause.IN_DOUBT, park_reason="x"),
        id="park",
    ),
    pytest.param(SagaWrite(SagaStatus.COMPLETED, Direction.FORWARD, 0, output="1"), id="end"),
]


@pytest.mark.parametrize("rest", RESTS)
async def test_a_rest_is_refused_when_the_inbox_has_moved(scene: Scene, rest: SagaWrite) -> None:
    """Between reading the inbox and the write something came: the saga stays awake, and its owner hears of it."""
    eye, waker, hand, saga_id = scene
    await wake(waker, saga_id)
    (written,) = await hand.write(unit(saga_id, rest))
    assert written.held
    assert not written.moved
    assert written.inbox == 1
    assert await rows(eye, "SELECT status, inbox, owner FROM saga.saga") == [("running", 1, hand.lane.worker)]


@pytest.mark.parametrize("rest", RESTS)
async def test_a_wake_up_that_is_being_committed_refuses_the_rest(scene: Scene, rest: SagaWrite) -> None:
    """The race, wake-up first: the batch waits for the saga's row and looks at the inbox behind it."""
    eye, waker, hand, saga_id = scene
    async with waker.transaction():
        await wake(waker, saga_id)
        answer = hand.write(unit(saga_id, rest))
        await until_waiting(eye)
    (written,) = await answer
    assert not written.moved
    assert written.inbox == 1
    assert await one(eye, "SELECT status FROM saga.saga") == "running"


@pytest.mark.parametrize("rest", RESTS)
async def test_a_wake_up_behind_the_rest_wakes(scene: Scene, rest: SagaWrite, database_url: str) -> None:
    """The race, rest first: the wake-up waits for the batch and finds a saga that rests. An end stays an end."""
    eye, waker, hand, saga_id = scene
    (other,) = await add_sagas(eye, 1)
    await own(eye, [other], hand.lane)
    async with witnesses(database_url, 1) as (holder,):
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (other,))
            answer = hand.write(unit(saga_id, rest), unit(other, asleep(0)))
            await until_waiting(eye, 1)
            waking = asyncio.create_task(wake(waker, saga_id))
            await until_waiting(eye, 2)
        assert (await answer)[0].moved
        await waking
    expected = SagaStatus.COMPLETED if rest.status in ENDS else SagaStatus.READY
    found = await rows(
        eye, "SELECT status, inbox, wake_at <= now(), park_cause FROM saga.saga WHERE id = %s", saga_id
    )
    assert found == [(expected, 1, True, None)]


@pytest.mark.parametrize("status", SagaStatus)
async def test_a_wake_up_does_in_every_status_what_the_lifecycle_says(
    scene: Scene, status: SagaStatus
) -> None:
    """Asleep and parked become ready; running stays with its owner and is told by the inbox; ends stay."""
    eye, waker, _, saga_id = scene
    await eye.execute(
        "UPDATE saga.saga SET status = %(s)s, wake_at = now() + interval '1 h',"
        " owner = CASE WHEN %(s)s = 'running' THEN owner END, lane = CASE WHEN %(s)s = 'running' THEN lane END,"
        " park_cause = CASE WHEN %(s)s = 'parked' THEN 'in_doubt' END,"
        " direction = CASE WHEN %(s)s = 'compensated' THEN 'backward' ELSE 'forward' END,"
        " plan = CASE WHEN %(s)s = 'compensated' THEN '[]'::json END,"
        " finished_at = CASE WHEN %(s)s IN ('completed', 'compensated', 'abandoned') THEN now() END",
        {"s": status.value},
    )
    await wake(waker, saga_id)
    found = await rows(eye, "SELECT status, inbox, wake_at <= now() FROM saga.saga")
    assert found == [(after(status, Event.WOKEN), 1, True)]


async def test_a_rest_that_does_not_ask_is_written_in_any_case(scene: Scene) -> None:
    """A bug parks whatever came meanwhile; the inbox tells the operator's retry nothing is lost."""
    eye, waker, hand, saga_id = scene
    await wake(waker, saga_id)
    (written,) = await hand.write(unit(saga_id, asleep(None)))
    assert written.moved
    assert await one(eye, "SELECT inbox FROM saga.saga") == 1


async def test_two_hundred_wake_ups_against_a_saga_that_always_sleeps(scene: Scene) -> None:
    """Under a storm, the saga is never at rest with a wake-up that it has not seen."""
    eye, waker, hand, saga_id = scene
    wakes = 200
    hand.room = 1

    async def storm() -> None:
        for _ in range(wakes):
            await wake(waker, saga_id)

    async def sleeper() -> int:
        epoch, inbox = 1, 0
        while inbox < wakes:
            (written,) = await hand.write(unit(saga_id, asleep(inbox), epoch=epoch))
            if written.held and not written.moved:
                inbox = written.inbox  # read it again, under the same claim
                continue
            hand.claimed.clear()
            while not hand.claimed:
                hand.journal.poke()
                await hand.more_beats(1)
            epoch, inbox = hand.claimed[0][4], hand.claimed[0][5]
        return inbox

    _, seen = await asyncio.gather(storm(), sleeper())
    assert seen == wakes
    assert await one(eye, "SELECT inbox FROM saga.saga") == wakes


async def test_the_mover_readies_who_is_due_and_nobody_else(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, until nobody is due; the others sleep on, and it knows when the next one is due."""
    monkeypatch.setattr(leases, "BATCH", 3)
    async with witnesses(database_url, 1) as (eye,):
        assert (await leases.look(eye, SCHEMA, reap=True)).due_in is None
        due = await add_sagas(eye, 7, "asleep", "-1 s")
        later = await add_sagas(eye, 2, "asleep", "1 h")
        assert await leases.ready_due(eye, SCHEMA) == len(due)
        assert await leases.ready_due(eye, SCHEMA) == 0
        found = await rows(eye, "SELECT id FROM saga.saga WHERE status = 'asleep' ORDER BY id")
        assert [row[0] for row in found] == later
        left = (await leases.look(eye, SCHEMA, reap=True)).due_in
        assert left is not None
        assert 3590 < left <= 3600


async def test_two_movers_ready_each_sleeper_once(database_url: str) -> None:
    """They wait for nobody, and share the work."""
    async with witnesses(database_url, 4) as (eye, *movers):
        await add_sagas(eye, 60, "asleep", "-1 s")
        moved = await asyncio.gather(*(leases.ready_due(mover, SCHEMA) for mover in movers))
        assert sum(moved) == 60
        assert await one(eye, "SELECT count(*) FROM saga.saga WHERE status = 'ready'") == 60


async def test_a_sleeper_that_is_woken_while_it_is_moved_is_ready_once(database_url: str) -> None:
    """The mover passes by a saga that somebody else has locked; whoever has it readies it."""
    async with witnesses(database_url, 2) as (eye, waker):
        (saga_id,) = await add_sagas(eye, 1, "asleep", "-1 s")
        async with waker.transaction():
            await wake(waker, saga_id)
            assert await leases.ready_due(eye, SCHEMA) == 0
        assert await rows(eye, "SELECT status, inbox FROM saga.saga") == [("ready", 1)]
