"""A shop in trouble, for the pages that show what an operator sees: one order for each cause of parking.

What happens to an order follows from its number; `Night` is what an operator's night can change: the payment service comes
back, and code is deployed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from saga import Answer, Call, Engine, Landed, NotExecuted, NotFound, Refused, Retry, Service, saga, step
from saga.errors import Mismatch

LOST = "order:7734"
RELEASE_REFUSED = "order:7731"
RELEASE_STUCK = "order:7728"
BUG = "order:7740"
CHANGED = "order:7741"
FORGOTTEN = "order:7742"
ODD_RESULT = "order:7743"
OTHER_AMOUNT = "order:7745"
TWICE = "order:7746"
NO_QUESTIONS = "order:7750"
AFTER_PIVOT = "order:7760"
LATE = "order:7770"
WITHOUT_MONEY = {RELEASE_REFUSED, RELEASE_STUCK}


@dataclass
class Night:
    """What the night can change; and what the bank has really done."""

    psp_is_silent: bool = True
    stock_is_down: bool = True
    bug_is_fixed: bool = False
    gift_wrap_is_deployed: bool = False
    deposit_key: str = ""
    bank: dict[str, str] = field(default_factory=dict[str, str])


night = Night()

psp = Service("psp", remembers="all", key_lifetime="24h", lateness="30s")
stock = Service("stock", remembers="all", key_lifetime="7d", lateness="10s")
vouchers = Service("vouchers")
deposits = Service("deposits", remembers="all", key_lifetime="24h", lateness="50ms", staleness="10ms")


@step(stock, timeout="5s", settle_within="300ms", retry=Retry(attempts=3, first="50ms", most="100ms"))
async def reserve(call: Call, order: str) -> str:
    return f"res_{order[-4:]}"


@reserve.status
async def reservation_status(call: Call, order: str) -> Answer[str]:
    return NotFound()


@reserve.compensate
async def release(call: Call, reservation: str, order: str) -> None:
    if order == RELEASE_REFUSED:
        raise Refused("unknown_id", f"there is no reservation {reservation}")
    if order == RELEASE_STUCK and night.stock_is_down:
        raise NotExecuted("the stock system is down for maintenance")


@release.status
async def release_status(call: Call, reservation: str, order: str) -> Answer[None]:
    return NotFound()


@step(stock, timeout="5s", undo="nothing")
async def gift_wrap(call: Call, order: str) -> str:
    return "wrapped"


@step(psp, timeout="10s", probes=3)
async def charge(call: Call, order: str) -> str:
    if order in WITHOUT_MONEY:
        raise Refused("insufficient_funds")
    night.bank[call.key] = f"pay_{order[-4:]}"
    if order == LOST:
        raise ConnectionError("the connection was reset after the request was written")
    if order == OTHER_AMOUNT:
        raise Mismatch("psp knows this key with another amount")
    if order == TWICE:
        raise ConnectionError("the connection was reset after the request was written")
    if order == ODD_RESULT:
        return 42  # type: ignore[return-value]  # the mistake that is shown
    return night.bank[call.key]


@charge.status
async def charge_status(call: Call, order: str) -> Answer[str]:
    if order == TWICE:
        return Landed("pay_7746", also=("pay_7746_again",))
    if night.psp_is_silent:
        raise ConnectionError("psp does not answer")
    return Landed(night.bank[call.key]) if call.key in night.bank else NotFound()


@charge.compensate
async def refund(call: Call, payment: str, order: str) -> None:
    del night.bank[call.effect_key or ""]


@step(vouchers, timeout="5s", undo="nothing", at_most_once=True)
async def redeem(call: Call, order: str) -> str:
    raise ConnectionError("the connection was reset after the request was written")


@step(stock, timeout="5s", undo="nothing", pivot=True)
async def hand_over(call: Call, order: str) -> str:
    return "with the carrier"


@step(deposits, timeout="100ms", retry=Retry(attempts=1), watch_for="1h")
async def deposit(call: Call, order: str) -> str:
    night.deposit_key = call.key
    raise ConnectionError("the connection was reset after the request was written")


@deposit.status
async def deposit_status(call: Call, order: str) -> Answer[str]:
    return NotFound()


@deposit.compensate
async def give_back(call: Call, receipt: str, order: str) -> None:
    pass


@give_back.status
async def given_back(call: Call, receipt: str, order: str) -> Answer[None]:
    return NotFound()


@saga("rental", version=1)
async def rental(order: str) -> str:
    return await deposit(order)


@saga("checkout", version=1)
async def checkout(order: str) -> str:
    if order == CHANGED and night.gift_wrap_is_deployed:
        await gift_wrap(order)
    await reserve(order)
    if order in {BUG, CHANGED} and not night.bug_is_fixed:
        raise KeyError("customer_group")
    if order == FORGOTTEN:
        charge(order)  # type: ignore[unused-awaitable]  # the mistake that is shown
        return order
    await charge(order)
    return order


@saga("voucher", version=1)
async def voucher(order: str) -> str:
    return await redeem(order)


@saga("delivery", version=1)
async def delivery(order: str) -> str:
    await hand_over(order)
    raise Refused("address_unknown", "the carrier came back")


engine = Engine(sagas=[checkout, voucher, delivery, rental])
TROUBLES = (
    (
        checkout,
        (LOST, RELEASE_REFUSED, RELEASE_STUCK, BUG, CHANGED, FORGOTTEN, ODD_RESULT, OTHER_AMOUNT, TWICE),
    ),
    (voucher, (NO_QUESTIONS,)),
    (delivery, (AFTER_PIVOT,)),
)
"""The sagas that park, and their keys."""
