"""Mistakes that users make, each of which both type checkers must catch on its line.

Checked by test_typing.py, and never run. A comment that suppresses nothing is itself an error, in mypy and in
basedpyright: a mistake that one of them no longer catches fails. The codes are mypy's.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true

import asyncio
from dataclasses import dataclass
from decimal import Decimal

from saga import Answer, Call, Engine, Landed, Refused, Service, Signal, saga, sleep, step, together

psp = Service("psp", remembers="all", key_lifetime="24h")


@dataclass
class Order:
    id: str


@dataclass
class Payment:
    id: str


@dataclass
class Receipt:
    id: str


@step(psp, timeout="10s")
async def charge(call: Call, card: str, amount: Decimal) -> Payment:
    return Payment(card)


@step(psp, timeout="10s", undo="nothing")
def invoice(call: Call, customer: str) -> Receipt:
    return Receipt(customer)


@saga("checkout")
async def checkout(order: Order) -> Receipt:
    await charge("card")  # type: ignore[call-arg]
    await charge("card", 3)  # type: ignore[arg-type]
    await charge("card", Decimal(3), currency="x")  # type: ignore[call-arg]
    return await charge("c", Decimal(1))  # type: ignore[return-value]


@saga("fallback of another type")
async def fallback(order: Order) -> Payment:
    await charge("c", Decimal(1)).or_else(lambda: invoice("me"))  # type: ignore[arg-type, return-value]
    await charge("c", Decimal(1)).or_else(lambda: Receipt("free"))  # type: ignore[arg-type, return-value]
    await charge("c", Decimal(1)).or_else(lambda: Payment("x"), on=ValueError)  # type: ignore[arg-type, return-value]
    await invoice("me").last_good()  # type: ignore[call-arg]
    await invoice("me").last_good(max_age="1h").or_else(lambda: Payment("x"))  # type: ignore[arg-type, return-value]
    return Payment("p")


@saga("results of another type")
async def results(order: Order) -> Payment:
    wrong: tuple[Receipt, Payment] = await together(charge("c", Decimal(1)), invoice("me"))  # type: ignore[assignment]
    both = await asyncio.gather(invoice("a"), invoice("b"))
    maybe = await charge("c", Decimal(1)).or_none()
    card = maybe.id  # type: ignore[union-attr]
    assert wrong[0].id
    assert card
    return both[0]  # type: ignore[return-value]


@saga("two inputs")  # type: ignore[arg-type]
async def two_inputs(order: Order, other: Order) -> None: ...


@saga("no coroutine")  # type: ignore[arg-type]
def no_coroutine(order: Order) -> None: ...


@charge.status  # type: ignore[arg-type]
async def other_arguments(call: Call, card: str) -> Answer[Payment]:
    return Landed(Payment(card))


@charge.status  # type: ignore[arg-type]
async def other_result(call: Call, card: str, amount: Decimal) -> Answer[Receipt]:
    return Landed(Receipt(card))


@charge.compensate  # type: ignore[arg-type]
async def compensates_another(call: Call, receipt: Receipt, card: str, amount: Decimal) -> None: ...


@charge.compensate
async def refund(call: Call, payment: Payment, card: str, amount: Decimal) -> None: ...


@refund.status  # type: ignore[arg-type]
async def refund_status(call: Call, card: str, amount: Decimal) -> Answer[None]:
    return Landed(None)


@step(psp, timeout="1s", undo="nothing")  # type: ignore[arg-type]
async def without_call(card: str) -> None: ...


@step(psp, timeout="1s", heartbeat="1s")  # type: ignore[call-arg]
async def not_built_yet(call: Call) -> None: ...


@step(psp, timeout="1s", undo="later")  # type: ignore[arg-type]
async def undone_somehow(call: Call) -> None: ...


payment_seen = Signal("payment_seen", Payment)


@saga("waiting")
async def waiting(order: Order) -> Receipt:
    await sleep(3)  # type: ignore[arg-type]
    return await payment_seen.wait(timeout="4h")  # type: ignore[return-value]


async def tell(engine: Engine) -> None:
    await engine.send(waiting, payment_seen, Receipt("r"), to="k")  # type: ignore[misc]
    await engine.handle(waiting, key="k").send(payment_seen, Receipt("r"))  # type: ignore[misc]


async def start(engine: Engine, order: Order) -> None:
    await engine.start(checkout, Receipt("x"), key="k")  # type: ignore[misc]
    await engine.start(checkout, order)  # type: ignore[call-arg]
    handle = await engine.start(checkout, order, key="k")
    payment: Payment = await handle.result()  # type: ignore[assignment]
    await charge.body("k", payment.id, Decimal(1))  # type: ignore[arg-type]


def probe_answer() -> Answer[Payment]:
    return Landed(Refused("no"))  # type: ignore[arg-type]
