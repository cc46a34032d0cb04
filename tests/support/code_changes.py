"""One checkout under changing code: a saga that a worker left in its middle, and functions that fit its record or do not."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from saga import SagaDefinition, Step, saga
from tests.support import rows
from tests.support.fakes import Gate, Ledger, lose_reply, make_step, service_of
from tests.support.rows import Row
from tests.support.working import working

ledger = Ledger()
service = service_of(ledger)
reserve = make_step(ledger, "reserve", service=service)
charge = make_step(ledger, "charge", service=service)
confirm = make_step(ledger, "confirm", service=service, undo=False)
STEPS = [reserve, charge, confirm]

Function = Callable[[str], Coroutine[Any, Any, str]]


def checkout(function: Function, *, steps: list[Step[..., Any]] | None = None) -> SagaDefinition[str, str]:
    """A version of the code under one name and version."""
    return saga("checkout", steps=STEPS if steps is None else steps)(function)


async def right(order: str) -> str:
    await reserve(order)
    await charge(order)
    return await confirm(order)


async def stopped_at_charge(url: str) -> None:
    """A saga that a worker left in the middle of its second step."""
    gate = Gate(lose_reply)
    ledger.plan("charge", gate)
    async with working(url, checkout(right), drain_within="10ms") as w:
        await w.engine.start(checkout(right), "a", key="k")
        await gate.reached.wait()


async def parked_under(url: str, function: Function, **options: Any) -> Row:
    """The saga's row after a worker with other code took it up."""
    async with working(url, checkout(function, **options)):
        return await rows.parked(url, "k")


async def mended(url: str, function: Function = right) -> str:
    """Wake the saga under a worker with good code; its result."""
    await rows.wake(url, "k")
    async with working(url, checkout(function)) as w:
        return await w.engine.handle(checkout(function), key="k").result("10s")


async def other_arguments(order: str) -> str:
    await reserve(order)
    await charge(f"{order}!")
    return await confirm(order)


async def inserted_before(order: str) -> str:
    await confirm(order)
    await reserve(order)
    return await charge(order)


async def other_step(order: str) -> str:
    await reserve(order)
    return await confirm(order)


async def swapped(order: str) -> str:
    await charge(order)
    await reserve(order)
    return await confirm(order)


async def cut_short(order: str) -> str:
    return await reserve(order)


CHANGED = [other_arguments, inserted_before, other_step, swapped, cut_short]
"""None of them fits."""
