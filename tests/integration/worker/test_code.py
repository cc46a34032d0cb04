"""Code that fails or no longer fits parks the saga, undoes nothing, and goes on after a fix."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from saga import Call, SagaDefinition, Step, saga
from tests.support import rows
from tests.support.fakes import Gate, Ledger, make_step, service_of
from tests.support.working import working

ledger = Ledger()
service = service_of(ledger)
reserve = make_step(ledger, "reserve", service=service)
charge = make_step(ledger, "charge", service=service)
confirm = make_step(ledger, "confirm", service=service, undo=False)
STEPS = [reserve, charge, confirm]

Function = Callable[[str], Coroutine[Any, Any, str]]


@pytest.fixture(autouse=True)
def empty_ledger() -> None:
    ledger.clear()


def checkout(function: Function, *, steps: list[Step[..., Any]] | None = None) -> SagaDefinition[str, str]:
    """A version of the code under one name and version."""
    return saga("checkout", steps=STEPS if steps is None else steps)(function)


async def right(order: str) -> str:
    await reserve(order)
    await charge(order)
    return await confirm(order)


async def mended(url: str, function: Function = right) -> str:
    """Wake the saga under a worker with good code; its result."""
    await rows.wake(url, "k")
    async with working(url, checkout(function)) as w:
        return await w.engine.handle(checkout(function), key="k").result("10s")


async def test_a_bug_parks_undoes_nothing_and_goes_on_after_a_fix(database_url: str) -> None:
    """KeyError after a step: parked with the traceback, the step stays done, and the fixed code goes on from it."""

    async def buggy(order: str) -> str:
        await reserve(order)
        raise KeyError("not in the catalogue")

    async with working(database_url, checkout(buggy)) as w:
        row = await w.parked(checkout(buggy))
        view = await w.engine.handle(checkout(buggy), key="k").view()
    assert (row["park_cause"], row["park_reason"]) == ("code_failed", "KeyError: 'not in the catalogue'")
    assert "in buggy" in row["park_detail"]["traceback"]
    assert (view.status, view.needs_person) == ("processing", True)
    assert ledger.names() == ["reserve"]
    assert await mended(database_url) == "a done"
    assert ledger.names() == ["reserve", "charge", "confirm"]
    assert ledger.standing() == 3


async def test_a_bug_in_one_branch_settles_the_others_first(database_url: str) -> None:
    """What is in flight when the code fails is settled and recorded, and not called again after the fix."""
    gate = Gate()
    ledger.plan("charge", gate)

    async def buggy(order: str) -> str:
        async def bug() -> str:
            await reserve(order)
            raise ZeroDivisionError

        await asyncio.gather(charge(order), bug())
        return "never"

    async def fixed(order: str) -> str:
        async def no_bug() -> str:
            return await reserve(order)

        await asyncio.gather(charge(order), no_bug())
        return await confirm(order)

    async with working(database_url, checkout(buggy)) as w:
        await w.engine.start(checkout(buggy), "a", key="k")
        await rows.until(w.url, "k", "EXISTS (SELECT 1 FROM saga.effect e WHERE e.status = 'succeeded')")
        assert rows.saga_of(w.url, "k")["status"] == "running"
        gate.open.set()
        await rows.parked(w.url, "k")
    assert await mended(database_url, fixed) == "a done"
    assert sorted(ledger.names()) == ["charge", "confirm", "reserve"]


@pytest.mark.parametrize("raised", [SystemExit(1), RecursionError(), asyncio.CancelledError(), MemoryError()])
async def test_whatever_leaves_a_function_harms_only_its_saga(
    database_url: str, raised: BaseException
) -> None:
    """Even sys.exit() in a saga function parks that saga, and its worker goes on with the others."""

    async def bad(order: str) -> str:
        if order == "bad":
            raise raised
        return await confirm(order)

    definition = checkout(bad)
    async with working(database_url, definition) as w:
        row = await w.parked(definition, "bad", key="k")
        assert row["park_cause"] == "code_failed"
        assert await w.run(definition, "good", key="other") == "good done"


async def test_a_step_called_and_never_awaited_parks(database_url: str) -> None:
    """A return with a forgotten step does not complete; the step was never sent, and the fix goes on."""

    async def forgetful(order: str) -> str:
        await reserve(order)
        charge(order)  # type: ignore[unused-awaitable]  # the mistake that is tested
        return "done"

    async with working(database_url, checkout(forgetful)) as w:
        row = await w.parked(checkout(forgetful))
    assert (row["park_cause"], row["park_reason"]) == ("not_awaited", "step not awaited: charge#1")
    assert ledger.names() == ["reserve"]
    assert await mended(database_url) == "a done"


async def test_a_function_that_waits_for_nothing_parks(database_url: str) -> None:
    """A wait that no step will end is found at once, and not after a night."""

    async def waiting(order: str) -> str:
        await reserve(order)
        await asyncio.Event().wait()
        return "never"

    async with working(database_url, checkout(waiting)) as w:
        row = await w.parked(checkout(waiting))
    assert row["park_cause"] == "code_failed"
    assert "waits for something" in row["park_reason"]


async def test_a_wrong_output_parks_and_goes_on_after_a_fix(database_url: str) -> None:
    """What the function returns must be of its type; nothing is undone for it."""

    async def wrong(order: str) -> str:
        await reserve(order)
        return 7  # type: ignore[return-value]

    async with working(database_url, checkout(wrong)) as w:
        row = await w.parked(checkout(wrong))
    assert row["park_cause"] == "code_failed"
    assert "what the function returned cannot be stored" in row["park_reason"]
    assert await mended(database_url) == "a done"
    assert ledger.names() == ["reserve", "charge", "confirm"]


async def test_an_unstorable_result_parks_and_keeps_its_verdict(database_url: str) -> None:
    """The charge happened, and its result cannot be kept: a person is told, and it is never charged again."""

    async def nul(ledger: Ledger, call: Call, what: str) -> str:
        ledger.land(call, what)
        return "a\x00b"

    ledger.plan("charge", nul)
    async with working(database_url, checkout(right)) as w:
        row = await w.parked(checkout(right))
        await rows.wake(w.url, "k")
        await rows.until(w.url, "k", "status = 'parked' AND epoch > 1")
    assert row["park_cause"] == "unstorable"
    assert "charge#1" in row["park_reason"]
    assert rows.effects_of(database_url, "k")["charge#1", "forward"]["status"] == "succeeded"
    assert ledger.names() == ["reserve", "charge"]


async def test_a_saga_with_an_unstorable_result_can_be_cancelled_or_says_why_not(database_url: str) -> None:
    """Its undo needs the result that is not there: it parks, and is never counted as undone."""

    async def nul(ledger: Ledger, call: Call, what: str) -> str:
        ledger.land(call, what)
        return "a\x00b"

    ledger.plan("charge", nul)
    async with working(database_url, checkout(right)) as w:
        await w.parked(checkout(right))
        await rows.ask_to_cancel(w.url, "k")
        row = await rows.until(w.url, "k", "status = 'parked' AND epoch > 1")
    assert "charge#1" in row["park_reason"]
    assert "undo_charge" not in ledger.names()
