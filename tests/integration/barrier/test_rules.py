"""S36: the forward key decides, over every kind of connection: who came first, who runs, and what everybody is told."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from saga import Refused
from saga.barrier import (
    Barrier,
    BarrierError,
    InProgress,
    KeyFenced,
    RequestMismatch,
    Side,
    State,
)
from tests.integration.barrier.place import ASYNC_KINDS, WORK, Place, Psycopg, statement

barrier = Barrier()


async def act(place: Place, key: str = "k", request: object = "r", result: object = "done") -> Any:
    """One action, as a service does it."""
    async with place.begin() as connection, barrier.action(connection, key, request=request) as held:
        if held.mine:
            await connection.execute(WORK)
            held.keep(result)
    return held.answer()


async def undo(place: Place, key: str = "k", request: object = "u") -> bool:
    """One compensation; whether there was something to undo."""
    async with place.begin() as connection, barrier.compensation(connection, key, request=request) as held:
        if held.mine:
            await connection.execute("DELETE FROM booked")
    held.answer()
    return held.mine


@pytest.mark.parametrize("kind", ASYNC_KINDS)
async def test_s36_an_action_runs_once_and_is_answered_alike(place: Place, kind: str) -> None:
    """The second request gets the result of the first, over every connection that is awaited."""
    for turn in range(2):
        async with (
            place.transaction(kind) as connection,
            barrier.action(connection, "k", request={"n": 1}, name="book") as held,
        ):
            assert (held.mine, held.done, held.fenced) == (turn == 0, turn == 1, False)
            if held.mine:
                await connection.execute(statement(kind, WORK))
                held.keep({"id": 7})
        assert held.answer() == {"id": 7}
    assert (place.rows(), place.works()) == ([("k", "action", "done")], 1)


@pytest.mark.parametrize("kind", ASYNC_KINDS)
def test_s36_the_same_over_connections_that_block(place: Place, kind: str) -> None:
    """One implementation of the rules: `with` does what `async with` does."""
    for _ in range(2):
        with (
            place.transaction_sync(kind) as connection,
            barrier.action(connection, "k", request=b"bytes") as held,
        ):
            if held.mine:
                connection.execute(statement(kind, WORK))
                held.keep({"id": 7})
        assert held.answer() == {"id": 7}
    assert place.works() == 1
    with place.transaction_sync(kind) as connection:
        with barrier.compensation(connection, "k", request=None) as undone:
            assert undone.action is not None
            assert (undone.mine, undone.action.result) == (True, {"id": 7})
        assert barrier.look(connection, "k", Side.COMPENSATION) is not None
        assert barrier.fence(connection, "other").state is State.FENCED
    assert len(place.rows()) == 3


async def test_s36_a_compensation_that_comes_first_skips_itself_and_fences_the_action(place: Place) -> None:
    """The action comes late: it is answered fenced, today and ever after, and nothing runs."""
    assert await undo(place) is False
    for _ in range(2):
        with pytest.raises(KeyFenced):
            await act(place)
    assert await undo(place) is False
    assert place.rows() == [("k", "action", "fenced"), ("k", "compensation", "skipped")]
    assert place.works() == 0


async def test_s36_a_compensation_undoes_once(place: Place) -> None:
    """And a late action after it is answered with its old result, and does not run again."""
    await act(place)
    assert await undo(place) is True
    assert await undo(place) is False
    assert await act(place) == "done"
    assert place.works() == 0


async def test_s36_a_fence_never_overrules_what_happened(place: Place) -> None:
    """The question with a fence settles either way: it finds the result, or makes sure that there never is one."""
    await act(place)
    async with place.begin() as connection:
        assert (await barrier.fence_async(connection, "k")).result == "done"
        assert (await barrier.fence_async(connection, "new")).state is State.FENCED
        assert await barrier.look_async(connection, "unseen") is None
    with pytest.raises(KeyFenced):
        await act(place, "new")


async def test_s36_another_request_under_the_key_is_a_mismatch(place: Place) -> None:
    """Something ran under the key, and it was not this: neither run nor answered; an other name is another request."""
    await act(place, request={"a": 1, "b": 2})
    assert await act(place, request={"b": 2, "a": 1}) == "done"
    with pytest.raises(RequestMismatch):
        await act(place, request={"a": 1, "b": 3})
    async with place.begin() as connection:
        with pytest.raises(RequestMismatch):
            async with barrier.action(connection, "k", request={"a": 1, "b": 2}, name="other"):
                pass
        await connection.execute(WORK)  # the caller's transaction is unharmed
    assert await undo(place) is True
    with pytest.raises(RequestMismatch):
        await undo(place, request="another")


async def test_s36_a_refusal_is_stored_after_the_rollback(place: Place) -> None:
    """What the work did before it said no is gone, and the no is for ever."""
    ran = []

    async def work(connection: Psycopg, _: object) -> object:
        ran.append(1)
        await connection.execute(WORK)
        raise Refused("sold_out", "none is left")

    for _ in range(2):
        record = await barrier.once(place.begin, barrier.claim("k", Side.ACTION, request="r"), work)
        with pytest.raises(Refused, match="sold_out: none is left"):
            record.answer()
    assert (len(ran), place.works(), place.rows()) == (1, 0, [("k", "action", "refused")])
    assert await undo(place) is False  # nothing to undo, and nothing to fence


async def test_s36_a_refusal_that_comes_second_is_not_the_answer(place: Place) -> None:
    """Between rollback and storing another attempt may succeed: both are answered with what is stored."""
    claim = barrier.claim("k", Side.ACTION, request="r")

    async def refused_meanwhile(_: Psycopg, __: object) -> object:
        raise Refused("sold_out")

    turns = iter([place.begin, None])

    def begin() -> Any:
        if next(turns) is None:  # the transaction of the refusal: another attempt came in between
            place.execute(
                "INSERT INTO saga_barrier (key, side, state, result) VALUES ('k', 'action', 'done', '7')"
            )
        return place.begin()

    record = await barrier.once(begin, claim, refused_meanwhile)
    assert record.answer() == 7
    with place.transaction_sync("psycopg") as connection:
        assert barrier.refuse(connection, claim, Refused("late")).answer() == 7


async def test_s36_an_exception_leaves_neither_work_nor_row(place: Place) -> None:
    """Not even where the caller goes on with the transaction and commits it: the next request runs anew."""

    async def break_down(connection: Psycopg) -> None:
        async with barrier.action(connection, "k", request="r"):
            await connection.execute(WORK)
            raise KeyError("a bug")

    async with place.begin() as connection:
        with pytest.raises(KeyError):
            await break_down(connection)
        await connection.execute("INSERT INTO booked VALUES ('the caller went on')")
    assert (place.rows(), place.works()) == ([], 1)
    assert await act(place) == "done"


async def test_s36_an_error_of_the_database_that_is_swallowed_is_no_success(place: Place) -> None:
    """COMMIT of an aborted transaction says nothing and stores nothing: the block says it."""

    async def swallow() -> None:
        async with place.begin() as connection, barrier.action(connection, "k", request="r"):
            with pytest.raises(psycopg.errors.UndefinedTable):
                await connection.execute("INSERT INTO nowhere VALUES (1)")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction):
        await swallow()
    assert place.rows() == []


async def test_s36_a_commit_inside_the_block_is_loud_and_never_done(place: Place) -> None:
    """What was committed too early stays started: nobody is told that it was done."""
    with pytest.raises(psycopg.Error):
        async with place.begin() as connection, barrier.action(connection, "k", request="r"):
            await connection.commit()
    with pytest.raises(InProgress):
        await act(place)
    with pytest.raises(InProgress):
        await undo(place)


async def test_s36_a_rollback_inside_the_block_is_loud(place: Place) -> None:
    """The work is gone, and the row with it: whoever goes on believing in it is told."""
    with pytest.raises(BarrierError, match="not held any more"):
        async with place.begin() as connection, barrier.action(connection, "k", request="r"):
            await connection.rollback()
    assert await act(place) == "done"


def test_s36_row_and_work_must_share_a_transaction(place: Place) -> None:
    """Autocommit, another database and a thing that is none are refused with a sentence."""
    with psycopg.connect(place.url, autocommit=True) as connection:
        with pytest.raises(BarrierError, match="autocommit"), barrier.action(connection, "k", request=None):
            pass
        with connection.transaction(), barrier.action(connection, "k", request=None) as held:
            assert held.mine
    with (
        create_engine("sqlite://").begin() as other,
        pytest.raises(BarrierError, match="sqlite"),
        barrier.action(other, "k", request=None),
    ):
        pass
    with pytest.raises(TypeError, match="no transaction"), barrier.action("url", "k", request=None):
        pass


async def test_s36_a_blocking_block_around_what_is_awaited_is_refused(place: Place) -> None:
    """The sentence says what to write."""
    async with place.begin() as connection:
        with pytest.raises(TypeError, match="async with"), barrier.action(connection, "k", request=None):
            pass


def test_s36_what_cannot_be_kept_is_refused_before_it_is_too_late(place: Place) -> None:
    """Inside the block, so that the work is undone: too large, NaN, not ours; and a key that no index holds."""
    with place.transaction_sync("psycopg") as connection, barrier.action(connection, "k", request=1) as held:
        with pytest.raises(ValueError, match="more than"):
            held.keep("x" * 1024 * 1024)
        with pytest.raises(ValueError, match="JSON"):
            held.keep(float("nan"))
    with (
        place.transaction_sync("psycopg") as connection,
        barrier.action(connection, "k", request=1) as held,
        pytest.raises(RuntimeError, match="settled before"),
    ):
        held.keep(1)
    for key in ("", "x" * 256, "\x00"):
        with pytest.raises(BarrierError):
            barrier.claim(key, Side.ACTION, request=None)
