"""A shop's sagas, sound ones and planted mistakes; their bodies must never run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NoReturn

from saga import Answer, Call, Refused, Retry, Service, StepFailed, saga, step


@dataclass(frozen=True)
class Payment:
    id: str
    amount: int


bank = Service("bank", remembers="all", key_lifetime="24h", lateness="2m")
stock = Service("stock", remembers="successes", key_lifetime="7d", lateness="30s")
post = Service("post")  # promises nothing
again = Retry(attempts=4, first="100ms", most="1s")


def never() -> NoReturn:
    raise AssertionError("a body was called")


@step(stock, timeout="5s", retry=again)
async def reserve(call: Call, sku: str) -> str:
    never()


@reserve.status
async def reservation_status(call: Call, sku: str) -> Answer[str]:
    never()


@reserve.compensate
async def release(call: Call, reservation: str, sku: str) -> None:
    never()


@release.status
async def release_status(call: Call, reservation: str, sku: str) -> Answer[None]:
    never()


@step(bank, timeout="10s", retry=again)
async def charge(call: Call, card: str, amount: int) -> Payment:
    never()


@charge.status
async def charge_status(call: Call, card: str, amount: int) -> Answer[Payment]:
    never()


@charge.compensate
async def refund(call: Call, payment: Payment, card: str, amount: int) -> None:
    never()


@refund.status
async def refund_status(call: Call, payment: Payment, card: str, amount: int) -> Answer[None]:
    never()


@step(post, timeout="3s", undo="nothing", repeatable=True, retry=again)
async def mail(call: Call, text: str) -> None:
    never()


@step(stock, timeout="5s", retry=again)
def pack(call: Call, sku: str) -> str:
    """A `def` step: its client blocks."""
    never()


@pack.status
def pack_status(call: Call, sku: str) -> Answer[str]:
    never()


@pack.compensate
def unpack(call: Call, box: str, sku: str) -> None:
    never()


@step(post, timeout="3s", undo="nothing", at_most_once=True)
async def send_parcel(call: Call, sku: str) -> str:
    never()


@step(post, timeout="3s", repeatable=True, retry=again)
async def deposit(call: Call, card: str) -> str:
    """A planted mistake: what may happen twice is given back once."""
    never()


@deposit.compensate
async def give_back(call: Call, receipt: str, card: str) -> None:
    never()


@give_back.status
async def given_back(call: Call, receipt: str, card: str) -> Answer[None]:
    never()


@dataclass(frozen=True)
class Order:
    sku: str = "book"
    card: str = "4242"
    amount: int = 40


@saga("buy")
async def buy(order: Order) -> str:
    reservation = await reserve(order.sku)
    payment = await charge(order.card, order.amount)
    await mail("thank you")
    return f"{reservation} {payment.id}"


@saga("pack")
async def packing(order: Order) -> str:
    box = await pack(order.sku)
    await charge(order.card, order.amount)
    return box


@saga("ship")
async def ship(order: Order) -> str:
    await charge(order.card, order.amount)
    return await send_parcel(order.sku)


@saga("rent")
async def rent(order: Order) -> str:
    """A repeatable deposit with an undo."""
    await deposit(order.card)
    return await reserve(order.sku)


_calls = itertools.count()


@saga("fickle")
async def fickle(order: Order) -> str:
    """Another order of the steps each time that it is run."""
    if next(_calls) % 2 == 0:
        await reserve(order.sku)
        await charge(order.card, order.amount)
    else:
        await charge(order.card, order.amount)
        await reserve(order.sku)
    return order.sku


@saga("eager")
async def eager(order: Order) -> str:
    """It takes a failure behind the payment for one of the payment."""
    try:
        payment = await charge(order.card, order.amount)
        await reserve(order.sku)
    except StepFailed:
        payment = await charge("another card", order.amount)
    return payment.id


@saga("buggy")
async def buggy(order: Order) -> str:
    try:
        return await reserve(order.sku)
    except Refused as refused:
        raise KeyError(refused.code) from None


@saga("forgetful")
async def forgetful(order: Order) -> str:
    reserve(order.sku)  # type: ignore[unused-awaitable]  # the mistake that is found
    return order.sku
