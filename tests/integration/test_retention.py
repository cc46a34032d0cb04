"""What has ended long ago is purged, and its key stays taken: nothing is ever run a second time by accident."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import psycopg
import pytest

from saga import (
    Engine,
    InputError,
    KeyConflict,
    Landed,
    NotFoundError,
    SagaAbandoned,
    SagaFailed,
    SagaPurged,
    Unsafe,
)
from saga.core.model import SagaStatus
from saga.operator import Operator
from saga.store import audit
from saga.store.urls import conninfo
from saga.verify import verify
from saga_worker import Worker
from tests.support import desk_sagas, rows
from tests.support.checkout import checkout, ledger
from tests.support.desk_sagas import paying
from tests.support.fakes import lose_reply

WHY = "the rules say ninety days"
FILL = (
    "INSERT INTO saga.saga (id, name, version, key, status, input, output, input_hash, finished_at, direction, plan)"
    " SELECT gen_random_uuid(), 'checkout', 1, %s || n, %s, '\"secret\"', '\"secret\"', 'h', now() - interval '100 d',"
    " CASE WHEN %s = 'compensated' THEN 'backward' ELSE 'forward' END,"
    " CASE WHEN %s = 'compensated' THEN '{\"steps\": []}'::json END FROM generate_series(1, %s) n"
)


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    ledger.clear()
    async with Engine(database_url, sagas=[checkout]) as made:
        yield made


@pytest.fixture
def desk(engine: Engine) -> Operator:
    return engine.operator("nightly")


def fill(url: str, count: int, status: str = "completed") -> None:
    """Sagas that ended a hundred days ago."""
    rows.execute(url, FILL, f"{status}-", status, status, status, count)


def age(url: str, key: str, interval: str = "100 d") -> None:
    """Let a saga have ended, and been purged, so long ago."""
    rows.execute(
        url,
        f"UPDATE saga.saga SET finished_at = now() - interval '{interval}',"
        f" purged_at = CASE WHEN purged_at IS NOT NULL THEN now() - interval '{interval}' END WHERE key = %s",
        key,
    )


async def ended(engine: Engine, key: str, order: str = "a") -> None:
    """A saga that ran to its end, long ago."""
    async with Worker(engine, lease="3s"):
        await (await engine.start(checkout, order, key=key)).view(wait="20s")
    age(engine.url, key)


def left_of(url: str, key: str) -> tuple[int, int]:
    """How many effects and pieces of evidence a saga has."""
    return len(rows.effects_of(url, key)), len(rows.evidence_of(url, key))


async def entries(engine: Engine) -> list[audit.Entry]:
    async with engine.connection() as connection:
        found = await audit.trail(connection, "saga")
    assert audit.broken_at(found) is None
    return found


async def test_a_purged_saga_leaves_its_end_and_its_key_and_nothing_else(
    engine: Engine, desk: Operator
) -> None:
    """Effects, evidence, input and output are gone; who purged, why and how many is audited, in a chain that holds."""
    ledger.plan("reserve", lose_reply)
    await ended(engine, "k", "secret")
    effects, evidence = left_of(engine.url, "k")
    assert effects
    assert evidence
    assert await desk.retention.purge("90d", because=WHY) == 1
    assert left_of(engine.url, "k") == (0, 0)
    row = rows.saga_of(engine.url, "k")
    assert (row["status"], row["input"], row["output"]) == ("completed", None, None)
    assert "secret" not in str(row)
    (entry,) = await entries(engine)
    assert (entry.who, entry.act, entry.because) == ("nightly", "purge", WHY)
    assert entry.body == {"sagas": 1, "ends": {"completed": 1}, "older_than_seconds": 90 * 86400}
    assert await desk.retention.purge("90d", because=WHY) == 0


async def test_a_start_under_a_purged_key_gives_the_known_end_and_runs_nothing(
    engine: Engine, desk: Operator
) -> None:
    """The same idempotency keys would be sent again, to services that may have forgotten them: so it is never run anew."""
    await ended(engine, "k")
    before = list(ledger.calls)
    await desk.retention.purge("90d", because=WHY)
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k")
        (again,) = await engine.start_many(checkout, [("k", "a")])
        view = await again.view(wait="5s")
        assert (view.status, view.purged, again.id) == ("confirmed", True, handle.id)
        with pytest.raises(SagaPurged, match="its result is gone, and its key stays taken"):
            await handle.result("5s")
    with pytest.raises(KeyConflict):
        await engine.start(checkout, "another", key="k")
    assert ledger.calls == before


async def test_the_key_stays_taken_for_one_whose_snapshot_is_older_than_the_purge(
    engine: Engine, desk: Operator
) -> None:
    """Under REPEATABLE READ nobody sees the purge; the unique index refuses the start all the same."""
    await ended(engine, "k")
    async with await psycopg.AsyncConnection.connect(conninfo(engine.url)) as within:
        await within.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await within.execute("SELECT 1 FROM saga.saga")
        assert await desk.retention.purge("90d", because=WHY) == 1
        with pytest.raises(psycopg.errors.SerializationFailure):
            await engine.start(checkout, "a", key="k", within=within)
    assert len(rows.select(engine.url, "SELECT 1 FROM saga.saga")) == 1


async def test_a_starter_that_meets_the_purge_waits_for_nothing(engine: Engine, desk: Operator) -> None:
    """A start finds the key taken, before, while and after it is purged."""
    await ended(engine, "k")
    starts = asyncio.gather(*(engine.start(checkout, "a", key="k") for _ in range(20)))
    purging = desk.retention.purge("90d", because=WHY)
    handles, purged = await asyncio.gather(starts, purging)
    assert purged == 1
    assert len({handle.id for handle in handles}) == 1


async def test_every_end_is_told_after_the_purge(database_url: str) -> None:
    """Whoever holds a handle still learns which end it was, and the customer's word is the same."""
    desk_sagas.forget()
    async with Engine(database_url, sagas=desk_sagas.SAGAS) as engine:
        desk = engine.operator("nightly")
        lost = await engine.start(paying, "lost", key="declined")
        gone = await engine.start(paying, "x", key="abandoned")
        await desk.abandon("abandoned", because="a test")
        await lost.cancel("a test")
        async with Worker(engine, lease="3s"):
            view = await lost.view(wait="20s")
        for key in ("declined", "abandoned"):
            age(database_url, key)
        assert await desk.retention.purge("90d", because=WHY) == 2
        assert (await lost.view()).status == view.status
        with pytest.raises(SagaFailed):
            await lost.result("1s")
        with pytest.raises(SagaAbandoned):
            await gone.result("1s")
        said = (await desk.why("declined")).sentence
        assert "it is compensated, and was purged" in said
        assert "its key stays taken" in said
        for act in (desk.cancel, desk.abandon, desk.retry):
            with pytest.raises(Unsafe):
                await act("declined", because="too late")
        with pytest.raises(NotFoundError):
            await desk.probe("declined", "charge")


