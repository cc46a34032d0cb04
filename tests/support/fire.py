"""The sagas of the crash tests, on the steps of `till`, and the engine that serves them.

Rule: `engine` is what a worker process imports; a test makes its own with `engine_for`.
"""

from __future__ import annotations

import warnings
from typing import Any

from saga import DefinitionWarning, Engine, saga, together
from saga.definition import SagaDefinition
from tests.support.till import (
    Purchase,
    charge,
    invoice,
    pay_at_bank,
    pay_keyless,
    pay_later,
    pay_mute,
    pay_slowly,
    reserve,
)


@saga("purchase")
async def purchase(p: Purchase) -> str:
    """Reserve, charge, perhaps reserve a gift, write."""
    await reserve(p.order, "chair")
    paid = await charge(p.order, p.card)
    if p.gift is not None:
        await reserve(p.order, p.gift)
    await invoice(p.order)
    return paid


@saga("purchase-keyless")
async def purchase_keyless(p: Purchase) -> str:
    """The same where the payment dedups nothing."""
    await reserve(p.order, "chair")
    return await pay_keyless(p.order, p.card)


@saga("purchase-mute")
async def purchase_mute(p: Purchase) -> str:
    """The same where nobody can ask about the payment."""
    await reserve(p.order, "chair")
    return await pay_mute(p.order, p.card)


@saga("purchase-at-bank")
async def purchase_at_bank(p: Purchase) -> str:
    """The same where the payment has a breaker."""
    await reserve(p.order, "chair")
    return await pay_at_bank(p.order, p.card)


@saga("purchase-by-mail")
async def purchase_by_mail(p: Purchase) -> str:
    """One that needs no payment."""
    await reserve(p.order, "chair")
    return await invoice(p.order)


@saga("purchase-patient")
async def purchase_patient(p: Purchase) -> str:
    """The same where the saga sleeps while the payment is down."""
    await reserve(p.order, "chair")
    return await pay_later(p.order, p.card)


@saga("purchase-slow")
async def purchase_slow(p: Purchase) -> str:
    """The same where the saga sleeps in doubt."""
    await reserve(p.order, "chair")
    return await pay_slowly(p.order, p.card)


@saga("purchase-in-time", deadline="4s")
async def purchase_in_time(p: Purchase) -> str:
    """The same with a deadline."""
    await reserve(p.order, "chair")
    paid = await charge(p.order, p.card)
    await invoice(p.order)
    return paid


@saga("purchase-with-fallback")
async def purchase_with_fallback(p: Purchase) -> str:
    """Pays by invoice where the payment cannot be had."""
    await reserve(p.order, "chair")
    return await charge(p.order, p.card).or_else(lambda: invoice(p.order))


async def _one_side(order: str, sku: str, card: str) -> str:
    await reserve(order, sku)
    return await charge(order, card)


@saga("purchase-of-two")
async def purchase_of_two(p: Purchase) -> list[str]:
    """Two branches of two steps each; `gift` refuses the one that comes after both."""
    both = await together(
        _one_side(f"{p.order}-a", "chair", p.card), _one_side(f"{p.order}-b", "table", p.card)
    )
    if p.gift is not None:
        await reserve(p.order, p.gift)
    return list(both)


SAGAS: list[SagaDefinition[Purchase, Any]] = [
    purchase,
    purchase_keyless,
    purchase_mute,
    purchase_at_bank,
    purchase_by_mail,
    purchase_patient,
    purchase_slow,
    purchase_in_time,
    purchase_with_fallback,
    purchase_of_two,
]


def engine_for(url: str | None = None) -> Engine:
    """The sagas on a database that the test names; in a worker, on that of its environment."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DefinitionWarning
        )  # a deadline that passes in mid-call is what we want
        return Engine(url, sagas=SAGAS)


engine = engine_for()
