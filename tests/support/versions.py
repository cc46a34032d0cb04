"""Two versions of one definition, as they stand side by side during a deploy, and an engine with both for the command line.

Version 1 reserves, charges and confirms; version 2 confirms first and reserves nothing, so that no call of one fits the
other's record.
"""

from __future__ import annotations

from dataclasses import dataclass

from saga import Engine, saga
from tests.support.fakes import Ledger, make_step, service_of

ledger = Ledger()
service = service_of(ledger)
reserve = make_step(ledger, "reserve", service=service)
charge = make_step(ledger, "charge", service=service)
confirm = make_step(ledger, "confirm", service=service, undo=False)


@dataclass(frozen=True)
class Receipt:
    """What version 3 returns."""

    text: str


@saga("checkout", version=1)
async def first(order: str) -> str:
    await reserve(order)
    await charge(order)
    return await confirm(order)


@saga("checkout", version=2)
async def second(order: str) -> str:
    await confirm(f"new {order}")
    return await charge(f"new {order}")


@saga("checkout", version=3)
async def third(order: str) -> Receipt:
    return Receipt(await charge(order))


engine = Engine(sagas=[second, first])
