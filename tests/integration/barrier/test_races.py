"""S36 with two at once: real transactions on real connections, one of which waits for the other's lock."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from saga import Refused
from saga.barrier import Barrier, InProgress, KeyFenced, Record, Side, State
from tests.integration.barrier.place import WORK, Place, Psycopg

barrier = Barrier()


async def act(place: Place) -> Record:
    """One action on a connection of its own."""
    async with place.begin() as connection, barrier.action(connection, "k", request="r") as held:
        if held.mine:
            await connection.execute(WORK)
            held.keep("second")
    return held.record


async def undo(place: Place) -> Record:
    """One compensation on a connection of its own."""
    async with place.begin() as connection, barrier.compensation(connection, "k", request=None) as held:
        if held.mine:
            await connection.execute("DELETE FROM booked")
    return held.record


async def open_action(connection: Psycopg) -> None:
    """An action whose transaction is not committed yet."""
    async with barrier.action(connection, "k", request="r") as held:
        assert held.mine
        await connection.execute(WORK)
        held.keep("first")


async def test_s36_two_actions_at_once_are_one(place: Place) -> None:
    """The second waits on the unique key, and is answered with the result of the first."""
    async with place.begin() as first:
        await open_action(first)
        second = asyncio.create_task(act(place))
        await place.waits()
        await first.commit()
        assert (await second).answer() == "first"
    assert place.works() == 1


async def test_s36_the_second_runs_when_the_first_is_rolled_back(place: Place) -> None:
    """Nothing happened, so that it is its turn."""
    async with place.begin() as first:
        await open_action(first)
        second = asyncio.create_task(act(place))
        await place.waits()
        await first.rollback()
        assert (await second).answer() == "second"
    assert place.works() == 1


async def test_s36_the_second_runs_when_the_first_crashed_before_its_commit(place: Place) -> None:
    """A killed backend, as by a crash of the service: neither work nor row remains, and the key is free."""
    first = await psycopg.AsyncConnection.connect(place.url)
    await open_action(first)
    second = asyncio.create_task(act(place))
    await place.waits()
    place.execute("SELECT pg_terminate_backend(%s)", first.info.backend_pid)
    assert (await second).answer() == "second"
    assert place.works() == 1
    await first.close()


async def test_s36_a_compensation_waits_for_the_action_and_undoes_it(place: Place) -> None:
    """It came while the action's transaction was open: it neither skips nor fences before it knows."""
    async with place.begin() as first:
        await open_action(first)
        second = asyncio.create_task(undo(place))
        await place.waits()
        await first.commit()
        assert (await second).state is State.DONE
    assert place.works() == 0


async def test_s36_a_compensation_fences_an_action_that_is_rolled_back(place: Place) -> None:
    """The action may be sent again, and must not run then."""
    async with place.begin() as first:
        await open_action(first)
        second = asyncio.create_task(undo(place))
        await place.waits()
        await first.rollback()
        assert (await second).state is State.SKIPPED
    assert (await act(place)).state is State.FENCED
    assert place.works() == 0


async def test_s36_an_action_waits_for_the_compensation_and_is_fenced(place: Place) -> None:
    """The other way round: the compensation came first and has not committed yet."""
    async with place.begin() as first:
        async with barrier.compensation(first, "k", request=None) as held:
            assert not held.mine
        second = asyncio.create_task(act(place))
        await place.waits()
        await first.commit()
        with pytest.raises(KeyFenced):
            (await second).answer()


async def test_s36_two_compensations_at_once_undo_once(place: Place) -> None:
    """The second waits, and is answered as done."""
    await act(place)
    async with place.begin() as first:
        async with barrier.compensation(first, "k", request=None) as held:
            assert held.mine
        second = asyncio.create_task(undo(place))
        await place.waits()
        await first.commit()
        assert (await second).state is State.DONE
        assert place.works() == 1  # the first did nothing in this test, and the second must not


async def test_s36_a_question_with_a_fence_waits_for_the_action(place: Place) -> None:
    """It is never answered with a fence while the action can still commit."""
    async with place.begin() as first, place.begin() as asking:
        await open_action(first)
        asked = asyncio.create_task(barrier.fence_async(asking, "k"))
        await place.waits(asking.info.backend_pid)
        await first.commit()
        assert (await asked).state is State.DONE


async def test_s36_who_does_not_want_to_wait_is_told_so(place: Place) -> None:
    """`wait` becomes a lock_timeout for the key alone: the transaction goes on, under its own limit."""
    hasty = Barrier(wait="1ms")
    async with place.begin() as first, place.begin() as second:
        await open_action(first)
        await second.execute("SET LOCAL lock_timeout = '7s'")
        with pytest.raises(InProgress):
            async with hasty.action(second, "k", request="r"):
                raise AssertionError("it must not run")
        with pytest.raises(InProgress):
            await hasty.fence_async(second, "k")
        async with hasty.action(second, "other", request="r") as held:
            assert held.mine
            row = await (await second.execute("SHOW lock_timeout")).fetchone()
            assert row == ("7s",)
        await second.execute(WORK)
    assert place.works() == 2


async def test_s36_a_refusal_loses_against_a_fence_that_waited_for_it(place: Place) -> None:
    """The rollback lets the fence in; the refusal that comes to be stored finds it, and is answered fenced."""
    claim = barrier.claim("k", Side.ACTION, request="r")
    fencing: asyncio.Queue[asyncio.Task[Record]] = asyncio.Queue()

    async with place.begin() as asking:

        async def work(connection: Psycopg, _: object) -> object:
            fencing.put_nowait(asyncio.create_task(barrier.fence_async(asking, "k")))
            await place.waits(asking.info.backend_pid)
            raise Refused("sold_out")

        telling = asyncio.create_task(barrier.once(place.begin, claim, work))
        assert (await (await fencing.get())).state is State.FENCED
        await place.waits()  # the refusal, on the fence's lock
        await asking.commit()
        assert (await telling).state is State.FENCED


async def test_s36_repeatable_read_passes_its_error_on(place: Place) -> None:
    """The second cannot see what the first committed, and is told 40001: run the whole transaction again."""
    async with place.begin() as first, place.begin() as second:
        await second.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await second.execute("SELECT 1 FROM booked")
        await open_action(first)
        waiting = asyncio.create_task(barrier.action(second, "k", request="r").__aenter__())
        await place.waits(second.info.backend_pid)
        await first.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            await waiting
        await second.rollback()
        async with barrier.action(second, "k", request="r") as held:
            assert held.answer() == "first"
