"""The races that the store must win, one schedule each, the same on Postgres and on the model.

These are the schedules of the design that were measured: reaper against batch, wake-up against rest, cancel against
intent, two claimers, two starters, ghosts of a batch, locks in order and out of order.
"""

import pytest
from psycopg import errors

from saga.core.model import Direction
from saga.ids import uuid7
from saga.store import acts, leases, sagas, views
from saga.store import statements as sql
from saga.store.batch import Batch, ClaimRequest, Lane, recover
from saga.store.connections import Connection
from tests.support.lanes import asleep, intent, outcome, seen, turned, unit
from tests.support.racing import CHARGE, LANE, batch, row, waiting
from tests.support.stores import (
    LONG_AGO,
    NAME,
    SCHEMA,
    Seen,
    Store,
    a_worker,
    execute,
    saga_id,
    worker_id,
)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_cancel_that_is_being_committed_decides(
    store: Store, three: list[Connection], commits: bool
) -> None:
    """S32: the batch waits for the saga's row, and its intent sees what became of the cancel."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await execute(one, acts.APPLY, id=saga_id(1), revision=0, cancel=True)
    written = await waiting(store, two, batch(two, unit(saga_id(1), intent())))
    await execute(one, "COMMIT" if commits else "ROLLBACK")
    (done,) = (await written).written
    assert (done.cancel_requested, done.intents) == (commits, frozenset() if commits else CHARGE)


async def test_a_wake_up_that_is_being_committed_refuses_the_rest(
    store: Store, three: list[Connection]
) -> None:
    """No lost wake-up: the batch looks at the inbox behind the saga's lock."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await execute(one, sagas.WAKE, id=saga_id(1))
    written = await waiting(store, two, batch(two, unit(saga_id(1), asleep(0))))
    await execute(one, "COMMIT")
    (done,) = (await written).written
    assert (done.held, done.moved, done.inbox) == (True, False, 1)
    assert (await row(store))["status"] == "running"


async def test_a_wake_up_behind_the_rest_wakes(store: Store, three: list[Connection]) -> None:
    """It waits, and looks at the row again: what was running when it began is asleep now."""
    one, two, _ = three
    me = LANE.parameters()
    await execute(one, "BEGIN")
    await execute(one, sql.LOCK_SAGAS, **me, ids=[saga_id(1)])
    waker = await waiting(store, two, execute(two, sagas.WAKE, id=saga_id(1)))
    rest = {"saga": [saga_id(1)], "epoch": [1], "write_id": [uuid7()], "seen": [0], "status": ["asleep"]}
    empty = ("wake_at", "waiting_for", "output", "error", "degraded", "plan", "park_cause", "park_reason",
             "park_detail", "alarm", "amendment")  # fmt: skip
    more = {name: [None] for name in empty} | {
        "direction": ["forward"],
        "calm": [False],
        "past_pivot": [False],
    }
    assert (await execute(one, sql.SAGAS, **me, **rest, **more)).status == "UPDATE 1"
    await execute(one, "COMMIT")
    assert await waker == Seen("UPDATE 1", (("ready",),))
    assert (await row(store))["inbox"] == 1


async def test_intents_join_the_saga_as_it_is(store: Store, three: list[Connection]) -> None:
    """After the turn no step is begun, and its undo is; an outcome needs no direction."""
    one, *_ = three
    await batch(one, unit(saga_id(1), intent()))
    await batch(one, unit(saga_id(1), turned()), number=2)
    back = intent(direction=Direction.BACKWARD)
    late = await batch(one, unit(saga_id(1), intent("ship#1"), outcome()), unit(saga_id(1), back), number=3)
    assert [w.intents for w in late.written] == [frozenset(), frozenset({("charge#1", Direction.BACKWARD)})]
    assert {e["status"] for e in await store.rows("effect")} == {"succeeded", "sent"}


