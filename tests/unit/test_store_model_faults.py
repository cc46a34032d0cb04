"""What befalls the model of the store: failovers, clients that vanish or freeze, injected errors, hooks, circles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import psycopg
import pytest

from saga.store import leases, sagas, views
from saga.store import statements as sql
from saga.store.patience import answering
from saga.store.sql import Statement
from saga.testing.store import Database, Direct, Fate, LoopTimers, Session
from saga.testing.store.messages import Block
from tests.support.stores import LONG_AGO, NAME, a_saga, a_worker, running, saga_id, worker_id
from tests.support.worlds import World

ME = {"me": worker_id(0), "lane": 0}
CLAIM = (sql.CLAIM, {**ME, "room": 9, "names": [NAME], "versions": [1]})


@pytest.fixture
def world() -> World:
    made = World()
    made.put("worker", a_worker(0))
    made.put("saga", running(1))
    made.put("saga", a_saga(2))
    return made


def wake(n: int) -> tuple[Statement, dict[str, Any]]:
    return sagas.WAKE, {"id": saga_id(n)}


def test_a_failover_loses_the_newest_of_what_the_replica_never_confirmed(world: World) -> None:
    """A verified commit confirms all before it; the lost rows are as they were, and can be claimed anew."""
    session = world.session()
    world.send(session, wake(1))
    world.database.fate = lambda _: Fate.UNCONFIRMED
    assert world.send(session, "BEGIN", wake(1), "COMMIT")[-1] == "COMMIT"
    assert [notice.sqlstate for notice in world.replies[session.pid][-1].notices] == ["01000"]
    world.send(session, CLAIM)
    world.put("saga", a_saga(3))
    world.send(session, (leases.LEAVE, {"id": worker_id(0)}))
    assert world.database.failover(lambda count: count - 2) == 2
    found = world.saga(1), world.saga(2)
    assert [(s["inbox"], s["status"]) for s in found if s] == [(2, "running"), (0, "ready")]
    assert len(world.database.tables.worker.rows) == 1
    world.database.fate = None
    again = world.session()
    assert world.send(again, CLAIM) == ["UPDATE 2"]
    assert world.send(session, wake(1)) == ["ended None"]


def test_what_was_verified_since_is_never_lost(world: World) -> None:
    """One commit without a warning, and the replica has everything."""
    session = world.session()
    world.database.fate = lambda _: Fate.UNCONFIRMED
    world.send(session, wake(1))
    world.database.fate = None
    world.send(session, wake(2))
    assert world.database.failover(lambda _: 0) == 0


def test_a_failover_takes_back_an_insert(world: World) -> None:
    """The saga was never started, and its key is free."""
    from saga.store import starts

    new = starts.NewSaga(saga_id(7), NAME, 1, "k7", "1", "h", None)
    start = (starts.START, new.parameters("saga"))
    world.database.fate = lambda _: Fate.UNCONFIRMED
    assert world.send(world.session(), start) == ["INSERT 0 1"]
    world.database.failover(lambda _: 0)
    assert world.saga(7) is None
    assert world.send(world.session(), start) == ["INSERT 0 1"]


def test_a_client_that_vanishes_is_noticed_when_its_request_is_done(world: World) -> None:
    """What runs, runs to its end; an open transaction is undone."""
    one, two = world.session(), world.session()
    world.send(one, "BEGIN", wake(1))
    assert world.send(two, "BEGIN", wake(1), wake(2), "COMMIT") == []
    two.vanish()
    one.vanish()
    found = world.saga(1), world.saga(2)
    assert [s["inbox"] for s in found if s] == [1, 1]
    assert (one.ended, two.ended) != (None, None)
    assert world.database.sessions == {}


def test_a_session_that_is_terminated_stops_at_once(world: World) -> None:
    """In the middle of its wait; its locks are free, its client is told why."""
    one, two, three = world.session(), world.session(), world.session()
    world.send(one, "BEGIN", wake(1))
    world.send(two, "BEGIN", wake(2), wake(1), "COMMIT")
    assert world.send(three, wake(2)) == []
    two.terminate()
    assert world.said(two) == ["ended 57P01"]
    assert world.said(three) == ["UPDATE 1"]


def test_half_a_pipeline_holds_its_locks(world: World) -> None:
    """A client that is frozen there: none of the limits counts but the one on the whole transaction."""
    session = world.session()
    limits = (sql.LIMITS, {"ms": "1000"})
    fence = (sql.FENCE, {**ME, "batch": 1})
    first, rest = world.request("BEGIN", limits, fence, wake(1), "COMMIT").split(3)
    session.run(first, world.replies[session.pid].append)
    reaper = world.session()
    assert world.send(reaper, (leases.LEAVE, {"id": worker_id(0)})) == []
    world.time.pass_by(2.9)
    assert session.ended is None
    world.time.pass_by(0.2)
    assert world.said(reaper) == ["DELETE 1"]
    session.run(rest, world.replies[session.pid].append)
    assert world.said(session) == ["ended 25P04"]


def test_the_rest_of_a_pipeline_answers_for_all_of_it(world: World) -> None:
    """The replies come with the sync."""
    session = world.session()
    first, rest = world.request("BEGIN", wake(1), "COMMIT").split(2)
    session.run(first, world.replies[session.pid].append)
    session.run(rest, world.replies[session.pid].append)
    assert world.said(session) == ["BEGIN", "UPDATE 1", "COMMIT"]


def test_an_injected_error_strikes_where_it_is_told(world: World) -> None:
    """At the next statement, or at the next of a name."""
    session = world.session()
    session.fail_next("53100", on="commit")
    assert world.send(session, "BEGIN", wake(1), "COMMIT") == ["BEGIN", "UPDATE 1", "53100"]
    saga = world.saga(1)
    assert saga is not None
    assert saga["inbox"] == 0
    assert session.block is Block.IDLE
    assert world.send(session, "ROLLBACK", (views.SECRET, {})) == ["ROLLBACK", "SELECT 1"]


def test_others_may_run_between_two_statements(world: World) -> None:
    """And a lock that was taken before holds."""
    world.database.between = lambda session: 0.0 if session.pid == 1 else None
    one, two = world.session(), world.session()
    assert world.send(one, "BEGIN", wake(1), wake(2), "COMMIT") == []
    world.time.pass_by(0.0)
    assert world.said(one) == ["BEGIN", "UPDATE 1", "UPDATE 1", "COMMIT"]
    assert world.send(two, wake(1)) == ["UPDATE 1"]


def test_a_saga_that_was_claimed_meanwhile_is_not_taken_from_the_living(world: World) -> None:
    """Between a reaper's look and its lock another readied the orphan, and a living worker claimed it."""
    world.put("saga", running(5, 9, wake_at=LONG_AGO))
    world.database.amid = lambda session: 1.0 if session.pid == 1 else None
    slow, other = world.session(), world.session()
    orphans = (leases.ORPHANS, {"limit": 9})
    assert world.send(slow, orphans) == []
    assert world.send(other, orphans) == ["UPDATE 1"]
    assert world.send(other, CLAIM) == ["UPDATE 2"]
    world.time.pass_by(1.0)
    assert world.said(slow) == ["UPDATE 0"]
    saga = world.saga(5)
    assert saga is not None
    assert saga["owner"] == worker_id(0)


