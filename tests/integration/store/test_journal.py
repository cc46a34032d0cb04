"""The journal commits in groups, in an order that cannot deadlock, and writes no row twice in one statement."""

import asyncio

from saga.core.model import Direction, EffectStatus
from saga.store.batch import fold
from tests.support.lanes import (
    NAME,
    add_sagas,
    asleep,
    hired,
    intent,
    one,
    outcome,
    own,
    rows,
    seen,
    turned,
    unit,
    until_waiting,
    witnesses,
)


async def test_a_lone_unit_commits_at_once(database_url: str) -> None:
    """Nobody waits for a timer: one unit is durable although the next beat is ten minutes away."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        (written,) = await hand.write(unit(saga_id, intent(), seen()))
        assert written.held
        assert not written.moved
        assert written.intents == {("charge#1", Direction.FORWARD)}
        assert await one(eye, "SELECT status FROM saga.effect") == EffectStatus.SENT
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 1


async def test_many_units_share_one_commit(database_url: str) -> None:
    """What comes while a batch is under way is written together by the next one: 300 units, one transaction."""
    async with witnesses(database_url, 2) as (eye, holder), hired(database_url) as (hand,):
        first, *others = ids = await add_sagas(eye, 301)
        await own(eye, ids, hand.lane)
        async with holder.transaction():
            await holder.execute("SELECT 1 FROM saga.saga WHERE id = %s FOR UPDATE", (first,))
            held_up = hand.write(unit(first, intent()))
            await until_waiting(eye)
            many = hand.write(*(unit(saga_id, intent()) for saga_id in others))
        await held_up
        assert all(written.held and written.intents for written in await many)
        assert hand.journal.commits == 2
        transactions = await rows(eye, "SELECT xmin::text, count(*) FROM saga.effect GROUP BY 1 ORDER BY 2")
        assert [count for _, count in transactions] == [1, 300]


async def test_an_outcome_travels_with_the_next_intent(database_url: str) -> None:
    """A step costs one wait: outcome k and intent k+1 that are submitted together are one transaction."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await hand.write(unit(saga_id, intent("reserve#1")))
        await hand.write(unit(saga_id, outcome("reserve#1")), unit(saga_id, intent("charge#1")))
        assert await one(eye, "SELECT count(DISTINCT xmin::text) FROM saga.effect") == 1
        assert hand.journal.commits == 2


async def test_a_next_intent_takes_the_place_of_the_attempt_before(database_url: str) -> None:
    """An attempt follows only its predecessor and only with the same request (S8)."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await hand.write(unit(saga_id, intent(attempt=1)))
        (skipped,) = await hand.write(unit(saga_id, intent(attempt=3)))
        assert not skipped.intents
        other = intent(attempt=2)
        other = type(other)(**{**{n: getattr(other, n) for n in other.__slots__}, "request_hash": "else"})
        (differing,) = await hand.write(unit(saga_id, other))
        assert not differing.intents
        (second,) = await hand.write(unit(saga_id, intent(attempt=2)))
        assert second.intents
        assert await one(eye, "SELECT attempt FROM saga.effect") == 2


async def test_the_same_row_twice_is_never_in_one_statement(database_url: str) -> None:
    """Two writes of one effect in one turn are two batches: in one unnest the second is lost (measured)."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        await hand.write(unit(saga_id, intent()))
        await hand.write(unit(saga_id, outcome(result="1")), unit(saga_id, outcome(result="2")))
        assert await one(eye, "SELECT result::text FROM saga.effect") == "2"
        assert hand.journal.commits == 3


async def test_the_naive_form_loses_the_second_of_two(database_url: str) -> None:
    """Why the fold exists: UPDATE … FROM unnest with a row twice applies one of them, without an error."""
    async with witnesses(database_url, 1) as (eye,):
        (saga_id,) = await add_sagas(eye, 1)
        done = await eye.execute(
            "UPDATE saga.saga s SET inbox = s.inbox + u.more FROM unnest(%s::uuid[], %s::int[]) AS u(id, more)"
            " WHERE s.id = u.id",
            ([saga_id, saga_id], [1, 10]),
        )
        assert done.rowcount == 1
        assert await one(eye, "SELECT inbox FROM saga.saga") in {1, 10}


async def test_fold_keeps_the_order_of_each_saga() -> None:
    """A unit that must wait makes the later ones of its saga wait, and nobody else's."""
    (a, b) = (unit(saga.saga_id, intent()) for saga in (unit(intent().intent_id), unit(intent().intent_id)))
    same_row = unit(a.saga_id, intent())
    later = unit(a.saga_id, seen())
    pending = [a, same_row, later, b]
    assert fold(pending, 10) == [a, b]
    assert fold(pending, 10) == [same_row, later]
    assert pending == []


async def test_fold_takes_no_more_than_its_limit() -> None:
    """A batch is bounded, and the rest keeps its order."""
    units = [unit(intent().intent_id, seen()) for _ in range(7)]
    pending = list(units)
    assert fold(pending, 3) == units[:3]
    assert fold(pending, 3) == units[3:6]
    assert pending == units[6:]


async def test_s32_a_turn_shares_its_batch_with_no_intent_of_its_saga(database_url: str) -> None:
    """Intents are written before sagas: in one batch a forward intent would slip in beside the turn."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        turn, late = await hand.write(unit(saga_id, turned()), unit(saga_id, intent()))
        assert turn.moved
        assert late.held
        assert not late.intents
        assert await one(eye, "SELECT count(*) FROM saga.effect") == 0


async def test_a_rest_is_the_last_thing_of_its_batch(database_url: str) -> None:
    """What is submitted after a rest finds the claim gone, and says so."""
    async with witnesses(database_url, 1) as (eye,), hired(database_url) as (hand,):
        (saga_id,) = ids = await add_sagas(eye, 1)
        await own(eye, ids, hand.lane)
        rest, late = await hand.write(unit(saga_id, asleep(0)), unit(saga_id, intent()))
        assert rest.held
        assert rest.moved
        assert not late.held


async def test_overlapping_writers_never_deadlock(database_url: str) -> None:
    """Sorted locks: an outsider that takes the same sagas in order, many times, meets no deadlock."""
    async with (
        witnesses(database_url, 3) as (eye, one_writer, other_writer),
        hired(database_url, lanes=2) as hands,
    ):
        ids = await add_sagas(eye, 20)
        for hand, part in zip(hands, (ids[::2], ids[1::2]), strict=True):
            await own(eye, part, hand.lane)

        async def outsider(connection: object, order: list[object]) -> None:
            for _ in range(60):
                async with connection.transaction():  # type: ignore[attr-defined]
                    await connection.execute(  # type: ignore[attr-defined]
                        "SELECT id FROM saga.saga WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", (order,)
                    )

        async def lane(number: int, part: list[object]) -> None:
            for turn in range(60):
                mixed = part[turn % 7 :] + part[: turn % 7]
                await hands[number].write(*(unit(i, seen()) for i in mixed))  # type: ignore[arg-type]

        await asyncio.gather(
            outsider(one_writer, list(reversed(ids))), outsider(other_writer, list(ids)),
            lane(0, list(ids)), lane(1, list(reversed(ids))),
        )  # fmt: skip
        deadlocks = await one(
            eye, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        assert deadlocks == 0
        assert [hand.journal.commits for hand in hands] == [60, 60]
        assert await one(eye, "SELECT count(*) FROM saga.evidence") == 2 * 60 * 20
        assert await one(eye, "SELECT name FROM saga.saga LIMIT 1") == NAME
