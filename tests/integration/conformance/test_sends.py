"""Signals under contest: with a saga that goes to rest, with its end, and with another sender. The same on both stores."""

import pytest

from saga.core.model import Direction, MomentKind, SagaStatus
from saga.errors import AlreadyEnded, KeyConflict, NotFoundError
from saga.store.changes import MomentEnd, MomentWrite, SagaWrite, Unit
from saga.store.connections import Connection, verified
from saga.store.signals import NewSignal, send_own
from tests.support.lanes import asleep, unit
from tests.support.racing import batch, row, waiting
from tests.support.stores import NAME, SCHEMA, Store, execute, number, saga_id


def told(payload: str = '{"by":"ann"}', *, n: int = 1, key: str | None = "k", to: str = "k1") -> NewSignal:
    return NewSignal(number(7, n), NAME, to, "approval", payload, key)


async def send(connection: Connection, new: NewSignal) -> None:
    async with verified(connection):
        await send_own(connection, SCHEMA, new)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_signal_that_is_being_committed_refuses_the_rest(
    store: Store, three: list[Connection], commits: bool
) -> None:
    """No lost wake-up: the saga stays, and reads what was sent; or rests, where nothing was."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await send_own(one, SCHEMA, told())
    written = await waiting(store, two, batch(two, unit(saga_id(1), asleep(0))))
    await execute(one, "COMMIT" if commits else "ROLLBACK")
    (done,) = (await written).written
    assert (done.held, done.moved) == (True, not commits)
    assert len(await store.rows("signal")) == int(commits)


async def test_a_signal_behind_the_rest_wakes(store: Store, three: list[Connection]) -> None:
    """It is in the order of its wake-up."""
    one, two, _ = three
    await batch(one, unit(saga_id(1), asleep(0)))
    await send(two, told())
    await send(two, told(n=2, key=None))
    assert ((await row(store))["status"], (await row(store))["inbox"]) == ("ready", 2)
    assert [signal["number"] for signal in await store.rows("signal")] == [1, 2]


async def test_two_senders_under_one_key_are_one(store: Store, three: list[Connection]) -> None:
    """The second waits for the first, and finds what it has sent."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await send_own(one, SCHEMA, told())
    second = await waiting(store, two, send(two, told(n=2)))
    await execute(one, "COMMIT")
    await second
    assert [signal["id"] for signal in await store.rows("signal")] == [number(7, 1)]
    with pytest.raises(KeyConflict):
        await send(two, told('{"by":"bob"}', n=3))
    assert two.info.transaction_status == 0


async def test_a_signal_that_meets_the_end_is_told(store: Store, three: list[Connection]) -> None:
    """It says so; what had been sent before stays sent."""
    one, two, three_ = three
    await send(three_, told())
    end = SagaWrite(SagaStatus.COMPLETED, Direction.FORWARD, seen=1, output="1")
    (done,) = (await batch(one, unit(saga_id(1), end))).written
    assert done.moved
    await send(two, told())
    with pytest.raises(AlreadyEnded, match="k1 has ended, it is completed"):
        await send(two, told(n=2, key="other"))
    with pytest.raises(NotFoundError, match="no saga shop with the key 'nobody'"):
        await send(two, told(to="nobody"))


async def test_a_wait_begins_and_ends_in_one_batch(store: Store, three: list[Connection]) -> None:
    """A signal that was there before: the moment is new, and has ended."""
    one, two, _ = three
    await send(two, told())
    made: Unit = unit(saga_id(1))
    made.moments.append(MomentWrite("approval#1", MomentKind.SIGNAL, 1, 60.0))
    made.moment_ends.append(MomentEnd("approval#1", 1, number(7, 1)))
    (done,) = (await batch(one, made)).written
    assert done.held
    moment = await row(store, "moment")
    assert (moment["signal"], moment["completion"]) == (number(7, 1), 1)