async def test_news_of_a_purged_effect_is_refused_and_nothing_is_reopened(
    engine: Engine, desk: Operator
) -> None:
    """S25: a webhook that comes after the purge is told that nobody knows its key; `db verify` looks at what is left."""
    await ended(engine, "k")
    (effect,) = rows.effects_of(engine.url, "k").values()
    await desk.retention.purge("90d", because=WHY)
    with pytest.raises(NotFoundError, match="no effect has the key"):
        await engine.witness(effect["key"], Landed("a done"))
    assert rows.saga_of(engine.url, "k")["status"] == "completed"
    async with Engine(engine.url, sagas=[]) as stranger:
        found = await verify(stranger)
    assert (found.effects, found.unknown) == (0, 0)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("it has not ended", "status = 'asleep', finished_at = NULL"),
        ("it waits for a person", "status = 'parked', park_cause = 'surplus', finished_at = NULL"),
        ("its alarm rings", "alarm = 'two of them'"),
        ("it ended a moment ago", "finished_at = now()"),
    ],
)
async def test_what_may_still_matter_is_not_purged(
    engine: Engine, desk: Operator, what: str, change: str
) -> None:
    """Neither counted nor touched."""
    await ended(engine, "k")
    rows.execute(engine.url, f"UPDATE saga.saga SET {change}")
    assert await desk.retention.purgeable("90d") == [], what
    assert await desk.retention.purge("90d", because=WHY) == 0, what
    assert left_of(engine.url, "k")[0] == 1
    assert await entries(engine) == []


async def test_what_is_watched_for_a_late_landing_is_not_purged(engine: Engine, desk: Operator) -> None:
    """S16: until nothing can land any more."""
    await ended(engine, "k")
    rows.execute(
        engine.url,
        "INSERT INTO saga.watch (saga_id, step, direction, next_at, until)"
        " SELECT id, 'reserve#1', 'forward', now(), now() + interval '1 d' FROM saga.saga",
    )
    assert await desk.retention.purge("90d", because=WHY) == 0
    rows.execute(engine.url, "DELETE FROM saga.watch")
    assert await desk.retention.purge("90d", because=WHY) == 1


