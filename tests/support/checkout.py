"""The smallest saga: one step, one ledger; for tests of starting, where what is started does not matter."""

from __future__ import annotations

from saga import saga
from tests.support.fakes import Ledger, make_step

ledger = Ledger()
reserve = make_step(ledger, "reserve")


@saga("checkout")
async def checkout(order: str) -> str:
    return await reserve(order)
