"""Sagas that sleep, on a real Postgres: a row while they wait, and code that must still fit what is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

import pytest

from saga import SagaDefinition, new_uuid, now, random, saga, sleep
from saga.dev.processes import wait_until
from tests.support import rows
from tests.support.checking import misfit_of
from tests.support.fakes import Ledger, make_step, service_of
from tests.support.working import working

ledger = Ledger()
service = service_of(ledger)
reserve = make_step(ledger, "reserve", service=service)
charge = make_step(ledger, "charge", service=service)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


async def asleep(order: str) -> str:
    await reserve(order)
    await sleep("2500ms")
    return await charge(order)


async def awake(order: str) -> str:
    await reserve(order)
    return await charge(order)


async def asleep_elsewhere(order: str) -> str:
    await sleep("1h")
    await reserve(order)
    return await charge(order)


async def drawn_for_a_year(order: str) -> str:
    kept = await reserve(order)
    await sleep("365d")
    return await charge(f"{kept} {random()} {now()} {new_uuid()}")


async def asleep_for_a_year(order: str) -> str:
    await reserve(order)
    await sleep("365d")
    return await charge(order)


def napping(function: Callable[[str], Coroutine[None, None, str]]) -> SagaDefinition[str, str]:
    """A version of the code under one name and version."""
    return saga("napping", steps=[reserve, charge])(function)


async def test_a_sleeper_is_a_row_and_nothing_else(database_url: str) -> None:
    """It has left the worker's memory, says what it waits for and until when, and goes on where it was."""
    async with working(database_url, napping(asleep)) as w:
        handle = await w.engine.start(napping(asleep), "a", key="k")
        row = await rows.until(database_url, "k", "status = 'asleep'")
        assert (row["waiting_for"], row["owner"]) == ("sleep#1", None)
        await asyncio.to_thread(wait_until, lambda: len(w.worker.memory) == 0, 2, "an empty memory")
        assert await handle.result("20s") == "a done"
        (slept,) = rows.select(database_url, "SELECT * FROM saga.moment")
        assert (slept["step"], slept["completion"]) == ("sleep#1", 2)
        assert slept["due_at"] - slept["made_at"] == timedelta(seconds=2.5)
        assert slept["ended_at"] >= slept["due_at"]
        assert ledger.names() == ["reserve", "charge"]


async def test_code_that_does_not_sleep_any_more_parks(database_url: str) -> None:
    """A recorded sleep that is not called again is *code changed*, and its length is the one that was recorded."""
    async with working(database_url, napping(asleep_for_a_year)) as w:
        await w.engine.start(napping(asleep_for_a_year), "a", key="k")
        await rows.until(database_url, "k", "status = 'asleep'")
    rows.execute(database_url, "UPDATE saga.saga SET status = 'ready', wake_at = now(), inbox = inbox + 1")
    async with working(database_url, napping(awake)):
        row = await rows.parked(database_url, "k")
    assert row["park_cause"] == "code_changed"
    assert "sleep#1 is recorded" in row["park_reason"]
    assert ledger.names() == ["reserve"]
    rows.execute(database_url, "UPDATE saga.moment SET due_at = now()")
    await rows.wake(database_url, "k")
    async with working(database_url, napping(asleep_for_a_year)) as w:
        assert await w.engine.handle(napping(asleep_for_a_year), key="k").result("10s") == "a done"


async def test_a_check_before_a_deploy_replays_sleeps_and_what_was_drawn(database_url: str) -> None:
    """The code that is there goes on; the code that does not sleep any more is foretold, and nothing is written."""
    async with working(database_url, napping(asleep_for_a_year)) as w:
        await w.engine.start(napping(asleep_for_a_year), "a", key="k")
        await rows.until(database_url, "k", "status = 'asleep'")
    assert await misfit_of(database_url, napping(asleep_for_a_year)) is None
    assert await misfit_of(database_url, napping(drawn_for_a_year)) is None
    said = await misfit_of(database_url, napping(awake))
    assert said is not None
    assert "sleep#1 is recorded" in said.reason


async def test_a_sleep_that_stands_elsewhere_is_code_changed(database_url: str) -> None:
    """What was recorded before it is not called before it any more."""
    async with working(database_url, napping(asleep_for_a_year)) as w:
        await w.engine.start(napping(asleep_for_a_year), "a", key="k")
        await rows.until(database_url, "k", "status = 'asleep'")
    rows.execute(database_url, "UPDATE saga.saga SET status = 'ready', wake_at = now(), inbox = inbox + 1")
    async with working(database_url, napping(asleep_elsewhere)):
        row = await rows.parked(database_url, "k")
    assert (row["park_cause"], ledger.names()) == ("code_changed", ["reserve"])


async def broken(order: str) -> str:
    await reserve(order)
    raise LookupError(str(random()))


async def test_what_a_bug_drew_binds_nobody(database_url: str) -> None:
    """Nothing has followed from it, so that the mended code need not draw it again."""
    async with working(database_url, napping(broken)) as w:
        assert (await w.parked(napping(broken)))["park_cause"] == "code_failed"
    await rows.wake(database_url, "k")
    async with working(database_url, napping(awake)) as w:
        assert await w.engine.handle(napping(awake), key="k").result("10s") == "a done"
