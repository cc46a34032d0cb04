"""Interleavings that could charge twice, forget an effect, or hang a saga for ever: each was suspected of one of them."""

from __future__ import annotations

import asyncio
import math

import pytest

from saga import Call, NotExecuted, Refused, Retry, saga
from tests.support import rows
from tests.support.fakes import (
    Gate,
    Ledger,
    Move,
    land,
    lose_reply,
    lose_request,
    make_step,
    refuse,
    service_of,
)
from tests.support.working import working

ledger = Ledger()
QUICK = Retry(attempts=3, first="1ms", most="2ms")
reserve = make_step(ledger, "reserve", retry=QUICK)
charge = make_step(ledger, "charge", retry=QUICK)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("checkout")
async def checkout(order: str) -> str:
    await reserve(order)
    paid = await charge(order)
    if order == "bug":
        raise KeyError(paid)
    return paid


async def declare_dead(url: str) -> None:
    """What the reaper does to a worker that was silent for too long."""
    await rows.change(url, "DELETE FROM saga.worker")
    await rows.change(
        url, "UPDATE saga.saga SET status = 'ready', owner = NULL, lane = NULL WHERE status = 'running'"
    )


@pytest.mark.parametrize(
    ("order", "then", "end"),
    [
        ("a", land, "completed"),
        ("a", refuse, "compensated"),
        ("bug", land, "parked"),
        ("a", lose_reply, "completed"),
    ],
)
async def test_a_wake_up_while_a_saga_ends_loses_no_outcome(
    database_url: str, order: str, then: Move, end: str
) -> None:
    """The row of the end is refused because the inbox moved; its outcomes are kept, and the same claim ends it again."""
    gate = Gate(then)
    ledger.plan("charge", gate)
    async with working(database_url, checkout) as w:
        await w.engine.start(checkout, order, key="k")
        await gate.reached.wait()
        await rows.wake(w.url, "k")
        gate.open.set()
        row = await rows.until(w.url, "k", f"status = '{end}'")
    assert (row["epoch"], row["inbox"]) == (1, 1)
    assert ledger.names().count("charge") == 1
    assert ledger.standing() == (0 if end == "compensated" else 2)


@pytest.mark.parametrize("then", [land, lose_reply, lose_request, refuse])
async def test_a_worker_declared_dead_in_mid_call_tells_what_it_saw(database_url: str, then: Move) -> None:
    """Its new life takes the saga up; what the old call brings is evidence; there is one effect or none."""
    gate = Gate(then)
    ledger.plan("charge", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        first_life = w.worker.id
        await declare_dead(w.url)
        await rows.until(w.url, "k", "epoch = 2")
        gate.open.set()
        status = (await handle.view(wait="20s")).status
        assert w.worker.id != first_life
    assert status in {"confirmed", "declined"}
    charged = rows.effects_of(database_url, "k")["charge#1", "forward"]
    assert ledger.landed[charged["key"]] <= 1
    assert ledger.standing() == (2 if status == "confirmed" else 0)


async def test_a_dead_workers_call_is_over_before_the_next_is_sent(database_url: str) -> None:
    """Nothing dedups: the next worker sends only after the old deadline and quiescence, not when it takes over (S33)."""
    plain = Ledger("nothing")
    gate = Gate(lose_request)
    plain.plan("pay", gate)
    pay = make_step(plain, "pay", service=service_of(plain), timeout="700ms", retry=QUICK, undo=False)

    @saga("paying")
    async def paying(order: str) -> str:
        return await pay(order)

    async with working(database_url, paying, drain_within="10ms") as w:
        await w.engine.start(paying, "a", key="k")
        await gate.reached.wait()
    async with working(database_url, paying) as w:
        assert await w.engine.handle(paying, key="k").result("10s") == "a done"
    intents = [e["body"] for e in rows.evidence_of(database_url, "k") if e["kind"] == "intent"]
    assert len(intents) == 2
    assert intents[0]["deadline"] < intents[1]["at"]
    assert plain.landed.total() == 1


async def test_a_worker_declared_dead_twice_goes_on(database_url: str) -> None:
    """Each life is a new one, and the last ends every saga, each effect once."""
    async with working(database_url, checkout) as w:
        handles = [await w.engine.start(checkout, f"o{n}", key=f"k{n}") for n in range(40)]
        for _ in range(2):
            await rows.until(w.url, "k39", "true")
            await declare_dead(w.url)
        statuses = {(await handle.view(wait="30s")).status for handle in handles}
    assert statuses == {"confirmed"}
    assert len(ledger.landed) == 80
    assert set(ledger.landed.values()) == {1}


async def test_a_failure_in_a_task_that_nobody_looked_at_does_not_complete(database_url: str) -> None:
    """A charge in a task that was refused, and a function that returned without looking: never confirmed."""

    @saga("careless")
    async def careless(order: str) -> str:
        paid = asyncio.create_task(charge(order))
        await reserve(order)
        while not paid.done():
            await reserve(order)
        return "confirmed, says the code"

    ledger.plan("charge", refuse)
    async with working(database_url, careless) as w:
        row = await w.parked(careless)
    assert row["park_cause"] == "not_awaited"
    assert "charge#1" in row["park_reason"]


async def test_a_failure_in_a_task_that_was_looked_at_is_the_functions_business(database_url: str) -> None:
    """asyncio.wait, and then a look at the exception: the function decided, and completes."""

    @saga("looking")
    async def looking(order: str) -> str:
        paid = asyncio.create_task(charge(order))
        await asyncio.wait([paid])
        return "unpaid" if paid.exception() else paid.result()

    ledger.plan("charge", refuse)
    async with working(database_url, looking) as w:
        assert await w.run(looking) == "unpaid"


@pytest.mark.parametrize("after", [math.inf, math.nan, -1.0, 1e300])
async def test_a_service_may_ask_for_any_wait(database_url: str, after: float) -> None:
    """A hostile Retry-After neither breaks the arithmetic nor parks the saga."""

    async def busy(ledger: Ledger, call: Call, what: str) -> str:
        raise NotExecuted("busy", retry_after=after)

    ledger.plan("reserve", busy)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        row = await rows.until(w.url, "k", "status IN ('completed', 'asleep')")
        if row["status"] == "asleep":
            await rows.ask_to_cancel(w.url, "k")
            assert (await handle.view(wait="10s")).status == "declined"


@pytest.mark.parametrize("word", ["a\x00b", "a\ud800b", "x" * 100_000])
async def test_a_strange_refusal_is_a_refusal(database_url: str, word: str) -> None:
    """Whatever a service's code and message hold, the refusal is kept, and turns the saga."""

    async def strange(ledger: Ledger, call: Call, what: str) -> str:
        raise Refused(word, word, rule=word)

    ledger.plan("charge", strange)
    async with working(database_url, checkout) as w:
        assert await w.ended(checkout) == "declined"
    assert ledger.names() == ["reserve", "charge", "undo_reserve"]


async def test_a_worker_holds_no_more_sagas_than_it_was_told(database_url: str) -> None:
    """Fifty sagas and room for six: never more than six calls at once, and all of them end."""
    running, most = 0, 0

    async def counted(ledger: Ledger, call: Call, what: str) -> str:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return ledger.land(call, what)

    ledger.plan("reserve", *[counted] * 50)
    async with working(database_url, checkout, concurrency=6, lanes=2) as w:
        handles = [await w.engine.start(checkout, f"o{n}", key=f"k{n}") for n in range(50)]
        for handle in handles:
            await handle.result("20s")
    assert most <= 6
