"""A saga that is started for later sleeps until then, costs no worker anything, and may be cancelled before."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from saga import Engine, InputError, saga
from saga.store.urls import conninfo
from saga_worker import Worker
from tests.support import rows
from tests.support.checkout import checkout, ledger, reserve

SOON = "200ms"


async def test_it_begins_when_it_is_due_and_not_before(engine: Engine) -> None:
    """By the database's clock: nothing is sent before its time, and it runs to its end after."""
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k", after=SOON)
        row = rows.saga_of(engine.url, "k")
        assert (row["status"], row["waiting_for"]) == ("asleep", "its start")
        assert row["wake_at"] - row["created_at"] == timedelta(milliseconds=200)
        assert await handle.result("20s") == "a done"
    (effect,) = rows.effects_of(engine.url, "k").values()
    assert effect["intent_at"] >= row["wake_at"]


async def test_at_a_time_of_any_zone_and_a_past_one_is_now(engine: Engine) -> None:
    """To the microsecond."""
    moment = datetime(2100, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    await engine.start(checkout, "a", key="later", at=moment)
    assert rows.saga_of(engine.url, "later")["wake_at"] == moment
    await engine.start(checkout, "a", key="now", at=datetime(2001, 1, 1, tzinfo=UTC))
    row = rows.saga_of(engine.url, "now")
    assert (row["status"], row["waiting_for"]) == ("ready", None)
    assert row["wake_at"] == row["created_at"]


async def test_many_begin_together(engine: Engine) -> None:
    """One time for all of them; a key that was started before keeps its own."""
    await engine.start(checkout, "a", key="k1")
    await engine.start_many(checkout, [("k1", "a"), ("k2", "b"), ("k3", "c")], after="2h")
    found = {row["key"]: row["status"] for row in rows.select(engine.url, "SELECT * FROM saga.saga")}
    assert found == {"k1": "ready", "k2": "asleep", "k3": "asleep"}
    assert len(rows.select(engine.url, "SELECT DISTINCT wake_at FROM saga.saga WHERE status = 'asleep'")) == 1


async def test_the_same_key_is_the_same_saga_whenever_it_begins(engine: Engine) -> None:
    """Who starts it again does not move its begin."""
    first = await engine.start(checkout, "a", key="k", after="2h")
    before = rows.saga_of(engine.url, "k")["wake_at"]
    for again in (
        await engine.start(checkout, "a", key="k", after="9h"),
        await engine.start(checkout, "a", key="k"),
    ):
        assert again.id == first.id
    assert rows.saga_of(engine.url, "k")["wake_at"] == before


async def test_its_deadline_counts_from_its_begin(database_url: str) -> None:
    """Or a saga with a deadline of hours could not be started for tomorrow."""

    @saga("hurried", deadline="3h")
    async def hurried(order: str) -> str:
        return await reserve(order)

    async with Engine(database_url, sagas=[hurried]) as engine:
        await engine.start(hurried, "a", key="k", after="2h")
        await engine.start_many(hurried, [("k2", "a")], after="2h")
    for key in ("k", "k2"):
        row = rows.saga_of(database_url, key)
        assert row["deadline_at"] - row["wake_at"] == timedelta(hours=3)


async def test_a_cancel_before_its_begin_sends_nothing(engine: Engine) -> None:
    """The customer reads `declined`, at once and not when it would have begun."""
    handle = await engine.start(checkout, "a", key="k", after="2h")
    async with Worker(engine, lease="3s"):
        assert (await handle.view()).status == "processing"
        await handle.cancel("changed their mind")
        assert (await handle.view(wait="20s")).status == "declined"
    assert ledger.calls == []


async def test_an_operator_reads_when_it_begins_and_may_begin_it_now(engine: Engine) -> None:
    """`why` names the time; the previews of retry and cancel say what they would do to it."""
    desk = engine.operator("ann")
    handle = await engine.start(checkout, "a", key="k", after="2h")
    sentence = (await desk.why("k")).sentence
    assert "k has not begun: it starts at 2" in sentence
    assert "`saga cancel k` before that, and nothing is ever sent" in sentence
    assert "it starts now, and not in 1" in (await desk.preview("retry", "k")).sentence
    assert "it never does, and nothing is sent" in (await desk.preview("cancel", "k")).sentence
    await desk.retry("k", because="they are here already")
    async with Worker(engine, lease="3s"):
        assert await handle.result("20s") == "a done"


async def test_nobody_is_woken_for_what_sleeps(engine: Engine) -> None:
    """A start for later is not announced: a worker looks when it is due."""
    async with await psycopg.AsyncConnection.connect(conninfo(engine.url), autocommit=True) as listening:
        await listening.execute('LISTEN "saga_ready_saga"')
        await engine.start(checkout, "a", key="k1", after="2h")
        await engine.start(checkout, "b", key="k2", at=datetime(2001, 1, 1, tzinfo=UTC))
        told = [one async for one in listening.notifies(timeout=5, stop_after=1)]
        assert len(told) == 1
        assert [one async for one in listening.notifies(timeout=0)] == []


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"after": "-1s"}, "negative"),
        ({"after": "40000d"}, "36500 days"),
        ({"after": "soon"}, "not a duration"),
        ({"at": datetime(2030, 1, 1)}, "no time zone"),  # noqa: DTZ001 - that is the mistake
        ({"after": "1s", "at": datetime(2030, 1, 1, tzinfo=UTC)}, "give one of them"),
    ],
)
async def test_a_begin_that_cannot_be_meant_is_refused(
    engine: Engine, said: dict[str, object], says: str
) -> None:
    """With a sentence, and no row is written."""
    for start in (
        lambda: engine.start(checkout, "a", key="k", **said),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        lambda: engine.start_many(checkout, [("k", "a")], **said),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ):
        with pytest.raises((InputError, ValueError), match=says):
            await start()
    assert rows.select(engine.url, "SELECT 1 FROM saga.saga") == []


def test_the_blocking_face_says_it_too(database_url: str) -> None:
    """The same, waiting; also in the caller's own transaction."""
    engine = Engine(database_url, sagas=[checkout])
    try:
        engine.blocking.start(checkout, "a", key="k1", after="2h")
        engine.blocking.start_many(checkout, [("k2", "a")], at=datetime(2100, 1, 1, tzinfo=UTC))
        with psycopg.connect(conninfo(database_url)) as within:
            engine.blocking.start(checkout, "a", key="k3", within=within, after="2h")
    finally:
        engine.blocking.close()
    found = rows.select(database_url, "SELECT key FROM saga.saga WHERE status = 'asleep' ORDER BY key")
    assert [row["key"] for row in found] == ["k1", "k2", "k3"]


async def test_starters_at_once_make_one_saga(engine: Engine) -> None:
    """Also where each says another begin."""
    handles = await asyncio.gather(*(engine.start(checkout, "a", key="k", after=f"{n}h") for n in range(20)))
    assert len({handle.id for handle in handles}) == 1
    assert len(rows.select(engine.url, "SELECT 1 FROM saga.saga")) == 1
