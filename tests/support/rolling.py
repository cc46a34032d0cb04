"""Two releases of one shop: the old one has version 1 of its saga, the new one has both, as a deploy wants it.

Rule: `old` and `new` are what worker processes import; a test makes its own engine with both versions.
"""

from __future__ import annotations

from saga import Engine, saga
from tests.support.till import Purchase, charge, invoice, reserve

OLD, NEW = "tests.support.rolling:old", "tests.support.rolling:new"


@saga("purchase", version=1)
async def first(p: Purchase) -> str:
    """Reserve, charge, perhaps reserve a gift, write."""
    await reserve(p.order, "chair")
    paid = await charge(p.order, p.card)
    if p.gift is not None:
        await reserve(p.order, p.gift)
    await invoice(p.order)
    return paid


@saga("purchase", version=2)
async def second(p: Purchase) -> str:
    """Write first, then reserve and charge: no recorded step of one version fits the other."""
    await invoice(p.order)
    await reserve(p.order, "chair")
    paid = await charge(p.order, p.card)
    if p.gift is not None:
        await reserve(p.order, p.gift)
    return paid


STEPS = {
    1: ["reserve#1", "charge#1", "reserve#2", "invoice#1"],
    2: ["invoice#1", "reserve#1", "charge#1", "reserve#2"],
}
"""In which order each version calls its steps; the gift's step only where there is one."""

old = Engine(sagas=[first])
new = Engine(sagas=[first, second])


def engine_for(url: str) -> Engine:
    """Both versions, on a database that the test names."""
    return Engine(url, sagas=[first, second])
