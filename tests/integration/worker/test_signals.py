"""Signals on a real Postgres: they wake, they are given once, and what was sent must still fit the code."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

import pytest

from saga import AlreadyEnded, DefinitionError, Engine, NotCommitted, SagaDefinition, Signal, saga, together
from tests.support import rows
from tests.support.fakes import Gate, Ledger, land, make_step, service_of
from tests.support.working import working

ledger = Ledger()
service = service_of(ledger)
reserve = make_step(ledger, "reserve", service=service)
charge = make_step(ledger, "charge", service=service)


@dataclass(frozen=True)
class Approval:
    by: str


@dataclass(frozen=True)
class Changed:
    number: int


approval = Signal("approval", Approval)
changed = Signal("approval", Changed)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


async def asking(order: str) -> str:
    await reserve(order)
    said = await approval.wait(timeout="1h")
    return await charge(said.by)


async def asking_for_a_number(order: str) -> str:
    await reserve(order)
    return await charge(str((await changed.wait(timeout="1h")).number))


async def beside(order: str) -> str:
    said, _ = await together(approval.wait(), reserve(order))
    return await charge(said.by)


async def raced(order: str) -> list[str]:
    await reserve(order)
    return [(await approval.wait()).by for _ in range(8)]


def approved(function: Callable[[str], Coroutine[None, None, object]]) -> SagaDefinition[str, object]:
    """A version of the code under one name and version."""
    return saga("approved", steps=[reserve, charge])(function)


async def test_a_signal_wakes_at_once(database_url: str) -> None:
    """The saga sleeps for an hour, and has its end in the time of a poll."""
    async with working(database_url, approved(asking)) as w:
        handle = await w.engine.start(approved(asking), "a", key="k")
        row = await rows.until(database_url, "k", "status = 'asleep'")
        assert row["waiting_for"] == "approval#1"
        await handle.send(approval, Approval("ann"))
        assert await handle.result("10s") == "ann done"
        with pytest.raises(AlreadyEnded, match="has ended, it is completed"):
            await handle.send(approval, Approval("bob"))
    (taken,) = rows.select(
        database_url, "SELECT m.step FROM saga.moment m JOIN saga.signal g ON g.id = m.signal"
    )
    assert taken["step"] == "approval#1"


async def test_a_saga_that_is_busy_hears_a_signal(database_url: str) -> None:
    """It has a call under way and cannot rest, so nothing wakes it: it listens."""
    gate = Gate(land)
    ledger.plan("reserve", gate)
    async with working(database_url, approved(beside)) as w:
        handle = await w.engine.start(approved(beside), "a", key="k")
        await gate.reached.wait()
        await handle.send(approval, Approval("ann"))
        await rows.until(
            database_url,
            "k",
            "EXISTS (SELECT FROM saga.moment m WHERE m.saga_id = id AND m.signal IS NOT NULL)",
        )
        gate.open.set()
        assert await handle.result("10s") == "ann done"


async def test_whoever_sends_first_is_given_first_and_nobody_is_lost(database_url: str) -> None:
    """Eight senders at once, each of which tries twice under one key, while the saga goes to rest and wakes."""
    async with working(database_url, approved(raced)) as w:
        handle = await w.engine.start(approved(raced), "a", key="k")
        sends = [handle.send(approval, Approval(str(n)), key=f"n{n}") for n in (*range(8), *range(8))]
        await asyncio.gather(*sends, return_exceptions=True)
        given = await handle.result("20s")
    assert isinstance(given, list)
    assert sorted(given) == [str(n) for n in range(8)]
    sent = rows.select(database_url, "SELECT payload ->> 'by' AS by FROM saga.signal ORDER BY number")
    assert given == [row["by"] for row in sent]


async def test_a_payload_that_no_longer_fits_is_code_changed(database_url: str) -> None:
    """As a result of a step is, and it goes on under code that fits."""
    async with working(database_url, approved(asking)) as w:
        handle = await w.engine.start(approved(asking), "a", key="k")
        await rows.until(database_url, "k", "status = 'asleep'")
    async with Engine(database_url, sagas=[approved(asking)]) as engine:
        await engine.send(approved(asking), approval, Approval("ann"), to="k")
    async with working(database_url, approved(asking_for_a_number)):
        row = await rows.parked(database_url, "k")
    assert row["park_cause"] == "code_changed"
    assert "the signal that approval#1 was given no longer fits" in row["park_reason"]
    await rows.wake(database_url, "k")
    async with working(database_url, approved(asking)) as w:
        handle = w.engine.handle(approved(asking), key="k")
        assert await handle.result("10s") == "ann done"


async def test_a_blocking_caller_sends_as_well(database_url: str) -> None:
    """From a thread without an event loop, by handle and by key."""
    definition = approved(raced)
    async with working(database_url, definition) as w:

        def go() -> object:
            handle = w.engine.blocking.start(definition, "a", key="k")
            for n in range(4):
                handle.send(approval, Approval(str(n)))
                w.engine.blocking.send(definition, approval, Approval(f"{n} again"), to="k")
            try:
                return handle.result("20s")
            finally:
                w.engine.blocking.close()

        given = await asyncio.to_thread(go)
    assert given == [word for n in range(4) for word in (str(n), f"{n} again")]


async def test_a_saga_that_is_not_committed_yet_cannot_be_told(database_url: str) -> None:
    """Commit first, then send."""
    definition = approved(asking)
    async with Engine(database_url, sagas=[definition]) as engine, await engine.connect() as connection:
        await connection.execute(b"BEGIN")
        handle = await engine.start(definition, "a", key="k", within=connection)
        with pytest.raises(NotCommitted, match="commit your transaction"):
            await handle.send(approval, Approval("ann"))
        await connection.execute(b"ROLLBACK")


async def test_a_saga_that_was_started_for_later_is_told_and_begins_when_it_should(database_url: str) -> None:
    """A signal wakes nobody before its time; it is there when the saga waits for it."""
    definition = approved(asking)
    async with working(database_url, definition) as w:
        handle = await w.engine.start(definition, "a", key="k", after="1h")
        await handle.send(approval, Approval("ann"))
        row = rows.saga_of(database_url, "k")
        assert (row["status"], row["epoch"], row["inbox"]) == ("asleep", 0, 1)
        await rows.change(database_url, "UPDATE saga.saga SET wake_at = now()")
        assert await handle.result("10s") == "ann done"


async def test_what_was_sent_is_purged_with_its_saga(database_url: str) -> None:
    """Nothing of it is left, and a send under the same key comes too late."""
    definition = approved(asking)
    async with working(database_url, definition) as w:
        handle = await w.engine.start(definition, "a", key="k")
        await handle.send(approval, Approval("ann"), key="once")
        assert await handle.result("10s") == "ann done"
        purged = await w.engine.operator("ann").retention.purge("0s", because="test")
        assert purged == 1
        assert (
            rows.select(database_url, "SELECT 1 FROM saga.moment UNION ALL SELECT 1 FROM saga.signal") == []
        )
        with pytest.raises(AlreadyEnded):
            await handle.send(approval, Approval("ann"), key="once")


def test_definitions_that_cannot_work_are_told() -> None:
    """Two signals of one name, one that is named as a step is, and one that no JSON can hold."""
    twins = saga("twins", signals=[approval, changed], steps=[reserve])(asking)
    named = saga("named", signals=[Signal("reserve", str), Signal("sleep", str)], steps=[reserve])(asking)
    odd = saga("odd", signals=[Signal("odd", Gate), Signal("", str)], steps=[reserve])(asking)
    with pytest.raises(DefinitionError) as told:
        Engine("postgresql://nowhere/nothing", sagas=[twins, named, odd])
    said = "\n".join(told.value.problems)
    assert "saga twins: two signals are named approval" in said
    assert "saga named: a signal must not be named reserve" in said
    assert "saga named: a signal must not be named sleep" in said
    assert "saga odd: the payload of signal odd has no JSON" in said
    assert "saga odd: the name of signal '' may have" in said
