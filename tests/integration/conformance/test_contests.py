"""Claims, starts, acts and limits on waiting under contest: one schedule each, the same on Postgres and on the model."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from psycopg import errors

from saga.core.evidence import EvidenceKind, Landed, Phase, Probed
from saga.core.model import Direction, SagaStatus
from saga.errors import Unsafe
from saga.ids import uuid7
from saga.store import acts, audit, leases, operators, requests, sagas, starts, views
from saga.store import statements as sql
from saga.store.changes import EvidenceWrite, SagaWrite
from saga.store.connections import Connection
from tests.support.lanes import intent, unit
from tests.support.racing import ACT, LANE, OTHER, batch, row, waiting
from tests.support.stores import (
    LONG_AGO,
    NAME,
    SCHEMA,
    Store,
    a_saga,
    a_worker,
    execute,
    running,
    saga_id,
    worker_id,
)


async def test_claims_and_movers_pass_by_what_is_locked(store: Store) -> None:
    """SKIP LOCKED: two claimers share, and neither waits; so do the mover and the reaper of orphans."""
    for n in (0, 1):
        await store.put("worker", a_worker(n))
    for n in range(4):
        await store.put("saga", a_saga(n))
    await store.put("saga", a_saga(4, status="asleep"))
    await store.put("saga", running(5, 9))
    one, two = await store.connect(), await store.connect()
    claim = {"names": [NAME], "versions": [1]}
    await execute(one, "BEGIN")
    first = await execute(one, sql.CLAIM, **LANE.parameters(), room=2, **claim)
    second = await execute(two, sql.CLAIM, **OTHER.parameters(), room=9, **claim)
    assert first.lines is not None
    assert second.lines is not None
    assert [[line[3] for line in seen.lines or ()] for seen in (first, second)] == [
        ["k0", "k1"],
        ["k2", "k3"],
    ]
    await execute(one, sagas.WAKE, id=saga_id(4))
    await execute(one, sagas.WAKE, id=saga_id(5))
    assert (await leases.ready_due(two, SCHEMA), await leases.ready_orphans(two, SCHEMA)) == (0, 0)
    await execute(one, "ROLLBACK")
    assert (await leases.ready_due(two, SCHEMA), await leases.ready_orphans(two, SCHEMA)) == (1, 1)


@pytest.mark.parametrize("commits", [True, False])
async def test_a_second_starter_waits_for_the_first(store: Store, commits: bool) -> None:
    """One saga a key: the same if the first commits, its own if not; a row that is being written holds it up, too."""
    one, two = await store.connect(), await store.connect()
    mine, theirs = (starts.NewSaga(saga_id(n), NAME, 1, "k", "1", "h", 60.0) for n in (1, 2))
    await execute(one, "BEGIN")
    await starts.start_async(one, SCHEMA, mine)
    await execute(two, "BEGIN")
    started = await waiting(store, two, starts.start_async(two, SCHEMA, theirs))
    await execute(one, "COMMIT" if commits else "ROLLBACK")
    assert (await started).id == saga_id(1 if commits else 2)
    await execute(two, "COMMIT")
    await execute(one, "BEGIN")
    await execute(one, sagas.WAKE, id=(await started).id)
    again = await waiting(store, two, execute(two, starts.START, **mine.parameters(SCHEMA)))
    await execute(one, "COMMIT")
    assert (await again).status == "INSERT 0 0"


async def test_a_start_in_autocommit_of_the_caller_is_a_transaction(store: Store) -> None:
    """BEGIN, START, COMMIT, as the engine does it; an error inside rolls back."""
    one = await store.connect()
    new = starts.NewSaga(saga_id(1), NAME, 1, "k", "1", "h", None)
    async with one.transaction():
        await starts.start_async(one, SCHEMA, new)
    with pytest.raises(errors.InvalidTextRepresentation):
        async with one.transaction():
            await starts.start_async(one, SCHEMA, starts.NewSaga(saga_id(2), NAME, 1, "x", "{", "h", None))
    assert [s["id"] for s in await store.rows("saga")] == [saga_id(1)]
    assert one.info.transaction_status == 0


async def test_two_acts_with_one_number(store: Store, three: list[Connection]) -> None:
    """The second waits for the first's number, fails, and is run again: numbers have no gap, and both are done."""
    one, two, _ = three
    await store.put("saga", a_saga(2))
    await execute(one, "BEGIN")
    entry: dict[str, Any] = {"who": "bob", "act": "x", "saga_id": saga_id(2), "because": "y", "detail": {}}
    await audit.append(one, SCHEMA, **entry)
    acted = await waiting(store, two, operators.cancel(two, SCHEMA, ACT))
    await execute(one, "COMMIT")
    assert (await acted).number == 2
    entries = await audit.trail(two, SCHEMA)
    assert audit.broken_at(entries) is None
    assert (await row(store))["cancel_requested"]


async def test_of_two_operators_one_wins(store: Store, three: list[Connection]) -> None:
    """S39: the other waits for the saga, and is told who was first."""
    one, two, _ = three
    await execute(one, "BEGIN")
    seen_one = await acts.lock(one, SCHEMA, ACT)
    late = await waiting(store, two, operators.abandon(two, SCHEMA, ACT))
    await acts.apply(one, SCHEMA, ACT, seen_one, word="cancel", cancel=True)
    await execute(one, "COMMIT")
    with pytest.raises(acts.Overtaken, match="ann was first"):
        await late
    with pytest.raises(Unsafe):
        await operators.abandon(two, SCHEMA, acts.Act(saga_id(1), 1, "ann", "because"))


