"""What a caller is told of a saga: four words that are invariants, results that are typed, errors that say what to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from saga import Engine, NotFoundError, Retry, SagaFailed, SagaView, StillProcessing, saga
from saga_worker import Worker
from tests.support import rows
from tests.support.fakes import Gate, Ledger, away, make_step, refuse

ledger = Ledger()
reserve = make_step(ledger, "reserve", retry=Retry(first="1ms", most="2ms"))
charge = make_step(ledger, "charge")


@dataclass
class Receipt:
    order: str
    amount: Decimal


@saga("checkout")
async def checkout(order: str) -> Receipt:
    await reserve(order)
    await charge(order).or_none()
    return Receipt(order, Decimal("12.30"))


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[Engine]:
    async with Engine(database_url, sagas=[checkout]) as made:
        yield made


async def test_a_result_has_its_type(engine: Engine) -> None:
    """`result` gives what the function returned, typed, as often as it is asked, from any handle."""
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k")
        assert await handle.result("10s") == Receipt("a", Decimal("12.30"))
    assert await engine.handle(checkout, key="k").result() == Receipt("a", Decimal("12.30"))
    view = await handle.view()
    assert (view.status, view.degraded, view.needs_person, view.reason) == ("confirmed", (), False, None)
    assert (view.id, view.key) == (handle.id, "k")


async def test_view_waits_for_the_end_and_no_longer(engine: Engine) -> None:
    """`view(wait=…)` returns at the end when that comes first, and `processing` when the time does."""
    gate = Gate()
    ledger.plan("reserve", gate)
    handle = await engine.start(checkout, "a", key="k")
    async with Worker(engine, lease="3s"):
        await gate.reached.wait()
        assert (await handle.view(wait="50ms")).status == "processing"
        waiting = asyncio.create_task(handle.view(wait="30s"))
        gate.open.set()
        assert (await waiting).status == "confirmed"


async def test_still_processing_carries_the_view(engine: Engine) -> None:
    """A result that is not there in time is StillProcessing: nothing is wrong, and the view is with it."""
    handle = await engine.start(checkout, "a", key="k")
    with pytest.raises(StillProcessing, match="ask again later") as caught:
        await handle.result(timeout="1ms")
    assert isinstance(caught.value.view, SagaView)
    assert caught.value.view.status == "processing"


async def test_a_refused_saga_is_declined(engine: Engine) -> None:
    """A final no: SagaFailed with the service's word, and the view says declined."""
    ledger.plan("reserve", refuse)
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k")
        with pytest.raises(SagaFailed, match="declined: no a refused") as caught:
            await handle.result("10s")
    assert isinstance(caught.value.view, SagaView)
    assert (caught.value.view.status, caught.value.view.reason) == ("declined", "no a refused")


async def test_a_saga_that_was_not_executed_may_be_tried_again(engine: Engine) -> None:
    """A service that could not be had: SagaFailed, and the view says try_again."""
    ledger.plan("reserve", *[away] * 5)
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k")
        with pytest.raises(SagaFailed, match="try_again") as caught:
            await handle.result("20s")
    assert isinstance(caught.value.view, SagaView)
    assert caught.value.view.status == "try_again"


async def test_a_step_that_fell_back_is_named(engine: Engine) -> None:
    """A saga that went on without a step is confirmed, and says which step and why."""
    ledger.plan("charge", refuse)
    async with Worker(engine, lease="3s"):
        handle = await engine.start(checkout, "a", key="k")
        await handle.result("10s")
    view = await handle.view()
    assert view.status == "confirmed"
    assert [(one.step, one.reason) for one in view.degraded] == [("charge#1", "no: a refused")]


@pytest.mark.parametrize(
    "change",
    [
        "status = 'parked', park_cause = 'in_doubt', park_reason = 'nobody knows'",
        "status = 'abandoned', finished_at = now()",
        "status = 'completed', output = '1', finished_at = now(), alarm = 'it landed late'",
        "status = 'running', owner = id, lane = 0",
        "status = 'asleep'",
    ],
)
async def test_what_is_not_proven_is_processing(engine: Engine, change: str) -> None:
    """Parked, abandoned, alarmed, running and asleep: for the customer all of it is still processing."""
    handle = await engine.start(checkout, "a", key="k")
    rows.execute(engine.url, f"UPDATE saga.saga SET {change}")
    view = await handle.view()
    assert view.status == "processing"
    assert view.needs_person == any(word in change for word in ("parked", "alarm"))


async def test_a_handle_by_key_reads_nothing_until_asked(engine: Engine) -> None:
    """engine.handle(…, key=…) is free; a key that nobody started is a sentence that says so."""
    handle = engine.handle(checkout, key="nowhere")
    with pytest.raises(NotFoundError, match="start it first"):
        await handle.view()
    with pytest.raises(NotFoundError, match="start it first"):
        await handle.result("1ms")


async def test_two_event_loops_use_one_engine(engine: Engine) -> None:
    """The blocking face and the async one, side by side, each on connections of their own loop."""
    started = engine.blocking.start(checkout, "a", key="k")
    async with Worker(engine, lease="3s"):
        found = await asyncio.to_thread(started.result, "10s")
    assert found == Receipt("a", Decimal("12.30"))
    assert engine.blocking.handle(checkout, key="k").view().status == "confirmed"
    assert (await engine.start(checkout, "a", key="k")).id == started.id
    engine.blocking.close()
