"""S32: a forward attempt after the turn, or after a cancel was asked for, is impossible in the database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import psycopg
import pytest

from saga.core.model import Direction
from tests.support.lanes import (
    Hand,
    add_sagas,
    hired,
    intent,
    one,
    outcome,
    own,
    turned,
    unit,
    until_waiting,
    witnesses,
)

Eye = psycopg.AsyncConnection[Any]
CANCEL = "UPDATE saga.saga SET cancel_requested = true, inbox = inbox + 1"
FORWARD = {("charge#1", Direction.FORWARD)}
BACKWARD = {("charge#1", Direction.BACKWARD)}


@pytest.fixture
async def scene(database_url: str) -> AsyncIterator[tuple[Eye, Eye, Hand, list[UUID]]]:
    """The test's eye, somebody who cancels, and a lane that owns two sagas."""
    async with witnesses(database_url, 2) as (eye, canceller), hired(database_url) as (hand,):
        ids = await add_sagas(eye, 2)
        await own(eye, ids, hand.lane)
        yield eye, canceller, hand, ids


Scene = tuple[Eye, Eye, Hand, list[UUID]]


async def test_s32_after_a_cancel_no_first_attempt(scene: Scene) -> None:
    """The intent yields no row, not an error; the rest of the batch is written."""
    eye, _, hand, (cancelled, other) = scene
    await eye.execute((CANCEL + " WHERE id = %s").encode(), (cancelled,))
    refused, taken = await hand.write(unit(cancelled, intent()), unit(other, intent()))
    assert refused.held
    assert refused.cancel_requested
    assert not refused.intents
    assert taken.intents == FORWARD
    assert await one(eye, "SELECT count(*) FROM saga.effect WHERE saga_id = %s", cancelled) == 0


async def test_s32_after_a_cancel_no_further_attempt(scene: Scene) -> None:
    """A retry is a forward attempt, too."""
    eye, _, hand, (cancelled, _) = scene
    await hand.write(unit(cancelled, intent()))
    await eye.execute(CANCEL.encode())
    (refused,) = await hand.write(unit(cancelled, intent(attempt=2)))
    assert not refused.intents
    assert await one(eye, "SELECT attempt FROM saga.effect") == 1


async def test_s32_after_a_cancel_outcomes_are_still_written(scene: Scene) -> None:
    """Outcomes never depend on intents: what is in flight settles."""
    eye, _, hand, (cancelled, _) = scene
    await hand.write(unit(cancelled, intent()))
    await eye.execute(CANCEL.encode())
    (written,) = await hand.write(unit(cancelled, outcome(), intent("ship#1")))
    assert not written.intents
    assert await one(eye, "SELECT status FROM saga.effect") == "succeeded"


async def test_s32_each_direction_takes_its_own(scene: Scene) -> None:
    """Forward no compensation is begun, backward no step."""
    eye, _, hand, (saga_id, _) = scene
    (early,) = await hand.write(unit(saga_id, intent(direction=Direction.BACKWARD)))
    assert not early.intents
    await hand.write(unit(saga_id, turned()))
    late, undo = await hand.write(
        unit(saga_id, intent("ship#1")), unit(saga_id, intent(direction=Direction.BACKWARD))
    )
    assert not late.intents
    assert undo.intents == BACKWARD
    assert await one(eye, "SELECT count(*) FROM saga.effect") == 1


async def test_s32_a_cancel_does_not_stop_a_compensation(scene: Scene) -> None:
    """It asks for exactly that."""
    eye, _, hand, (saga_id, _) = scene
    await hand.write(unit(saga_id, turned()))
    await eye.execute(CANCEL.encode())
    (undo,) = await hand.write(unit(saga_id, intent(direction=Direction.BACKWARD)))
    assert undo.intents == BACKWARD


@pytest.mark.parametrize("commits", [True, False], ids=["commits", "rolls back"])
async def test_s32_a_cancel_that_is_being_committed_decides(scene: Scene, commits: bool) -> None:
    """The race, cancel first: the batch waits for the saga's row and sees what became of the cancel."""
    eye, canceller, hand, (saga_id, _) = scene
    await canceller.execute("BEGIN")
    await canceller.execute(CANCEL.encode())
    answer = hand.write(unit(saga_id, intent()))
    await until_waiting(eye)
    await canceller.execute(b"COMMIT" if commits else b"ROLLBACK")
    (written,) = await answer
    assert written.cancel_requested is commits
    assert bool(written.intents) is not commits
    assert await one(eye, "SELECT count(*) FROM saga.effect") == (0 if commits else 1)


async def test_s32_an_intent_that_is_being_committed_stands(scene: Scene, database_url: str) -> None:
    """The race, intent first: the cancel waits, and comes after an attempt that may be sent and will be settled."""
    eye, canceller, hand, (saga_id, blocked) = scene
    async with witnesses(database_url, 1) as (holder,):
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (blocked,))
            answer = hand.write(unit(saga_id, intent()), unit(blocked, intent()))
            await until_waiting(eye, 1)
            cancelling = asyncio.create_task(canceller.execute(CANCEL.encode()))
            await until_waiting(eye, 2)
        (written, _) = await answer
        cancelled = await cancelling
    assert written.intents == FORWARD
    assert cancelled.rowcount == 2
    assert await one(eye, "SELECT cancel_requested FROM saga.saga WHERE id = %s", saga_id)


async def test_an_intent_is_written_whole(scene: Scene) -> None:
    """S5: attempt, key, hash, deadline and the key's end are durable before a byte leaves, by the database's clock."""
    eye, _, hand, (saga_id, _) = scene
    (written,) = await hand.write(unit(saga_id, intent(arguments='{"b": 1, "a": 2}')))
    found = await eye.execute(
        "SELECT attempt, key, request_hash, arguments::text, intent_at, deadline_at - intent_at,"
        " key_expires_at - first_intent_at, worker FROM saga.effect"
    )
    row = await found.fetchone()
    assert row is not None
    attempt, key, request_hash, arguments, intent_at, budget, life, worker = row
    assert (attempt, key, request_hash, worker) == (1, "key", "hash", hand.lane.worker)
    assert arguments == '{"b": 1, "a": 2}', "the text that was sent, not another spelling of it"
    assert intent_at == written.now
    assert (budget.total_seconds(), life.total_seconds()) == (5.0, 60.0)


async def test_s10_a_further_attempt_keeps_the_first_intent_and_the_keys_end(scene: Scene) -> None:
    """The life of the key counts from the first send; the latest deadline stays."""
    eye, _, hand, (saga_id, _) = scene
    query = "SELECT first_intent_at, key_expires_at FROM saga.effect"
    await hand.write(unit(saga_id, intent()))
    first = await (await eye.execute(query.encode())).fetchone()
    deadline = await one(eye, "SELECT deadline_at FROM saga.effect")
    await hand.write(unit(saga_id, intent(attempt=2)))
    assert await (await eye.execute(query.encode())).fetchone() == first
    assert await one(eye, "SELECT deadline_at FROM saga.effect") > deadline