async def test_late_evidence_wakes_alarms_and_reopens(store: Store, three: list[Connection]) -> None:
    """S16, S25: what was settled as not executed has landed, after the end."""
    one, *_ = three
    await batch(one, unit(saga_id(1), intent()))
    never = {"saga": [saga_id(1)], "epoch": [1], "step": ["charge#1"], "direction": ["forward"], "attempt": [1],
             "status": ["not_executed"], "result": [None], "error": [None], "proof": ["silence"],
             "by_statement": [False], "completion": [1], "probes": [2], "in_doubt": [False], "ended": [True]}  # fmt: skip
    await execute(one, sql.OUTCOMES, **LANE.parameters(), **never)
    end = SagaWrite(SagaStatus.COMPLETED, Direction.FORWARD, 0, output="1")
    await batch(one, unit(saga_id(1), end), number=2)
    heard = Probed(1, Landed("1"), Phase.QUIET, LONG_AGO)
    news = EvidenceWrite(uuid7(), "charge#1", Direction.FORWARD, 1, EvidenceKind.PROBE, "{}")
    alarm = await sagas.witness(one, SCHEMA, worker=None, saga_id=saga_id(1), write=news, seen=heard)
    assert alarm is not None
    saga = await row(store)
    assert (saga["status"], saga["amendment"], saga["alarm"]) == ("ready", '{"end" : "completed"}', alarm)


async def test_a_lock_that_is_not_given_in_time(store: Store, three: list[Connection]) -> None:
    """The reaper's own limit: 55P03, and the transaction is over; without one it waits."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await execute(one, sagas.WAKE, id=saga_id(1))
    await execute(two, "BEGIN")
    await execute(two, "SET LOCAL lock_timeout = 50")
    assert (await execute(two, sagas.WAKE, id=saga_id(1))).sqlstate == "55P03"
    assert (await execute(two, "COMMIT")).status == "ROLLBACK"
    await execute(two, "BEGIN")
    await execute(two, sql.LIMITS, ms="60")
    assert (await execute(two, sagas.WAKE, id=saga_id(1))).sqlstate in {"57014", "55P03"}
    await execute(two, "ROLLBACK")


async def test_a_transaction_that_idles_too_long_is_ended(store: Store, three: list[Connection]) -> None:
    """Its session is, and its locks are free: the reaper is held up no longer than that."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await execute(one, sql.LIMITS, ms="100")
    await execute(one, sagas.WAKE, id=saga_id(1))
    assert (await execute(two, sagas.WAKE, id=saga_id(1))).status == "UPDATE 1"
    assert (await execute(one, "COMMIT")).sqlstate in {"25P03", "25P04"}
    assert (one.closed, one.broken) == (True, True)
    assert (await row(store))["inbox"] == 1


async def test_a_circle_has_a_victim(store: Store, three: list[Connection]) -> None:
    """Locks out of order: of two that wait for each other exactly one gets 40P01, and the other goes on."""
    one, two, _ = three
    await store.put("saga", a_saga(2))
    for connection, n in ((one, 1), (two, 2)):
        await execute(connection, "BEGIN")
        await execute(connection, sagas.WAKE, id=saga_id(n))
    first = await waiting(store, one, execute(one, sagas.WAKE, id=saga_id(2)))
    second = asyncio.ensure_future(execute(two, sagas.WAKE, id=saga_id(1)))
    states = [s.sqlstate for s in await asyncio.gather(first, second)]
    assert sorted(states, key=str) == ["40P01", None]


async def test_a_statement_that_is_cancelled_stops(store: Store, three: list[Connection]) -> None:
    """The client asks the server to stop, and waits for its answer: the connection is of use again."""
    one, two, _ = three
    await execute(one, "BEGIN")
    await execute(one, sagas.WAKE, id=saga_id(1))
    task = await waiting(store, two, execute(two, sagas.WAKE, id=saga_id(1)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await execute(two, views.SECRET)).status == "SELECT 1"
    await execute(one, "ROLLBACK")


async def test_a_question_is_taken_once(store: Store, three: list[Connection]) -> None:
    """Of two workers one gets it; its answer is written once; a listener hears of it when it is committed."""
    one, two, three_ = three
    await execute(three_, f'LISTEN "saga_ready_{SCHEMA}"')
    within = timedelta(hours=1)
    question = requests.Question(saga_id(1), "charge#1", Direction.FORWARD, "ann")
    asked = await requests.request_probe(one, SCHEMA, question, within=within)
    async for heard in three_.notifies():
        assert heard.channel == f"saga_ready_{SCHEMA}"
        break
    served = ([NAME], [1])
    taken = [await requests.take_requests(c, SCHEMA, served, worker_id(0)) for c in (one, two)]
    assert [[t.id for t in each] for each in taken] == [[asked], []]
    for answer in ('{"a": 1}', '{"a": 2}'):
        await requests.answer_request(one, SCHEMA, asked, answer)
    state = await requests.request_state(one, SCHEMA, asked)
    assert (state.answer, state.taken_by) == ('{"a": 1}', worker_id(0))
