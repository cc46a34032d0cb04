"""A service that is open or held is not called: nothing is intended, nothing is burnt, and what waits says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from saga import Breaker, Engine, Refused, Retry, Service, saga
from saga.core import breaker
from saga.core.breaker import Circuit
from saga.store import services
from saga.store.services import ServiceRow
from tests.support import rows
from tests.support.fakes import Gate, Ledger, away, lose_reply, make_step, refuse
from tests.support.working import working

pytestmark = pytest.mark.filterwarnings(
    "ignore::saga.DefinitionWarning"
)  # deadlines shorter than settle_within
ledger = Ledger()
QUICK = Retry(attempts=3, first="1ms", most="2ms")
HOUR = timedelta(hours=1)


def service(name: str, failures: int, cool_down: str = "1h") -> Service:
    return Service(
        name, remembers="all", key_lifetime="24h", lateness="0s", staleness="0s",
        breaker=Breaker(failures, "30s", cool_down),
    )  # fmt: skip


psp, stock = service("psp", 3), service("stock", 3)
brittle, brief = service("brittle", 1), service("brief", 3, "300ms")
reserve = make_step(ledger, "reserve", service=stock, retry=QUICK)
charge = make_step(ledger, "charge", service=psp, retry=QUICK)
doubted = make_step(ledger, "doubted", service=brittle, retry=QUICK, settle_within="50ms")
short = make_step(ledger, "short", service=brief, retry=QUICK)
free = make_step(ledger, "free", undo=False, retry=QUICK)


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


@saga("checkout")
async def checkout(order: str) -> str:
    await reserve(order)
    return await charge(order)


@saga("hasty", deadline="1s")
async def hasty(order: str) -> str:
    await reserve(order)
    return await charge(order)


@saga("doubting")
async def doubting(order: str) -> str:
    return await doubted(order)


@saga("lone")
async def lone(order: str) -> str:
    return await short(order)


@saga("branching")
async def branching(order: str) -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(charge(order))
            group.create_task(reserve(order))
    except* Refused:
        pass
    return await free(order)


async def change(url: str, name: str, act: Callable[[ServiceRow], ServiceRow]) -> ServiceRow:
    async with Engine(url, sagas=[]) as engine, engine.connection() as connection:
        return await services.change(connection, "saga", name, act)


def down(circuit: Circuit, now: datetime) -> Circuit:
    return breaker.opened(circuit, now, "it is down", HOUR, circuit.turn)


def holding(row: ServiceRow) -> ServiceRow:
    return replace(
        row, circuit=breaker.held(row.circuit), held_by="ann", held_because="they migrate", held_at=row.now
    )


def free_again(row: ServiceRow) -> ServiceRow:
    return replace(
        row, circuit=breaker.unheld(row.circuit, row.now), held_by=None, held_because=None, held_at=None
    )


OPEN, CLOSE = services.moved(down), services.moved(breaker.closed)
WAITS = "status = 'asleep' AND waiting_for = 'service psp'"


async def test_nothing_is_written_of_a_step_whose_service_is_open(database_url: str) -> None:
    """No intent and no attempt: the saga sleeps, says for what, and goes on as if nothing had been when it is closed."""
    await change(database_url, "psp", OPEN)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await rows.until(database_url, "k", WAITS)
        assert list(rows.effects_of(database_url, "k")) == [("reserve#1", "forward")]
        await change(database_url, "psp", CLOSE)
        assert (await handle.view(wait="20s")).status == "confirmed"
    assert ledger.names() == ["reserve", "charge"]
    assert rows.effects_of(database_url, "k")["charge#1", "forward"]["attempt"] == 1


async def test_a_deadline_turns_a_saga_that_waits(database_url: str) -> None:
    """The service is open still; what was done is undone, and the step that waited never was."""
    await change(database_url, "psp", OPEN)
    async with working(database_url, hasty) as w:
        assert await w.ended(hasty) == "try_again"
    assert ledger.names() == ["reserve", "undo_reserve"]
    assert rows.saga_of(database_url, "k")["status"] == "compensated"


async def test_a_cancel_turns_a_saga_that_waits(database_url: str) -> None:
    """At once, as it turns any that sleeps."""
    await change(database_url, "psp", OPEN)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await rows.until(database_url, "k", WAITS)
        await rows.ask_to_cancel(database_url, "k")
        assert (await handle.view(wait="20s")).status == "declined"
    assert ledger.standing() == 0


async def test_a_compensation_waits_for_its_service(database_url: str) -> None:
    """It is neither given up nor counted: when the hold is over, it goes."""
    gate = Gate(refuse)
    ledger.plan("charge", gate)
    async with working(database_url, checkout) as w:
        handle = await w.engine.start(checkout, "a", key="k")
        await gate.reached.wait()
        await change(database_url, "stock", holding)
        async with w.engine.connection() as connection:
            await w.worker.services.round(
                connection
            )  # a chore of every round: now, and not within half a second
        gate.open.set()
        await rows.until(database_url, "k", "waiting_for = 'service stock' AND direction = 'backward'")
        assert (await handle.view()).status == "processing"
        assert ("reserve#1", "backward") not in rows.effects_of(database_url, "k")
        await change(database_url, "stock", free_again)
        assert (await handle.view(wait="20s")).status == "declined"
    assert ledger.standing() == 0


async def test_a_doubt_waits_with_its_budget(database_url: str) -> None:
    """Nobody asks an open service; what the doubt may last begins anew when it is closed, and is not over by then."""
    ledger.plan("doubted", lose_reply)
    async with working(database_url, doubting) as w:
        handle = await w.engine.start(doubting, "a", key="k")
        row = await rows.until(
            database_url, "k", "status = 'asleep' AND now() - updated_at > interval '100 ms'"
        )
        assert row["waiting_for"] == "service brittle"
        assert ledger.asked == []
        await change(database_url, "brittle", CLOSE)
        assert (await handle.view(wait="20s")).status == "confirmed"
    assert ledger.standing() == 1


async def test_a_failure_while_it_is_open_counts_against_no_budget(database_url: str) -> None:
    """A saga alone opens it with its third attempt of three, and is its canary twice: it is not given up."""
    ledger.plan("short", *[away] * 5)
    async with working(database_url, lone) as w:
        assert await w.ended(lone) == "confirmed"
    assert rows.effects_of(database_url, "k")["short#1", "forward"]["attempt"] == 6
    bodies = [r["body"] for r in rows.evidence_of(database_url, "k") if r["kind"] == "reply"]
    assert ["excused" in body for body in bodies] == [False, False, True, True, True, False]


async def test_a_step_that_waits_and_is_given_up_is_told_so(database_url: str) -> None:
    """Its sibling was refused: the function goes on, and of the step nothing is written."""
    ledger.plan("reserve", refuse)
    await change(database_url, "psp", OPEN)
    async with working(database_url, branching) as w:
        assert await w.ended(branching) == "confirmed"
    assert set(rows.effects_of(database_url, "k")) == {("reserve#1", "forward"), ("free#1", "forward")}
    assert ledger.names() == ["reserve", "free"]


async def test_sagas_that_do_not_need_it_do_not_notice(database_url: str) -> None:
    """They run while a hundred wait, and a worker that holds ten sagas at once has room for them."""
    await change(database_url, "psp", OPEN)
    async with working(database_url, checkout, lone, concurrency=10) as w:
        handles = [await w.engine.start(checkout, "a", key=f"k{n}") for n in range(100)]
        assert [await w.ended(lone, key=f"other{n}") for n in range(10)] == ["confirmed"] * 10
        await change(database_url, "psp", CLOSE)
        assert {str((await one.view(wait="30s")).status) for one in handles} == {"confirmed"}
    assert rows.select(database_url, "SELECT 1 FROM saga.effect WHERE attempt > 1") == []


async def test_a_healthy_service_is_never_written(database_url: str) -> None:
    """Its breaker is counted in memory: failures now and then, with answers between them, leave no row."""
    ledger.plan("charge", away, away)
    async with working(database_url, checkout) as w:
        assert await w.ended(checkout) == "confirmed"
    assert rows.select(database_url, "SELECT 1 FROM saga.service") == []