async def test_a_claim_that_is_lost_writes_nothing_but_evidence(
    store: Store, three: list[Connection]
) -> None:
    """Owner, lane and epoch are asked of each row (S33)."""
    one, *_ = three
    done = await batch(one, unit(saga_id(1), intent(), outcome(), seen(), asleep(0), epoch=9))
    assert (done.written[0].held, done.written[0].moved) == (False, False)
    assert (len(await store.rows("effect")), len(await store.rows("evidence"))) == (0, 1)


async def test_a_dead_worker_is_fenced(store: Store, three: list[Connection]) -> None:
    """The whole pipeline behind the fence is undone, and an aborted COMMIT answers ROLLBACK."""
    one, two, _ = three
    await leases.leave(two, SCHEMA, worker_id(0))
    with pytest.raises(errors.DivisionByZero):
        await batch(one, unit(saga_id(1), intent(), seen()), room=5)
    assert await store.rows("effect") == await store.rows("evidence") == []
    assert (await execute(one, views.SECRET)).sqlstate == "25P02"
    assert (await execute(one, "COMMIT")).status == "ROLLBACK"


async def test_a_ghost_of_a_batch_is_fenced(store: Store, three: list[Connection]) -> None:
    """S6: the batch whose reply was lost and that is sent again finds its number taken; recovery tells what it did."""
    one, two, _ = three
    work = unit(saga_id(1), intent())
    await batch(one, work)
    with pytest.raises(errors.DivisionByZero):
        await batch(two, work)
    await two.execute("ROLLBACK")
    sent = Batch(1, "working", [work], ClaimRequest(1, [NAME], [1]))
    done = await recover(two, LANE, sent, 0.0)
    assert done is not None
    assert (done.written[0].intents, [r[0] for r in done.claimed]) == (CHARGE, [saga_id(1)])
    assert await recover(two, LANE, Batch(2, "working", [work]), 0.0) is None
    with pytest.raises(LookupError):
        await recover(two, Lane(SCHEMA, worker_id(8), 0, 1000), sent, 0.0)


async def test_recovery_waits_for_the_batch_that_still_commits(store: Store, three: list[Connection]) -> None:
    """Then its number says which way it went."""
    one, two, _ = three
    for name, values in ((sql.FENCE, {"batch": 1}), (sql.BEAT, {"batch": 1, "state": "working"})):
        if name is sql.FENCE:
            await execute(one, "BEGIN")
        await execute(one, name, **LANE.parameters(), **values)
    done = await waiting(store, two, recover(two, LANE, Batch(1, "working", []), 0.0))
    await execute(one, "COMMIT")
    assert await done is not None


@pytest.mark.parametrize("commits", [True, False])
async def test_a_beat_that_lands_meanwhile_saves_the_worker(store: Store, commits: bool) -> None:
    """The reaper waits for the batch, and asks again of the row that it left."""
    await store.put("worker", a_worker(0, beat=LONG_AGO))
    one, two = await store.connect(), await store.connect()
    await execute(one, "BEGIN")
    await execute(one, sql.FENCE, **LANE.parameters(), batch=1)
    await execute(one, sql.BEAT, **LANE.parameters(), batch=1, state="working")
    # a beat is now, and the lease an hour: the worker is silent only if the batch is undone
    reaped = await waiting(store, two, leases.reap(two, SCHEMA))
    await execute(one, "COMMIT" if commits else "ROLLBACK")
    assert await reaped == ([] if commits else [worker_id(0)])
    assert len(await store.rows("worker")) == commits


async def test_a_fence_behind_the_reaper_fails(store: Store) -> None:
    """The batch waits for the reaper, and finds no row."""
    await store.put("worker", a_worker(0, beat=LONG_AGO))
    one, two = await store.connect(), await store.connect()
    await execute(one, "BEGIN")
    await execute(one, leases.LOCK_WORKER, id=worker_id(0))
    await execute(one, leases.LEAVE, id=worker_id(0))
    late = await waiting(store, two, batch(two))
    await execute(one, "COMMIT")
    with pytest.raises(errors.DivisionByZero):
        await late