def test_the_victim_of_a_circle_is_who_looks_first(world: World) -> None:
    """After a second of waiting; the other goes on, with what the victim never wrote."""
    one, two = world.session(), world.session()
    world.send(one, "BEGIN", wake(1))
    world.send(two, "BEGIN", wake(2))
    world.send(one, wake(2))
    world.time.pass_by(0.5)
    world.send(two, wake(1))
    world.time.pass_by(1.0)
    assert (world.said(one), world.said(two)) == (["40P01"], ["UPDATE 1"])


def test_a_hook_may_end_the_session_that_asks_it(world: World) -> None:
    """Between two statements, inside of one: nothing of it stays; at a COMMIT its fate decides, and nobody hears of it."""
    for hook in ("between", "amid", "fate"):
        session, other = world.session(), world.session()

        def strike(asked: Session, struck: Session = session) -> None:
            if asked is struck:
                asked.terminate(None)

        def commit(asked: Session, strike: Callable[[Session], None] = strike) -> Fate:
            strike(asked)
            return Fate.VERIFIED

        setattr(world.database, hook, commit if hook == "fate" else strike)
        assert world.send(session, "BEGIN", wake(1), "COMMIT") == ["ended None"]
        setattr(world.database, hook, None)
        saga = world.saga(1)
        assert saga is not None
        assert saga["inbox"] == (hook == "fate")
        assert world.send(other, "BEGIN", wake(1), "ROLLBACK") == ["BEGIN", "UPDATE 1", "ROLLBACK"]


async def test_whoever_gives_up_on_a_silent_wire_finds_the_connection_broken() -> None:
    """As `saga.store.patience` does it: the server is asked to stop, then the socket is shut down."""
    database = Database(LoopTimers())
    silent = Direct(LoopTimers())
    silent.send = lambda *_: None  # type: ignore[method-assign]
    connection = database.connect(silent)
    with pytest.raises(psycopg.OperationalError):
        async with answering(cast("Any", connection), 0.01):
            await connection.execute("BEGIN")
    assert (connection.closed, connection.broken, database.sessions) == (True, True, {})