async def test_by_end_by_age_and_no_more_than_asked_in_batches(engine: Engine, desk: Operator) -> None:
    """Each batch is a transaction with an entry of its own; looking counts by end, and changes nothing."""
    fill(engine.url, 25)
    fill(engine.url, 5, "compensated")
    found = {one.status: one.count for one in await desk.retention.purgeable("90d")}
    assert found == {"completed": 25, "compensated": 5}
    assert await desk.retention.purgeable("101d") == []
    assert await desk.retention.purge("90d", because=WHY, statuses=[SagaStatus.COMPENSATED]) == 5
    assert await desk.retention.purge("90d", because=WHY, limit=12, batch=5) == 12
    assert [e.body["sagas"] for e in await entries(engine)] == [5, 5, 5, 2]
    assert await desk.retention.purge("90d", because=WHY) == 13
    assert await desk.list() == []


async def test_what_somebody_has_locked_is_passed_over(engine: Engine, desk: Operator) -> None:
    """A purge never waits for anybody; the next run takes it."""
    fill(engine.url, 3)
    with psycopg.connect(conninfo(engine.url)) as other:
        other.execute("SELECT 1 FROM saga.saga WHERE key = 'completed-2' FOR UPDATE")
        assert await desk.retention.purge("90d", because=WHY, batch=1) == 2
    assert await desk.retention.purge("90d", because=WHY) == 1


async def test_two_purges_at_once_share_the_work(engine: Engine, desk: Operator) -> None:
    """Each saga goes once, and the audit's chain holds."""
    fill(engine.url, 60)
    both = await asyncio.gather(*(desk.retention.purge("90d", because=WHY, batch=10) for _ in range(2)))
    assert sum(both) == 60
    assert sum(e.body["sagas"] for e in await entries(engine)) == 60


async def test_a_forgotten_key_is_free_and_that_is_audited(engine: Engine, desk: Operator) -> None:
    """Only a tombstone that is old enough, only on demand: a start then runs anew, under the same idempotency key."""
    await ended(engine, "k")
    first = ledger.calls[-1]
    await desk.retention.purge("90d", because=WHY)
    assert await desk.retention.forget("365d", because=WHY) == 0
    age(engine.url, "k", "400 d")
    assert await desk.retention.forgettable("365d") == 1
    assert await desk.retention.forget("365d", because=WHY) == 1
    assert rows.select(engine.url, "SELECT 1 FROM saga.saga") == []
    assert [e.act for e in await entries(engine)] == ["purge", "forget"]
    await ended(engine, "k")
    assert ledger.calls[-1] == first


async def test_what_was_seen_late_goes_with_the_tombstone(engine: Engine, desk: Operator) -> None:
    """S25: an observation is kept whenever it comes; nothing is left behind when the saga is forgotten."""
    await ended(engine, "k")
    await desk.retention.purge("90d", because=WHY)
    rows.execute(
        engine.url,
        "INSERT INTO saga.evidence (id, saga_id, step, direction, attempt, kind, body)"
        " SELECT gen_random_uuid(), id, 'reserve#1', 'forward', 1, 'webhook', '{}' FROM saga.saga",
    )
    assert await desk.retention.forget("0s", because=WHY) == 1
    assert rows.select(engine.url, "SELECT 1 FROM saga.evidence") == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"older_than": "-1d"}, "negative"),
        ({"older_than": "40000d"}, "36500 days"),
        ({"older_than": "soon"}, "not a duration"),
        ({"older_than": "1d", "limit": 0}, "numbers from 1"),
        ({"older_than": "1d", "batch": 0}, "numbers from 1"),
        ({"older_than": "1d", "because": " "}, "must say something"),
        ({"older_than": "1d", "statuses": [SagaStatus.PARKED]}, "only what has ended"),
        ({"older_than": "1d", "statuses": []}, "only what has ended"),
    ],
)
async def test_what_cannot_be_meant_is_refused(desk: Operator, said: dict[str, object], says: str) -> None:
    """With a sentence, before anything is read."""
    with pytest.raises((InputError, ValueError), match=says):
        await desk.retention.purge(**{"because": WHY, **said})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
